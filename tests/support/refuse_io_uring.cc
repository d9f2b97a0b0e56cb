// refuse-io-uring [--errno=NAME] -- CMD...
//
// Runs CMD where the three io_uring system calls are refused, the way a container's default policy refuses them: with
// an errno (EPERM unless told otherwise), by killing the process (KILL) or with SIGSYS (TRAP).
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <string_view>

#include "support/seccomp_filter.h"

namespace {

constexpr int exit_usage = 2;
constexpr int exit_cannot_run = 126;

int usage() {
    fputs("usage: refuse-io-uring [--errno=EPERM|ENOSYS|EACCES|...|KILL|TRAP] -- CMD [ARGUMENT...]\n", stderr);
    return exit_usage;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace ringside::test;
    constexpr std::string_view errno_option = "--errno=";

    Refusal refusal = default_refusal();
    int next = 1;
    for (; next < argc && std::string_view(argv[next]) != "--"; ++next) {
        const std::string_view argument = argv[next];
        if (!argument.starts_with(errno_option)) return usage();
        const auto named = refusal_named(argument.substr(errno_option.size()));
        if (!named) return usage();
        refusal = *named;
    }
    char** command = argv + next + 1;
    if (next + 1 >= argc) return usage();

    if (const int result = refuse_io_uring(refusal); result != 0) {
        fprintf(stderr, "refuse-io-uring: cannot install the filter: %s\n", strerror(-result));
        return exit_cannot_run;
    }
    execvp(command[0], command);
    fprintf(stderr, "refuse-io-uring: cannot run %s: %s\n", command[0], strerror(errno));
    return exit_cannot_run;
}
