// Hard links: the names of one file become names of one copy. One item copies the file; the other items wait for it
// and are then linked to the copy.
#pragma once

#include <sys/stat.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/cp/item.h"

namespace ringside::cli::cp {

class HardLinks {
  public:
    enum class Role {
        copier,  // the first name seen: copy the file, then call settle()
        waiter,  // another item is copying the file: settle() returns this one
        linker,  // the copy exists: make a link to copy_of()
    };

    // The item's role for the file with these attributes. For a file with one name it is always `copier`.
    Role claim(const Item& item, const struct statx& attributes);

    // The path of the finished copy.
    const std::string& copy_of(const struct statx& attributes) const;

    // The copier is done: its copy is at this path, or failed where there is none. The caller starts the waiting
    // items again. They link to the copy or, after a failure, copy the file themselves.
    std::vector<Item> settle(const struct statx& attributes, std::optional<std::string> copy);

  private:
    struct Copy {
        std::string path;  // empty while it is being made
        std::vector<Item> waiting;
    };
    using Identity = std::pair<dev_t, uint64_t>;
    static Identity identity_of(const struct statx& attributes);

    std::map<Identity, Copy> copies_;
};

}  // namespace ringside::cli::cp
