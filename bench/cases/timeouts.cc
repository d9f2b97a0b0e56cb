// Very many timeouts that wait, and what one more costs beside them.
#include <time.h>

#include <algorithm>

#include "case.h"
#include "ring.h"

namespace bench {
namespace {

constexpr unsigned step = 256;  // requests a submission
constexpr unsigned many = 100'000;
constexpr uint64_t removal = ~0ULL;  // user_data

class Timeouts {
  public:
    void arm(uint64_t user_data, __kernel_timespec& time, unsigned flags = 0) {
        io_uring_sqe* const sqe = ring_.sqe_after_submitting();
        io_uring_prep_timeout(sqe, &time, 0, flags);
        sqe->user_data = user_data;
    }
    void remove(uint64_t user_data) {
        io_uring_sqe* const sqe = ring_.sqe_after_submitting();
        io_uring_prep_timeout_remove(sqe, user_data, 0);
        sqe->user_data = removal;
    }
    void submit() { ring_.submit(); }
    // Submits, waits for so many completions, and returns how many of them had this result. A timeout that expires ends
    // a wait for however many.
    unsigned reap(unsigned count, int result) {
        unsigned matching = 0;
        while (count > 0) {
            ring_.submit_and_wait(count);
            count -= ring_.reap([&](const io_uring_cqe* cqe) { matching += cqe->res == result; });
        }
        return matching;
    }

  private:
    Ring ring_{step, with_cq_entries(64 << 10)};
};

__kernel_timespec far_off = {3600, 0};

// Among so many that do not expire, some do, and are armed again.
template <unsigned count>
class FireAmong final : public Case {
  public:
    FireAmong() {
        for (unsigned i = 0; i < count; ++i) timeouts_.arm(i, far_off);
        timeouts_.submit();
    }
    unsigned batch() override {
        for (unsigned i = 0; i < at_once; ++i) timeouts_.arm(count, soon_);
        if (timeouts_.reap(at_once, -ETIME) != at_once) die("a timeout", EIO);
        return at_once;
    }

  private:
    static constexpr unsigned at_once = 32;
    __kernel_timespec soon_ = {0, 1000};
    Timeouts timeouts_;
};

// They are cancelled in the order in which they were armed: the kernel looks for them in a list.
class ArmAndCancel final : public Case {
  public:
    unsigned batch() override {
        for (unsigned i = 0; i < many; ++i) timeouts_.arm(i, far_off);
        timeouts_.submit();
        unsigned removed = 0;
        for (unsigned i = 0; i < many; i += step) {
            const unsigned end = std::min(i + step, many);
            for (unsigned each = i; each < end; ++each) timeouts_.remove(each);
            removed += timeouts_.reap(2 * (end - i), -ECANCELED);
        }
        if (removed != many) die("timeouts that were not removed", EIO);
        return many;
    }

  private:
    Timeouts timeouts_;
};

// Half of them expire at the same moment, well after they are armed: the time to arm those, and from that moment to the
// last completion.
class ArmAndFire final : public Measurement {
  public:
    ArmAndFire() {
        for (unsigned i = 0; i < many / 2; ++i) timeouts_.arm(i, far_off);
        timeouts_.submit();
    }
    void prepare(double) override { sample(); }
    double sample() override {
        const double begin = now_ns();
        const double due = begin + 5e8;
        __kernel_timespec time = {static_cast<long long>(due / 1e9), static_cast<long long>(due) % 1'000'000'000};
        for (unsigned i = 0; i < many / 2; ++i) timeouts_.arm(many, time, IORING_TIMEOUT_ABS);
        timeouts_.submit();
        const double armed = now_ns();
        if (armed > due) die("arming took too long", ETIME);
        if (timeouts_.reap(many / 2, -ETIME) != many / 2) die("a timeout", EIO);
        return (armed - begin + now_ns() - due) / (many / 2);
    }

  private:
    Timeouts timeouts_;
};

const Row<FireAmong<100>> among_100("timeouts-among-100", "a timeout is armed and expires, 100 others armed");
const Row<FireAmong<many>> among_many("timeouts-among-100k", "a timeout is armed and expires, 100,000 others armed",
                                      Terms{.rounds = 5});
const Row<ArmAndFire> arm_fire("timeouts-100k-fire",
                               "50,000 timeouts are armed and expire at once, 50,000 others armed, each",
                               Terms{.rounds = 5});
const Row<ArmAndCancel> arm_cancel("timeouts-100k-cancel", "100,000 timeouts are armed and cancelled, each",
                                   Terms{.rounds = 5});

}  // namespace
}  // namespace bench
