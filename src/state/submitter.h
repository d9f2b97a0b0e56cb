// The thread that submitted a request, and whether it has ended: process/thread_end.h says what that means.
#pragma once

#include <stdint.h>

#include "state/request.h"

namespace ringside::engine {

// Threads are numbered from 1.
inline constexpr uint32_t ended_thread = UINT32_MAX;

// The calling thread's. What concerns it is done when it ends
// (process/thread_end.cc).
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

}  // namespace ringside::engine
