// Copies of program memory that prep functions make, so that the program may change the original afterwards.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "state/request.h"

namespace ringside::engine {

// The end of the address range that a program can have.
#if defined(__x86_64__)
inline constexpr uint64_t user_limit = (uint64_t{1} << 47) - 4096;
#else
inline constexpr uint64_t user_limit = uint64_t{1} << 48;
#endif

// Whether an address range can belong to a program at all. If not, the request fails with -EFAULT at submission.
inline bool is_user_range(uint64_t address, uint64_t length) {
    return address <= user_limit && length <= user_limit - address;
}

// Reads a string and its NUL into `to`, which has room for `most` bytes. Never reads beyond the page in which the
// string ends. Returns the length including the NUL, -EFAULT, or -ENAMETOOLONG.
long read_string(char* to, uint64_t from, size_t most);

// Reads a path; PATH_MAX bytes are enough. Returns as read_string() does, and -ENOENT for an empty one (unless that is
// allowed).
long read_path(char* to, uint64_t from, bool may_be_empty = false);

// Copies a path into the request's `memory`. Returns 0, -EFAULT, -ENAMETOOLONG, -ENOENT for an empty one (unless that
// is allowed), or -ENOMEM.
int keep_path(Request& request, uint64_t address, bool may_be_empty = false);

// Copies two paths: the second stands behind the first (second_path).
int keep_two_paths(Request& request, uint64_t first, uint64_t second, bool first_may_be_empty = false);

// A path. The first attempt uses the program's own memory, since copying the path costs a system call. The path is
// copied if that attempt does not complete the request, or if it is not made within the submission.
struct Path {
    uint64_t address;
    bool may_be_empty;
    bool kept;
};

// Called by prep. Returns as keep_path() does.
int prepare_path(Request& request, Path& path, uint64_t address, bool may_be_empty = false);

const char* text_of(const Request& request, const Path& path);

// Copies the path for a later attempt. An invalid path is an error of the submission, which ends the batch.
int keep_for_later(Request& request, Path& path);

// The result to report for an attempt that ended with `fault`: the error of the path, if the path itself is bad.
long blame_path(Request& request, Path& path, long fault);

inline const char* first_path(const Request& request) { return static_cast<const char*>(request.memory); }
const char* second_path(const Request& request);

}  // namespace ringside::engine
