#include "preload/by_number.h"

#include <errno.h>

#include "memory/user_memory.h"
#include "preload/interposed.h"
#include "preload/next.h"
#include "preload/rings.h"
#include "preload/translated_poll.h"
#include "preload/trap.h"

namespace ringside::preload {
namespace {

constexpr long kernel_sigset_size = 8;

template <typename T>
T* pointer(long argument) {
    return reinterpret_cast<T*>(argument);
}
int number(long argument) { return static_cast<int>(argument); }

// --- Descriptors. Only calls on rings go to the interposers: libc's close() is a cancellation point, and syscall()
// is not.

long by_close(const Call& call) {
    const long* a = call.arguments;
    return own_ring(number(a[0])) != nullptr ? interposed_close(number(a[0])) : pass(call);
}

long by_dup(const Call& call) {
    const long* a = call.arguments;
    return own_ring(number(a[0])) != nullptr ? interposed_dup(number(a[0])) : pass(call);
}

bool names_a_ring(const long* a) { return own_ring(number(a[0])) != nullptr || own_ring(number(a[1])) != nullptr; }

#ifdef __NR_dup2
long by_dup2(const Call& call) {
    const long* a = call.arguments;
    return names_a_ring(a) ? interposed_dup2(number(a[0]), number(a[1])) : pass(call);
}
#endif

long by_dup3(const Call& call) {
    const long* a = call.arguments;
    return names_a_ring(a) ? interposed_dup3(number(a[0]), number(a[1]), number(a[2])) : pass(call);
}

long by_fcntl(const Call& call) {
    const long* a = call.arguments;
    return own_ring(number(a[0])) != nullptr ? interposed_fcntl(number(a[0]), number(a[1]), a[2]) : pass(call);
}

long by_close_range(const Call& call) {
    const long* a = call.arguments;
    if (!may_have_rings()) return pass(call);
    return interposed_close_range(static_cast<unsigned>(a[0]), static_cast<unsigned>(a[1]), number(a[2]));
}

// --- Waiting. The system calls leave the time that is left in the program's timeout, libc's functions do not.

class TimeLeft {
  public:
    explicit TimeLeft(timespec* timeout) : timeout_(timeout), begun_ns_(now_ns()) {}
    void store() const {
        if (timeout_ == nullptr || !is_valid(*timeout_)) return;
        const int64_t whole_ns = nanoseconds_of(*timeout_);
        const int64_t passed_ns = now_ns() - begun_ns_;
        if (whole_ns == for_ever) return;
        const int64_t left_ns = passed_ns < whole_ns ? whole_ns - passed_ns : 0;
        *timeout_ = {left_ns / nanoseconds_per_second, left_ns % nanoseconds_per_second};
    }

  private:
    timespec* timeout_;
    int64_t begun_ns_;
};

bool is_mask(long mask, long size) { return mask == 0 || size == kernel_sigset_size; }

bool polls_a_ring(const long* a) { return TranslatedPoll::needed(pointer<pollfd>(a[0]), static_cast<unsigned>(a[1])); }

#ifdef __NR_poll
long by_poll(const Call& call) {
    const long* a = call.arguments;
    if (!polls_a_ring(a)) return pass(call);
    return interposed_poll(pointer<pollfd>(a[0]), static_cast<unsigned>(a[1]), number(a[2]));
}
#endif

long by_ppoll(const Call& call) {
    const long* a = call.arguments;
    if (!polls_a_ring(a) || !is_mask(a[3], a[4])) return pass(call);
    const TimeLeft left(pointer<timespec>(a[2]));
    const int result = interposed_ppoll(pointer<pollfd>(a[0]), static_cast<unsigned>(a[1]), pointer<timespec>(a[2]),
                                        pointer<sigset_t>(a[3]));
    left.store();
    return result;
}

bool selects_a_ring(const long* a) {
    return may_have_rings() &&
           select_names_a_ring(number(a[0]), pointer<fd_set>(a[1]), pointer<fd_set>(a[2]), pointer<fd_set>(a[3]));
}

#ifdef __NR_select
long by_select(const Call& call) {
    const long* a = call.arguments;
    if (!selects_a_ring(a)) return pass(call);
    return interposed_select(number(a[0]), pointer<fd_set>(a[1]), pointer<fd_set>(a[2]), pointer<fd_set>(a[3]),
                             pointer<timeval>(a[4]));
}
#endif

long by_pselect6(const Call& call) {
    const long* a = call.arguments;
    if (!selects_a_ring(a)) return pass(call);
    struct {
        long mask;
        long size;
    } mask = {};
    if (a[5] != 0 && engine::read_user(mask, static_cast<uint64_t>(a[5])) < 0) return pass(call);
    if (!is_mask(mask.mask, mask.size)) return pass(call);
    const TimeLeft left(pointer<timespec>(a[4]));
    const int result = interposed_pselect(number(a[0]), pointer<fd_set>(a[1]), pointer<fd_set>(a[2]),
                                          pointer<fd_set>(a[3]), pointer<timespec>(a[4]), pointer<sigset_t>(mask.mask));
    left.store();
    return result;
}

long by_epoll_ctl(const Call& call) {
    const long* a = call.arguments;
    if (own_ring(number(a[2])) == nullptr) return pass(call);
    return interposed_epoll_ctl(number(a[0]), number(a[1]), number(a[2]), pointer<epoll_event>(a[3]));
}

// The kernel does the wait. Before it, the descriptor of each ring in the set is brought in line with the ring.
long by_epoll_wait(const Call& call) {
    settle_rings_in_epoll();
    return pass(call);
}

// --- Signals, as in signals.cc: SIGSYS is never blocked, and its action is the trap's.

// The kernel's struct sigaction on the processors that we know.
struct KernelAction {
    sighandler_t handler;
    unsigned long flags;
    void (*restorer)();
    uint64_t mask;
};

constexpr uint64_t sigsys_bit = uint64_t{1} << (SIGSYS - 1);

long exchange_sigsys(const KernelAction* wanted, long old_address) {
    struct sigaction action = {}, before = {};
    if (wanted != nullptr) {
        action.sa_handler = wanted->handler;
        action.sa_flags = static_cast<int>(wanted->flags);
    }
    exchange_program_action(wanted != nullptr ? &action : nullptr, &before);
    const KernelAction old = {before.sa_handler, static_cast<unsigned>(before.sa_flags), nullptr, 0};
    if (old_address == 0) return 0;
    return answer_as_libc(engine::write_user(static_cast<uint64_t>(old_address), old));
}

long by_rt_sigaction(const Call& call) {
    const long* a = call.arguments;
    if (!is_trap_set() || a[3] != kernel_sigset_size) return pass(call);
    KernelAction action = {};
    if (a[1] != 0 && engine::read_user(action, static_cast<uint64_t>(a[1])) < 0) return pass(call);
    if (a[0] == SIGSYS) return exchange_sigsys(a[1] != 0 ? &action : nullptr, a[2]);
    if (a[1] == 0 || (action.mask & sigsys_bit) == 0) return pass(call);
    action.mask &= ~sigsys_bit;
    return pass({call.number, {a[0], reinterpret_cast<long>(&action), a[2], a[3], a[4], a[5]}});
}

long by_rt_sigprocmask(const Call& call) {
    const long* a = call.arguments;
    uint64_t set = 0;
    const bool may_block = is_trap_set() && a[1] != 0 && a[0] != SIG_UNBLOCK && a[3] == kernel_sigset_size;
    if (!may_block || engine::read_user(set, static_cast<uint64_t>(a[1])) < 0) return pass(call);
    set &= ~sigsys_bit;
    return pass({call.number, {a[0], reinterpret_cast<long>(&set), a[2], a[3], a[4], a[5]}});
}

// --- io_uring itself.

long by_io_uring(const Call& call) {
    const bool by_engine = engine_serves();
    if (call.number == __NR_io_uring_setup) announce();
    return by_engine ? answer_as_libc(serve(call)) : pass(call);
}

}  // namespace

long pass(const Call& call) {
    const long* a = call.arguments;
    return next.syscall(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

AnswerByNumber answer_by_number(long number) {
    switch (number) {
        case __NR_io_uring_setup:
        case __NR_io_uring_enter:
        case __NR_io_uring_register:
            return by_io_uring;
        case __NR_close:
            return by_close;
        case __NR_close_range:
            return by_close_range;
        case __NR_dup:
            return by_dup;
#ifdef __NR_dup2
        case __NR_dup2:
            return by_dup2;
#endif
        case __NR_dup3:
            return by_dup3;
        case __NR_fcntl:
            return by_fcntl;
#ifdef __NR_poll
        case __NR_poll:
            return by_poll;
#endif
        case __NR_ppoll:
            return by_ppoll;
#ifdef __NR_select
        case __NR_select:
            return by_select;
#endif
        case __NR_pselect6:
            return by_pselect6;
        case __NR_epoll_ctl:
            return by_epoll_ctl;
#ifdef __NR_epoll_wait
        case __NR_epoll_wait:
#endif
#ifdef __NR_epoll_pwait2
        case __NR_epoll_pwait2:
#endif
        case __NR_epoll_pwait:
            return by_epoll_wait;
        case __NR_rt_sigaction:
            return by_rt_sigaction;
        case __NR_rt_sigprocmask:
            return by_rt_sigprocmask;
        default:
            return nullptr;
    }
}

}  // namespace ringside::preload
