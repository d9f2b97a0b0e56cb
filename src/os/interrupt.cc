// The signal is the one that libc keeps for pthread_cancel(). A program cannot set, reset, ignore or block it through
// libc: loops over all signals leave it out, and no program sends it to a process. Any other signal becomes the
// program's sooner or later, and then ends the process, runs the program's handler on a worker's stack, or does
// nothing.
//
// libc uses it for signals from pthread_cancel() (SI_TKILL of this process) and disregards all others. Ours are queued
// with a value that tells them apart, so each of the two handlers may receive the other's signals:
//
//     our handler                                      libc's handler, set by the first pthread_cancel()
//     one of ours: moves the thread past its call      one of ours: returns, so that the call gives -EINTR
//     any other: passes it on to the handler before    its own: cancels the thread
//
// Somebody may set a handler by the bare system call (libc does). So before each signal ours is set again if it is not
// there, and after it that is looked at once more.
#include "os/interrupt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>

#include "abi/interruptible.h"
#include "abi/syscall.h"

namespace ringside::engine {
namespace {

#ifdef __GLIBC__
constexpr int cancel_signal = 32;
#else
constexpr int cancel_signal = 33;  // musl
#endif

using Handler = void (*)(int, siginfo_t*, void*);

// struct sigaction as the kernel knows it. libc's function refuses this signal.
struct Action {
    Handler handler;
    unsigned long flags;
    void (*restorer)();
    uint64_t mask;
};

constexpr unsigned long has_restorer = 0x04000000;  // SA_RESTORER
constexpr size_t mask_size = sizeof(Action::mask);

thread_local Interruptible* this_thread = nullptr;

std::atomic<Handler> handler_before{nullptr};
constexpr char mark_of_ours = 0;  // its address is the value of our signals

bool is_function(Handler handler) {
    const auto value = reinterpret_cast<uintptr_t>(handler);
    return value != reinterpret_cast<uintptr_t>(SIG_DFL) && value != reinterpret_cast<uintptr_t>(SIG_IGN);
}

// It may run at any point of any thread, which a race detector that it calls does not expect.
__attribute__((no_sanitize("thread"))) void on_interrupt(int signal, siginfo_t* info, void* context) {
    // Only threads of ours are ever inside of the stub.
    abi::redirect_interrupted(context);
    if (info->si_code == SI_QUEUE && info->si_value.sival_ptr == &mark_of_ours) return;
    const Handler before = handler_before.load(std::memory_order_acquire);
    if (is_function(before)) before(signal, info, context);
}

long act(const Action* action, Action* former) {
    return abi::syscall(__NR_rt_sigaction, cancel_signal, action, former, mask_size);
}

bool is_taken() {
    Action present = {};
    return act(nullptr, &present) == 0 && present.handler == on_interrupt;
}

// Sets our handler before the one that is there, unless it is. Two threads may do so at a time.
bool take_signal() {
    Action present = {};
    if (act(nullptr, &present) != 0) return false;
    if (present.handler == on_interrupt) return true;
    Action ours = present;
    if (!is_function(present.handler)) ours = {nullptr, 0, nullptr, ~uint64_t{0}};
    ours.handler = on_interrupt;
    ours.flags = (ours.flags & ~static_cast<unsigned long>(SA_RESETHAND)) | SA_SIGINFO | has_restorer;
    ours.restorer = abi::ringside_return_from_signal;
    handler_before.store(present.handler, std::memory_order_release);
    Action former = {};
    if (act(&ours, &former) != 0) return false;
    if (former.handler != on_interrupt) handler_before.store(former.handler, std::memory_order_release);
    return true;
}

long send_signal(int thread_id) {
    const long process = abi::syscall(__NR_getpid);
    siginfo_t info = {};
    info.si_signo = cancel_signal;
    info.si_code = SI_QUEUE;
    info.si_pid = static_cast<pid_t>(process);
    info.si_value.sival_ptr = const_cast<char*>(&mark_of_ours);
    const long result = abi::syscall(__NR_rt_tgsigqueueinfo, process, thread_id, cancel_signal, &info);
    // A policy may refuse it. libc takes one of these for a cancellation, which our threads have disabled.
    const bool refused = result == -EPERM || result == -ENOSYS || result == -EACCES;
    return refused ? abi::syscall(__NR_tgkill, process, thread_id, cancel_signal) : result;
}

}  // namespace

void begin_interruptible(Interruptible& thread) {
    this_thread = &thread;
    thread.thread_id.store(static_cast<int>(abi::syscall(__NR_gettid)));
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
    const uint64_t ours = uint64_t{1} << (cancel_signal - 1);
    abi::syscall(__NR_rt_sigprocmask, SIG_UNBLOCK, &ours, nullptr, mask_size);
}

void allow_blocking(Interruptible& thread) { __atomic_store_n(&thread.broken_off, 0, __ATOMIC_SEQ_CST); }

bool can_interrupt() { return take_signal(); }

bool interrupt(Interruptible& thread) {
    __atomic_store_n(&thread.broken_off, 1, __ATOMIC_SEQ_CST);
    // There may be no room for one more pending signal (RLIMIT_SIGPENDING), mostly for a moment.
    constexpr int most_tries = 100;
    for (int tries = 0; tries < most_tries; ++tries) {
        if (!take_signal()) return false;
        const long result = send_signal(thread.thread_id.load());
        if (result == 0 && is_taken()) return true;
        if (result != 0 && result != -EAGAIN) return false;
        if (result != 0) abi::syscall(__NR_sched_yield);
    }
    return false;
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
