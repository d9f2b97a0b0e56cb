// One thing to copy: a name in a source directory that becomes a name in a target directory.
#pragma once

#include <memory>
#include <string>

#include "cli/cp/directory.h"

namespace ringside::cli::cp {

struct Item {
    std::shared_ptr<Directory> parent;
    std::string source_name;
    std::string target_name;
    unsigned char type;   // a DT_ constant of readdir(3)
    bool follow = false;  // copy the target of a symbolic link, not the link

    std::string source_path() const { return join(parent->source_path(), source_name); }
    std::string target_path() const { return join(parent->target_path(), target_name); }
};

}  // namespace ringside::cli::cp
