// The line on stderr by which RINGSIDE_VERBOSE=1 tells who runs a program's rings: once, at the first ring. stdio's
// formatting only, since this may run within a trapped system call of the program.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <atomic>

#include "provider/provider.h"

namespace ringside::provider {
namespace {

const char* name_of_refusal(int error) {
    switch (error) {
        case EPERM:
            return " (EPERM)";
        case ENOSYS:
            return " (ENOSYS)";
        case EACCES:
            return " (EACCES)";
        case EOPNOTSUPP:
            return " (EOPNOTSUPP)";
        default:
            return "";
    }
}

void write_announcement(const Choice& choice, const char* remark) {
    char line[256];
    const int length = snprintf(line, sizeof line, "ringside: io_uring of %s (%d) is the %s's: %s%s%s\n",
                                program_invocation_short_name, getpid(), name(choice.kind), choice.reason,
                                name_of_refusal(choice.refusal), remark);
    const size_t size = static_cast<size_t>(length) < sizeof line ? static_cast<size_t>(length) : sizeof line - 1;
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line, size);
}

}  // namespace

bool announcement_due() {
    static std::atomic<bool> announced{false};
    if (announced.load(std::memory_order_relaxed) || announced.exchange(true)) return false;
    const char* verbose = secure_getenv("RINGSIDE_VERBOSE");
    return verbose != nullptr && strcmp(verbose, "1") == 0;
}

void announce(const Choice& choice, const char* remark) {
    const int error = errno;
    write_announcement(choice, remark);
    errno = error;
}

}  // namespace ringside::provider
