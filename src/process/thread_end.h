// What goes with a thread of the program when it ends: the ring descriptors that it has registered, and its hold on the
// requests that it has submitted and that are still in flight. In the kernel a request is completed by the task that
// submitted it. Where that is gone, a request that waits for readiness ends with -ECANCELED when it comes, so that
// neither the file nor the memory that it was to fill is touched, and the next of a chain is not begun (-EFAULT). What
// a worker has is told to stop, or waited for if it ends by itself. Timeouts go on.
#pragma once

#include <stdint.h>

#include "state/request.h"

namespace ringside::engine {

// Threads are numbered from 1.
inline constexpr uint32_t ended_thread = UINT32_MAX;

// The calling thread's. What concerns it is done when it ends.
uint32_t this_thread_number();

// The ring's lock guards `submitter`; but a stand-in (service/stand_ins.h) looks without it.
inline bool is_orphan(const Request& request) {
    return __atomic_load_n(&request.submitter, __ATOMIC_RELAXED) == ended_thread;
}
inline void set_submitter(Request& request, uint32_t thread) {
    __atomic_store_n(&request.submitter, thread, __ATOMIC_RELAXED);
}

// The calling thread, which submits the request, leaves it behind.
inline void note_submitter(Request& request) { set_submitter(request, this_thread_number()); }

// That thread has ended.
inline void orphan(Request& request) { set_submitter(request, ended_thread); }

// In a child after fork.
void forget_other_threads();

}  // namespace ringside::engine
