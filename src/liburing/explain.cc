// Why a ring could not be set up, in words. An errno alone sends people looking in the wrong place: EPERM is a sysctl
// on one machine and a seccomp filter on the next.
#include <errno.h>
#include <fcntl.h>

#include "abi/syscall.h"
#include "liburing/api.h"

namespace {

using namespace ringside;

// The sysctl kernel.io_uring_disabled: '0', '1' or '2', or 0 where there is none.
char io_uring_disabled() {
    const long fd = abi::syscall(__NR_openat, AT_FDCWD, "/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    char value = 0;
    abi::syscall(__NR_read, fd, &value, 1);
    abi::syscall(__NR_close, fd);
    return value;
}

const char* explain_eperm() {
    switch (io_uring_disabled()) {
        case '2':
            return "the sysctl kernel.io_uring_disabled is 2, which refuses io_uring to everybody; set it to 0, or "
                   "let the engine run the rings (RINGSIDE_PROVIDER=auto)";
        case '1':
            return "the sysctl kernel.io_uring_disabled is 1, which refuses io_uring to all but CAP_SYS_ADMIN and the "
                   "group of kernel.io_uring_group; join it, set the sysctl to 0, or let the engine run the rings "
                   "(RINGSIDE_PROVIDER=auto)";
        default:
            return "most likely a seccomp filter refuses io_uring, as the default profiles of container runtimes do; "
                   "allow io_uring_setup, io_uring_enter and io_uring_register there, or let the engine run the rings "
                   "(RINGSIDE_PROVIDER=auto)";
    }
}

}  // namespace

const char* ringside_explain_setup(int error) {
    switch (error < 0 ? -error : error) {
        case EPERM:
            return explain_eperm();
        case ENOSYS:
            return "the kernel has no io_uring (it is older than Linux 5.1 or built without, or a sandbox hides it); "
                   "let the engine run the rings (RINGSIDE_PROVIDER=auto)";
        case EACCES:
        case EOPNOTSUPP:
            return "a security module or a sandbox refuses io_uring; let the engine run the rings "
                   "(RINGSIDE_PROVIDER=auto)";
        case EINVAL:
            return "a size is out of range, or a flag is unknown to this provider or needs another one";
        case ENOMEM:
            return "memory is short, or (before Linux 5.12) more of it would be locked than RLIMIT_MEMLOCK allows; ask "
                   "for fewer entries, or raise ulimit -l";
        case EMFILE:
            return "the process has too many open files; close some, or raise ulimit -n";
        case ENFILE:
            return "the system has too many open files; raise the sysctl fs.file-max";
        default:
            return "io_uring_setup(2) tells what this error means";
    }
}
