// A ring that a thread of its own is in nearly all the time, with batches that take long: others find it at work.
#pragma once

#include <atomic>
#include <thread>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {

class BusyRing {
  public:
    BusyRing()
        : thread_([this] {
              while (!stop_) work();
          }) {}
    ~BusyRing() { leave(); }
    BusyRing(const BusyRing&) = delete;
    BusyRing& operator=(const BusyRing&) = delete;

    RawRing& ring() { return ring_; }

    // Nobody is in it from here on.
    void leave() {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
    }

  private:
    static constexpr unsigned batch = 8, size = 1 << 18;

    void work() {
        for (unsigned entry = 0; entry < batch; ++entry) ring_.push(sqe::read(file_, memory_.data(), size));
        ring_.enter(batch, batch, IORING_ENTER_GETEVENTS);
        ring_.reap();
    }

    RawRing ring_{batch};
    const Fd file_ = file_with(std::string(size, 'x'));
    AlignedBuffer memory_{size};
    std::atomic<bool> stop_ = false;
    std::thread thread_;
};

}  // namespace ringside::test
