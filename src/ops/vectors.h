// Arrays of iovecs that the program gave: when they have to be copied, and what is left of them after a partial
// transfer.
//
// They may not change any more once a request is submitted; but copying them costs a system call, so it is put off
// until the request turns out not to complete inline. One that starts later cannot wait with it.
#pragma once

#include <stdint.h>
#include <sys/uio.h>

#include "os/limits.h"
#include "state/request.h"

namespace ringside::engine {

inline constexpr unsigned most_iovecs = 1024;

// Whether the request's first attempt is not made within its submission: it is chained, drained or to be punted, or
// there is no file to make it on.
bool starts_later(const Request& request);

// Copies `count` iovecs from the program's address `from`, which a system call may have touched (memory/user_memory.h).
// Returns 0, -EFAULT, or -EINVAL for a length that is none.
int copy_iovecs(iovec* to, uint64_t from, unsigned count, bool touched = false);

// Whether they can be the program's memory: 0 or -EFAULT.
int check_ranges(const iovec* vectors, unsigned count);

uint64_t total_length(const iovec* vectors, unsigned count);

// What of an array of iovecs is left behind its first `bytes`. The iovec in which that begins is shortened in place for
// as long as this lives.
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
