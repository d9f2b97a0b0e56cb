#include "cli/kernel_answer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <initializer_list>
#include <system_error>

#include "provider/kernel.h"

namespace ringside::cli {
namespace {

// A seccomp supervisor may receive the call and never answer it.
constexpr unsigned patience_s = 10;
constexpr int no_ring = -1;

// These come from a filter, from a security module, or from a kernel without io_uring. Any other errno comes from the
// call itself.
bool says_no(int error) { return error == EPERM || error == ENOSYS || error == EACCES || error == EOPNOTSUPP; }

// The answer that a child's exit status stands for. An errno fits into an exit status.
Answer answer_of(int status) {
    if (WIFSIGNALED(status)) {
        const int number = WTERMSIG(status);
        return {number == SIGALRM ? Answer::Kind::silent : Answer::Kind::killed, number};
    }
    const int error = WEXITSTATUS(status);
    return {error == 0 ? Answer::Kind::allowed : Answer::Kind::refused, error};
}

// Makes a call in a child; `call` returns 0 or an errno.
template <typename Call>
Answer ask(Call call) {
    const pid_t child = fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) {
        // A policy's kill writes no core file for our sake, and the timer's signal ends the child whatever the parent
        // made of it.
        prctl(PR_SET_DUMPABLE, 0);
        signal(SIGALRM, SIG_DFL);
        alarm(patience_s);
        _exit(call());
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid");
    }
    return answer_of(status);
}

int smallest_ring() {
    io_uring_params params = {};
    return kernel::setup(1, &params);
}

int error_of_policy(int result) { return result < 0 && says_no(-result) ? -result : 0; }

// If setup is refused, the other two calls are tried without a ring. The kernel itself answers EBADF then, so any
// other answer is a filter's.
int ring_or_none(bool rings_allowed) { return rings_allowed ? smallest_ring() : no_ring; }

}  // namespace

bool KernelAnswers::deadly() const {
    for (const Answer& answer : {setup, enter, register_call}) {
        if (answer.kind == Answer::Kind::killed) return true;
    }
    return false;
}

Answer ask_kernel_for_setup() {
    return ask([] {
        const int ring = smallest_ring();
        return ring < 0 ? -ring : 0;
    });
}

KernelAnswers ask_kernel() {
    KernelAnswers answers;
    answers.setup = ask_kernel_for_setup();
    const bool rings_allowed = answers.setup.allowed();
    answers.enter = ask([rings_allowed] {
        const auto ring = static_cast<unsigned>(ring_or_none(rings_allowed));
        return error_of_policy(kernel::enter(ring, 0, 0, 0, nullptr, 0));
    });
    answers.register_call = ask([rings_allowed] {
        const auto ring = static_cast<unsigned>(ring_or_none(rings_allowed));
        return error_of_policy(kernel::register_call(ring, IORING_UNREGISTER_BUFFERS, nullptr, 0));
    });
    return answers;
}

std::string name_of_number(const Answer& answer) {
    if (answer.kind == Answer::Kind::refused) {
        const char* name = strerrorname_np(answer.number);
        return name != nullptr ? name : fmt::format("errno {}", answer.number);
    }
    if (answer.kind == Answer::Kind::killed) {
        const char* name = sigabbrev_np(answer.number);
        return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", answer.number);
    }
    return {};
}

}  // namespace ringside::cli
