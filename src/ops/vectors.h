// Arrays of iovecs of the program's: when they are copied, and what remains of them after a partial transfer.
//
// The program may change an array as soon as its request is submitted, so the engine needs a copy. Copying costs a
// system call. It is put off until the request turns out not to complete inline. A request that starts after its
// submission has its array copied by prep.
#pragma once

#include <stdint.h>
#include <sys/uio.h>

#include "os/limits.h"
#include "state/request.h"

namespace ringside::engine {

inline constexpr unsigned most_iovecs = 1024;

// Whether the request's first attempt is made after its submission: it is linked, drained or to be punted, or it has
// no file yet.
bool starts_later(const Request& request);

// Copies `count` iovecs from the program's address `from`, which a system call may have touched
// (memory/user_memory.h). Returns 0, -EFAULT, or -EINVAL for an invalid length.
int copy_iovecs(iovec* to, uint64_t from, unsigned count, bool touched = false);

// Checks that the ranges can be the program's memory. Returns 0 or -EFAULT.
int check_ranges(const iovec* vectors, unsigned count);

uint64_t total_length(const iovec* vectors, unsigned count);

// The part of an array of iovecs behind its first `bytes`. The iovec in which the part begins is shortened in place
// for the lifetime of this object.
class RestOfVectors {
  public:
    RestOfVectors(iovec* vectors, unsigned count, uint64_t bytes);
    ~RestOfVectors();
    RestOfVectors(const RestOfVectors&) = delete;
    RestOfVectors& operator=(const RestOfVectors&) = delete;

    iovec* vectors() const { return first_; }
    unsigned count() const { return count_; }

  private:
    iovec* first_;
    unsigned count_;
    iovec whole_;
};

}  // namespace ringside::engine
