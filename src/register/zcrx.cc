// IORING_REGISTER_ZCRX_IFQ: packets that a network device writes into the program's memory. That takes a device and a
// driver; without them the kernel refuses, and so do we.
#include <errno.h>

#include "register/register.h"
#include "state/user_memory.h"

namespace ringside::engine {

int register_zcrx_ifq(Ring& ring, uint64_t address, unsigned) {
    if (!(ring.setup_flags & IORING_SETUP_DEFER_TASKRUN)) return -EINVAL;
    if (!(ring.setup_flags & (IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED))) return -EINVAL;
    io_uring_zcrx_ifq_reg wanted;
    if (read_user(wanted, address) < 0) return -EFAULT;
    io_uring_region_desc region;
    if (read_user(region, wanted.region_ptr) < 0) return -EFAULT;
    return -EINVAL;
}

}  // namespace ringside::engine
