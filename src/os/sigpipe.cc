#include "os/sigpipe.h"

#include <signal.h>
#include <time.h>

#include "abi/syscall.h"

namespace ringside::engine {
namespace {

// As the kernel's calls take it: a bit for each signal.
constexpr uint64_t sigpipe = uint64_t{1} << (SIGPIPE - 1);

bool is_pending() {
    uint64_t pending = 0;
    abi::syscall(__NR_rt_sigpending, &pending, sizeof(pending));
    return pending & sigpipe;
}

}  // namespace

SigpipeHeld::SigpipeHeld() {
    abi::syscall(__NR_rt_sigprocmask, SIG_BLOCK, &sigpipe, &before_, sizeof(sigpipe));
    was_pending_ = (before_ & sigpipe) && is_pending();
}

SigpipeHeld::~SigpipeHeld() { abi::syscall(__NR_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof(before_)); }

void SigpipeHeld::take_back() {
    if (was_pending_) return;
    const timespec at_once = {0, 0};
    abi::syscall(__NR_rt_sigtimedwait, &sigpipe, nullptr, &at_once, sizeof(sigpipe));
}

}  // namespace ringside::engine
