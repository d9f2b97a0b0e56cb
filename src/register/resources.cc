// How tables of files and of buffers are described alike (IORING_REGISTER_FILES2, BUFFERS2 and their updates).
#include <errno.h>

#include "memory/user_memory.h"
#include "register/register.h"

namespace ringside::engine {

int read_table(io_uring_rsrc_register& wanted, uint64_t address, unsigned size) {
    if (size != sizeof(wanted)) return -EINVAL;
    if (read_user(wanted, address) < 0) return -EFAULT;
    if (wanted.nr == 0 || wanted.resv2 != 0 || (wanted.flags & ~IORING_RSRC_REGISTER_SPARSE)) return -EINVAL;
    return (wanted.flags & IORING_RSRC_REGISTER_SPARSE) && wanted.data != 0 ? -EINVAL : 0;
}

int read_table_update(io_uring_rsrc_update2& update, uint64_t address, unsigned size) {
    if (size != sizeof(update)) return -EINVAL;
    if (read_user(update, address) < 0) return -EFAULT;
    return update.nr == 0 || update.resv != 0 || update.resv2 != 0 ? -EINVAL : 0;
}

}  // namespace ringside::engine
