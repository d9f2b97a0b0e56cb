// IORING_SETUP_SQPOLL: a thread that takes entries from the SQ by itself. While it finds some it looks again and again;
// after the idle time it sets IORING_SQ_NEED_WAKEUP and sleeps until io_uring_enter wakes it.
//
//     program                                     submission thread
//     store_release(sq_tail)          (A)         set NEED_WAKEUP                     (C)
//     full barrier                                full barrier
//     load NEED_WAKEUP; if set, enter (B)         load sq_tail; sleep only if empty   (D)
//
// Of A, B, C and D at least one side sees the other: either the thread sees the new tail, or the program sees the flag.
// All interleavings are gone through in tests/model/sqpoll.cc.
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "liburing/io_uring.h"
#include "state/sqpoll.h"

namespace ringside::engine {

struct Ring;

// Starts the thread if the parameters ask for one. Returns 0 or -errno.
int start_sqpoll(Ring& ring, const io_uring_params& params);

// IORING_ENTER_SQ_WAKEUP
void wake_sqpoll(Ring& ring);

// In the kernel it is the thread that completes what has waited, so that a completion wakes it: it takes what is
// queued, and goes to sleep again after another idle time.
void wake_sqpoll_after_completion(Ring& ring);

// IORING_ENTER_SQ_WAIT: sleeps until the SQ has a free entry. Returns 0 or -EINTR. Without the lock.
int wait_for_sq_space(Ring& ring);

// Ends the thread, which must not be needed any more (the ring is closing). Without the lock.
void end_sqpoll(Ring& ring);

}  // namespace ringside::engine
