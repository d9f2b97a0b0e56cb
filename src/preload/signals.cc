// libc's functions about signals, for SIGSYS alone: the program's own action for it must not displace our handler, and
// it must never be blocked, since the kernel kills a thread that is trapped while it is.
//
// The masks of ppoll(), epoll_pwait() and sigsuspend() are left alone: while one of these waits, the thread makes no
// other call.
#include <errno.h>

#include "preload/interposed.h"
#include "preload/next.h"
#include "preload/trap.h"

namespace ringside::preload {
namespace {

sigset_t without_sigsys(sigset_t set) {
    sigdelset(&set, SIGSYS);
    return set;
}

// sigprocmask() and pthread_sigmask() differ only in how they report an error.
template <typename Function>
int mask_through(Function next_mask, int how, const sigset_t* set, sigset_t* old) {
    if (set == nullptr || how == SIG_UNBLOCK || !is_trap_set()) return next_mask(how, set, old);
    const sigset_t safe = without_sigsys(*set);
    return next_mask(how, &safe, old);
}

int act_through(int number, const struct sigaction* action, struct sigaction* old) {
    if (action == nullptr) return next.sigaction(number, action, old);
    struct sigaction safe = *action;
    safe.sa_mask = without_sigsys(safe.sa_mask);
    return next.sigaction(number, &safe, old);
}

sighandler_t exchange_handler(sighandler_t handler, int flags) {
    struct sigaction action = {};
    struct sigaction old = {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    exchange_program_action(&action, &old);
    return old.sa_handler;
}

}  // namespace

extern "C" {

int interposed_sigaction(int number, const struct sigaction* action, struct sigaction* old) {
    if (!is_trap_set()) return next.sigaction(number, action, old);
    if (number != SIGSYS) return act_through(number, action, old);
    exchange_program_action(action, old);
    return 0;
}

sighandler_t interposed_signal(int number, sighandler_t handler) {
    if (number != SIGSYS || !is_trap_set()) return next.signal(number, handler);
    return exchange_handler(handler, SA_RESTART);
}

sighandler_t interposed_sysv_signal(int number, sighandler_t handler) {
    if (number != SIGSYS || !is_trap_set()) return next.sysv_signal(number, handler);
    return exchange_handler(handler, SA_RESETHAND | SA_NODEFER);
}

int interposed_sigprocmask(int how, const sigset_t* set, sigset_t* old) {
    return mask_through(next.sigprocmask, how, set, old);
}

int interposed_pthread_sigmask(int how, const sigset_t* set, sigset_t* old) {
    return mask_through(next.pthread_sigmask, how, set, old);
}

}  // extern "C"
}  // namespace ringside::preload
