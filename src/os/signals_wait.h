// All signals of the calling thread wait while one of these lives: a handler that entered the engine would wait for its
// own thread. Two system calls.
#pragma once

#include <signal.h>

#include "abi/syscall.h"

namespace ringside::engine {

class SignalsWait {
  public:
    SignalsWait() {
        sigset_t all;
        sigfillset(&all);
        abi::syscall(__NR_rt_sigprocmask, SIG_SETMASK, &all, &before_, kernel_sigset_size);
    }
    ~SignalsWait() { abi::syscall(__NR_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, kernel_sigset_size); }
    SignalsWait(const SignalsWait&) = delete;
    SignalsWait& operator=(const SignalsWait&) = delete;

  private:
    static constexpr size_t kernel_sigset_size = 8;
    sigset_t before_ = {};
};

}  // namespace ringside::engine
