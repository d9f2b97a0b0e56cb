// SIGPIPE is for the thread that writes where nobody reads any more. What the kernel's workers write raises it in them,
// where it means nothing: so it must not reach the program when its own thread writes in a worker's place.
#pragma once

#include <stdint.h>

namespace ringside::engine {

// Holds the signal back as long as it lives.
class SigpipeHeld {
  public:
    SigpipeHeld();
    ~SigpipeHeld();
    SigpipeHeld(const SigpipeHeld&) = delete;
    SigpipeHeld& operator=(const SigpipeHeld&) = delete;

    // A call has given -EPIPE, and the signal with it, which nobody shall get. One that the program held back itself,
    // and that was pending before, stays.
    void take_back();

  private:
    uint64_t before_ = 0;
    bool was_pending_;
};

}  // namespace ringside::engine
