// For a build that counts lines (RINGSIDE_COVERAGE), in place of two functions by the linker's leave
// (tests/CMakeLists.txt). A child's counters are written out before _exit(2), which would lose them; and they are not
// reset after fork(2), when the engine has already done something there.
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>

extern "C" {
#include <gcov.h>
}

extern "C" pid_t plain_fork() asm("fork");
extern "C" pid_t __wrap___gcov_fork();
extern "C" [[noreturn]] void __real__exit(int status);
extern "C" [[noreturn]] void __wrap__exit(int status);

pid_t __wrap___gcov_fork() { return plain_fork(); }

// What a test has limited for its child. Returns whether there is no limit then.
static bool lift_limit(__rlimit_resource resource) {
    rlimit limit;
    getrlimit(resource, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(resource, &limit);
    return limit.rlim_max == RLIM_INFINITY;
}

void __wrap__exit(int status) {
    lift_limit(RLIMIT_NOFILE);
    // Who may write but a part of a file leaves it alone.
    if (lift_limit(RLIMIT_FSIZE)) __gcov_dump();
    __real__exit(status);
}

namespace {

// Some children have become others than those whom the files belong to. They can write what is there already.
[[gnu::constructor]] void let_everybody_write_counters() {
    const mode_t mask = umask(0);
    __gcov_dump();
    __gcov_reset();
    umask(mask);
}

}  // namespace
