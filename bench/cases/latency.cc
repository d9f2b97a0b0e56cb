// How long one request takes when there is little to do: a message to a server on the other core and its answer, with a
// pause before the next one. The figure is a percentile of a sample's round trips.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "case.h"
#include "load.h"
#include "pairs.h"
#include "ring.h"

namespace bench {
namespace {

// The server is a plain one. It serves one connection.
void answer(uint16_t, unsigned fd) {
    char message[message_size];
    for (ssize_t size; (size = read(static_cast<int>(fd), message, sizeof message)) > 0;) {
        if (write(static_cast<int>(fd), message, static_cast<size_t>(size)) != size) return;
    }
}

template <unsigned percent>
class RoundTrips final : public Measurement {
  public:
    void prepare(double) override { sample(); }
    double sample() override {
        constexpr unsigned count = 200;
        std::vector<double> times;
        for (unsigned i = 0; i < count; ++i) {
            usleep(100);
            times.push_back(round_trip());
        }
        std::sort(times.begin(), times.end());
        return times[(count - 1) * percent / 100];
    }

  private:
    double round_trip() {
        const double begin = now_ns();
        io_uring_prep_send(ring_.sqe(), pair_.end(0, 0), message_, sizeof message_, 0);
        io_uring_prep_recv(ring_.sqe(), pair_.end(0, 0), message_, sizeof message_, MSG_WAITALL);
        ring_.submit_and_wait(2);
        if (ring_.reap([](const io_uring_cqe* cqe) { Ring::check(cqe, message_size); }) != 2)
            die("completions are missing", EIO);
        return now_ns() - begin;
    }

    Pairs<1> pair_;
    Load server_{answer, 0, static_cast<unsigned>(pair_.end(0, 1))};
    char message_[message_size] = {};
    Ring ring_{2};
};

const Row<RoundTrips<50>> median("latency-p50", "round trip to the other core every 0.1 ms, median", 1.0);
const Row<RoundTrips<99>> slowest("latency-p99", "round trip to the other core every 0.1 ms, 99th percentile");

}  // namespace
}  // namespace bench
