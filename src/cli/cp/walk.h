// Walks the source trees: returns one item after the other, creates the target's directories as it enters them, and
// does not read ahead.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/cp/item.h"

namespace ringside::cli::cp {

class Walk {
  public:
    explicit Walk(std::vector<Item> roots);

    // Returns the next item that is not a directory, or nothing at the end. Makes the target directories on its way.
    // Reports and skips what it cannot read or make.
    std::optional<Item> next();

  private:
    struct Entry {
        std::string name;
        unsigned char type;
    };
    struct Level {
        std::shared_ptr<Directory> directory;
        std::vector<Entry> entries;
        size_t next = 0;
    };

    std::optional<Item> next_item();
    void enter(const Item& item);
    static std::shared_ptr<Directory> open_pair(const Item& item);
    static std::vector<Entry> read_entries(const Directory& directory);

    std::vector<Item> roots_;
    size_t next_root_ = 0;
    std::vector<Level> levels_;
};

}  // namespace ringside::cli::cp
