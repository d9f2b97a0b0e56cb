// How a copy gets its final name. The copy is made under a temporary name in the same directory and renamed when it
// is complete, so no process ever sees half a file.
#pragma once

#include <sys/stat.h>

#include <string>

#include "cli/cp/item.h"

namespace ringside::cli::cp {

// A name that no other copy uses now. A file of that name may exist: create with O_EXCL, and get another name on
// EEXIST.
std::string temporary_name();

// Whether the item may take its target's name; `attributes` are those of the source. If not, reports why: the target
// is the source itself, a directory, or something like a device that a file must not replace.
bool may_replace_target(const Item& item, const struct statx& attributes);

// Gives the finished copy its final name. Returns 0 or an errno; on failure the temporary name is gone too.
int give_final_name(const Item& item, const std::string& temporary);

// Makes a symbolic link, a device, a FIFO or a socket like the source. One system call does it, so no request is
// made. Reports a failure and returns false.
bool copy_special(const Item& item, const struct statx& attributes);

// Makes the target another name of an existing copy. Reports a failure and returns false.
bool link_to_copy(const Item& item, const std::string& copy);

}  // namespace ringside::cli::cp
