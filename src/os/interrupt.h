// Getting a thread of ours out of a system call that blocks: by a signal that the program has no say in.
#pragma once

#include <atomic>

namespace ringside::engine {

// A thread that can be interrupted. Zeroed memory is a good one.
struct Interruptible {
    std::atomic<int> thread_id;
    int broken_off;  // told to stop; read by ringside_interruptible_syscall
};

// The thread makes itself known, when it starts.
void begin_interruptible(Interruptible& thread);

// Before what it does next: what it was told so far is of the past.
void allow_blocking(Interruptible& thread);

// Tells the thread to stop: a blocking_syscall() that it is in, or makes next, gives -EINTR. Returns false when no
// signal could be sent: then only the next does.
bool interrupt(Interruptible& thread);

// Whether there is a signal for it. A policy may refuse to have one set.
bool can_interrupt();

// Whether the thread was, since then.
bool told_to_stop(const Interruptible& thread);

// A system call of such a thread: begun again when a signal that is not ours interrupts it; -EINTR only when the thread
// has been told to stop. In any other thread an ordinary system call.
long blocking_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0);

}  // namespace ringside::engine
