// What operations take from the program's memory when they are prepared, so that it may change afterwards.
#pragma once

#include <stdint.h>

#include "state/request.h"

namespace ringside::engine {

// Whether an address range can belong to a program at all; one that cannot is -EFAULT at submission.
bool is_user_range(uint64_t address, uint64_t length);

// Copies a path into the request's `memory`. Returns 0, -EFAULT, -ENAMETOOLONG, -ENOENT for an empty one (unless that
// is allowed), or -ENOMEM.
int keep_path(Request& request, uint64_t address, bool may_be_empty = false);

// Copies two paths: the second stands behind the first (second_path).
int keep_two_paths(Request& request, uint64_t first, uint64_t second, bool first_may_be_empty = false);

inline const char* first_path(const Request& request) { return static_cast<const char*>(request.memory); }
const char* second_path(const Request& request);

}  // namespace ringside::engine
