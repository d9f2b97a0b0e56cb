// The message for a child of fork() that uses its parent's ring.
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "abi/syscall.h"
#include "entry/entry.h"

namespace ringside::engine {
namespace {

void explain() {
    static std::atomic<bool> explained{false};
    if (explained.load(std::memory_order_relaxed) || explained.exchange(true)) return;
    char line[320];
    const int length = snprintf(line, sizeof(line),
                                "ringside: %s (%d) uses a ring that its parent process made before fork(): with the "
                                "engine a ring works in the process that made it alone, so this gives EBADF. The child "
                                "has to make a ring of its own.\n",
                                program_invocation_short_name, static_cast<int>(abi::syscall(__NR_getpid)));
    const auto size = static_cast<size_t>(length);
    abi::syscall(__NR_write, STDERR_FILENO, line, size < sizeof(line) ? size : sizeof(line) - 1);
}

}  // namespace

__attribute__((noinline, cold)) int refuse_closed(const Ring& ring) {
    if (ring.open && ring.inherited) explain();
    return -EBADF;
}

}  // namespace ringside::engine
