// IORING_REGISTER_ENABLE_RINGS: the end of IORING_SETUP_R_DISABLED.
#include <errno.h>

#include "os/thread_id.h"
#include "register/register.h"
#include "service/sqpoll.h"

namespace ringside::engine {

int enable_rings(Ring& ring, uint64_t, unsigned) {
    if (!ring.disabled) return -EBADFD;
    if (ring.setup_flags & IORING_SETUP_SINGLE_ISSUER) ring.submitter = this_thread_id();
    ring.restrictions.in_force = ring.restrictions.registered;
    ring.disabled = false;
    // Its thread may have fallen asleep over a ring that it was not to touch.
    if (ring.setup_flags & IORING_SETUP_SQPOLL) wake_sqpoll(ring);
    return 0;
}

}  // namespace ringside::engine
