// IORING_REGISTER_IOWQ_MAX_WORKERS, IORING_REGISTER_IOWQ_AFF and IORING_UNREGISTER_IOWQ_AFF: the threads of
// service/workers.h, which all rings of the process share.
#include "service/workers.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>

#include "memory/user_memory.h"
#include "register/register.h"

namespace ringside::engine {

int register_iowq_max_workers(Ring&, uint64_t address, unsigned) {
    unsigned limits[2];
    if (read_user(&limits, address, sizeof(limits)) < 0) return -EFAULT;
    if (limits[IO_WQ_BOUND] > INT_MAX || limits[IO_WQ_UNBOUND] > INT_MAX) return -EINVAL;
    exchange_worker_limits(limits[IO_WQ_BOUND], limits[IO_WQ_UNBOUND]);
    return write_user(address, &limits, sizeof(limits));
}

// A mask shorter than the machine's means no processors beyond it, of a longer one the rest is not looked at.
int register_iowq_aff(Ring&, uint64_t address, unsigned size) {
    cpu_set_t processors;
    CPU_ZERO(&processors);
    if (read_user(&processors, address, size < sizeof(processors) ? size : sizeof(processors)) < 0) return -EFAULT;
    set_worker_affinity(&processors);
    return 0;
}

int unregister_iowq_aff(Ring&, uint64_t, unsigned) {
    set_worker_affinity(nullptr);
    return 0;
}

}  // namespace ringside::engine
