#include "preload/trap.h"

#include <errno.h>
#include <atomic>

#include "abi/syscall.h"
#include "entry/engine.h"
#include "preload/filter.h"
#include "preload/next.h"
#include "preload/rewrite.h"
#include "preload/serve.h"
#include "preload/trap_context.h"

namespace ringside::preload {
namespace {

// siginfo_t's si_code for a trap by a filter: SYS_SECCOMP, which some libcs do not define.
constexpr int by_filter = 1;

std::atomic<bool> trap_set{false};

// The program's own action for SIGSYS. The handler may read the slot in force at any time, so a change fills the
// other slot and then switches to it.
struct sigaction program_actions[2] = {};
std::atomic<unsigned> program_action_in_force{0};

const struct sigaction& program_action() {
    return program_actions[program_action_in_force.load(std::memory_order_acquire)];
}

// Ends the process as SIGSYS does when nobody handles it.
void die_of_sigsys() {
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    next.sigaction(SIGSYS, &action, nullptr);
    const long process = abi::syscall(__NR_getpid);
    abi::syscall(__NR_tgkill, process, abi::syscall(__NR_gettid), SIGSYS);
}

// A SIGSYS of the program's own making: a sandbox that traps other calls, or a kill().
void hand_to_program(int number, siginfo_t* info, void* context) {
    const struct sigaction action = program_action();
    const bool forced = info->si_code == by_filter;
    if ((action.sa_flags & SA_SIGINFO) != 0) {
        action.sa_sigaction(number, info, context);
    } else if (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN) {
        action.sa_handler(number);
    } else if (forced || action.sa_handler == SIG_DFL) {
        die_of_sigsys();
    }
}

// For a ring without a descriptor, setup returns an index, which may be the descriptor number of another ring. Then
// the engine watches that ring for an unseen close, which costs a thread and nothing else.
long serve_trapped(const Call& call) {
    const long result = serve(call);
    if (call.number == __NR_io_uring_setup && result >= 0) engine::expect_unseen_close(static_cast<int>(result));
    return result;
}

// Answers the call if it is one that our filter traps.
bool answer(ucontext_t& context) {
    const Call call = trapped_call(context);
    if (!is_io_uring(call.number)) return false;
    announce();
    if (call.number == __NR_io_uring_enter) consider_rewriting(address_behind_trapped_call(context));
    answer_trapped_call(context, serve_trapped(call));
    return true;
}

void on_sigsys(int number, siginfo_t* info, void* context) {
    const int error = errno;
    const bool ours = info->si_code == by_filter && answer(*static_cast<ucontext_t*>(context));
    errno = error;
    if (!ours) hand_to_program(number, info, context);
}

// The handler runs with the program's own signal mask. The program's handlers may interrupt it, as they may interrupt
// a system call; the engine then answers EINTR, as the kernel would. It runs on the stack of the call. A program's
// alternate stack may be too small for the engine.
int take_sigsys() {
    struct sigaction ours = {};
    struct sigaction before = {};
    ours.sa_sigaction = on_sigsys;
    ours.sa_flags = SA_SIGINFO | SA_NODEFER;
    if (next.sigaction(SIGSYS, &ours, &before) != 0) return -errno;
    program_actions[0] = before;
    // A blocked SIGSYS would kill the program, and it may have been started with SIGSYS blocked.
    sigset_t sigsys;
    sigemptyset(&sigsys);
    sigaddset(&sigsys, SIGSYS);
    next.pthread_sigmask(SIG_UNBLOCK, &sigsys, nullptr);
    return 0;
}

}  // namespace

int set_trap() {
    const int error = errno;
    prepare_rewriting();
    int result = take_sigsys();
    if (result == 0) trap_set.store(true, std::memory_order_relaxed);
    if (result == 0) result = install_filter();
    errno = error;
    return result;
}

bool is_trap_set() { return trap_set.load(std::memory_order_relaxed); }

void exchange_program_action(const struct sigaction* action, struct sigaction* old) {
    const unsigned in_force = program_action_in_force.load(std::memory_order_relaxed);
    const struct sigaction before = program_actions[in_force];
    if (action != nullptr) {
        program_actions[1 - in_force] = *action;
        program_action_in_force.store(1 - in_force, std::memory_order_release);
    }
    if (old != nullptr) *old = before;
}

}  // namespace ringside::preload
