#include "support/counted_calls.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ringside::test {
namespace {

// Calls that nobody else makes: they fail, and mark the beginning and the end of what is counted.
constexpr long begin_mark = -4711, end_mark = -4712;

bool is_mark(const __ptrace_syscall_info& info, long mark) {
    return info.entry.nr == SYS_getpgid && static_cast<int>(info.entry.args[0]) == static_cast<int>(mark);
}

// Lets the child run to its end, call by call.
int follow(pid_t child) {
    constexpr long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
    int status, calls = 0;
    bool counts = false;
    if (waitpid(child, &status, 0) != child || ptrace(PTRACE_SETOPTIONS, child, nullptr, options) != 0) return -1;
    ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    while (waitpid(child, &status, 0) == child) {
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? calls : -1;
        }
        int signal = WSTOPSIG(status);
        if (signal == (SIGTRAP | 0x80)) {
            __ptrace_syscall_info info = {};
            ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info);
            if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
                if (is_mark(info, end_mark)) counts = false;
                if (counts) ++calls;
                if (is_mark(info, begin_mark)) counts = true;
            }
            signal = 0;
        }
        ptrace(PTRACE_SYSCALL, child, nullptr, signal);
    }
    return -1;
}

}  // namespace

int count_calls(const std::function<void(const Counted&)>& body) {
    const pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        raise(SIGSTOP);
        body([](const std::function<void()>& part) {
            syscall(SYS_getpgid, begin_mark);
            part();
            syscall(SYS_getpgid, end_mark);
        });
        _exit(testing::Test::HasFailure());
    }
    return follow(child);
}

}  // namespace ringside::test
