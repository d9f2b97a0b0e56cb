// IORING_REGISTER_CLOCK: which clock the time-outs of waits go by.
#include <errno.h>

#include "memory/user_memory.h"
#include "register/register.h"

namespace ringside::engine {

int register_clock(Ring& ring, uint64_t address, unsigned) {
    io_uring_clock_register wanted;
    if (read_user(wanted, address) < 0) return -EFAULT;
    for (const uint32_t reserved : wanted.__resv) {
        if (reserved != 0) return -EINVAL;
    }
    if (wanted.clockid != CLOCK_MONOTONIC && wanted.clockid != CLOCK_BOOTTIME) return -EINVAL;
    ring.wait_clock = static_cast<clockid_t>(wanted.clockid);
    return 0;
}

}  // namespace ringside::engine
