// Owner, mode and times, given to a copy as its original has them.
#pragma once

#include <sys/stat.h>

namespace ringside::cli::cp {

// The statx fields of a source that a copy needs.
constexpr unsigned statx_mask = STATX_BASIC_STATS;

// For an open regular file or directory. Ownership is kept where that is permitted; where it is not, a set-user-id or
// set-group-id bit is not handed to the wrong owner. Returns 0 or an errno.
int keep_attributes(int fd, const struct statx& attributes);

// For anything else, by name, without following a symbolic link.
int keep_attributes_at(int directory, const char* name, const struct statx& attributes);

dev_t device_of(const struct statx& attributes);
bool same_file(const struct statx& one, const struct statx& other);

}  // namespace ringside::cli::cp
