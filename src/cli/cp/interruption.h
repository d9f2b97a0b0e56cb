// SIGINT, SIGTERM and SIGHUP as a request on the ring: the copy hears of them between two completions, never in the
// middle of something.
#pragma once

#include <signal.h>

#include "cli/cp/queue.h"

namespace ringside::cli::cp {

class Interruption final : public Request {
  public:
    // Blocks the three signals, so that they wait to be read. Signals that were ignored when the program started stay
    // ignored. SIGXFSZ is ignored too: the error of the write says more.
    Interruption();
    // Restores the signal mask. A signal that is still pending takes effect now.
    ~Interruption();
    Interruption(const Interruption&) = delete;
    Interruption& operator=(const Interruption&) = delete;

    void watch(RequestQueue& queue);
    void complete(int result) override;

    // The signal that came, 0 before one does.
    int signal() const { return signal_; }

  private:
    sigset_t before_;
    int fd_;
    int signal_ = 0;
};

}  // namespace ringside::cli::cp
