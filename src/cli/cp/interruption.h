// SIGINT, SIGTERM and SIGHUP as a request on the ring: the copy hears of them between two completions, never in the
// middle of something.
#pragma once

#include <signal.h>

#include "cli/cp/queue.h"

namespace ringside::cli::cp {

class Interruption final : public Request {
  public:
    // From here on the three signals wait to be read, except for those that the program was started to ignore. A signal
    // of a failed write is ignored: the write's own error says more.
    Interruption();
    // Gives the signals back; one that came and was not acted upon yet acts now.
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
