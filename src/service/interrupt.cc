#include "service/interrupt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "abi/interruptible.h"
#include "abi/syscall.h"
#include "state/lock.h"

namespace ringside::engine {
namespace {

thread_local Interruptible* this_thread = nullptr;

void on_interrupt(int, siginfo_t*, void* context) { abi::redirect_interrupted(context); }

// A signal that the program has not claimed, or 0 if it has claimed all.
int claim_signal() {
    for (int candidate = SIGRTMAX - 1; candidate > SIGRTMIN; --candidate) {
        struct sigaction present = {};
        if (sigaction(candidate, nullptr, &present) != 0) continue;
        if (present.sa_handler != SIG_DFL) continue;
        struct sigaction ours = {};
        ours.sa_sigaction = on_interrupt;
        ours.sa_flags = SA_SIGINFO;
        sigfillset(&ours.sa_mask);
        if (sigaction(candidate, &ours, nullptr) == 0) return candidate;
    }
    return 0;
}

int interrupt_signal() {
    static std::atomic<int> claimed{-1};
    static Lock lock;
    int signal = claimed.load(std::memory_order_acquire);
    if (signal >= 0) return signal;
    Guard guard(lock);
    signal = claimed.load(std::memory_order_relaxed);
    if (signal < 0) {
        signal = claim_signal();
        claimed.store(signal, std::memory_order_release);
    }
    return signal;
}

}  // namespace

void begin_interruptible(Interruptible& thread) {
    this_thread = &thread;
    thread.thread_id.store(static_cast<int>(abi::syscall(__NR_gettid)));
    const int signal = interrupt_signal();
    if (signal == 0) return;
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, signal);
    pthread_sigmask(SIG_UNBLOCK, &ours, nullptr);
}

void allow_blocking(Interruptible& thread) { __atomic_store_n(&thread.broken_off, 0, __ATOMIC_SEQ_CST); }

void interrupt(Interruptible& thread) {
    __atomic_store_n(&thread.broken_off, 1, __ATOMIC_SEQ_CST);
    const int signal = interrupt_signal();
    if (signal <= 0) return;
    const long process = abi::syscall(__NR_getpid);
    // There may be no room for one more pending signal (RLIMIT_SIGPENDING), mostly for a moment.
    constexpr int most_tries = 100;
    for (int tries = 0; tries < most_tries; ++tries) {
        if (abi::syscall(__NR_tgkill, process, thread.thread_id.load(), signal) != -EAGAIN) return;
        abi::syscall(__NR_sched_yield);
    }
}

bool told_to_stop(const Interruptible& thread) { return __atomic_load_n(&thread.broken_off, __ATOMIC_SEQ_CST) != 0; }

long blocking_syscall(long number, long a, long b, long c, long d, long e, long f) {
    if (this_thread == nullptr) return abi::syscall(number, a, b, c, d, e, f);
    const int* broken_off = &this_thread->broken_off;
    for (;;) {
        const long result = abi::ringside_interruptible_syscall(broken_off, number, a, b, c, d, e, f);
        if (result != -EINTR || told_to_stop(*this_thread)) return result;
    }
}

}  // namespace ringside::engine
