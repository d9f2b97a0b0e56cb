// Submission by a thread that watches the ring, on the other core: the program makes no call to submit.
#include <sys/socket.h>
#include <unistd.h>

#include "case.h"
#include "cores.h"
#include "file.h"
#include "ring.h"

namespace bench {
namespace {

// Waits by looking: a program that chose this has the core to do so.
template <unsigned count>
class WatchedRing {
  public:
    template <typename Prepare>
    unsigned batch(int expected, Prepare prepare) {
        for (unsigned i = 0; i < count; ++i) {
            // The completions of the last batch may be seen before its entries are given back.
            io_uring_sqe* sqe;
            while ((sqe = io_uring_get_sqe(ring_.get())) == nullptr) {
            }
            prepare(sqe);
        }
        ring_.submit();
        for (unsigned reaped = 0; reaped < count;) {
            io_uring_cqe* cqe;
            if (io_uring_peek_cqe(ring_.get(), &cqe) != 0) continue;
            Ring::check(cqe, expected);
            io_uring_cqe_seen(ring_.get(), cqe);
            ++reaped;
        }
        return count;
    }

  private:
    static io_uring_params params() {
        io_uring_params params = {};
        params.flags = IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF;
        params.sq_thread_cpu = static_cast<unsigned>(other_core());
        params.sq_thread_idle = 1;  // a millisecond; the thread of who is not measured sleeps
        return params;
    }

    Ring ring_{count, params()};
};

template <unsigned count>
class WatchedNops final : public Case {
  public:
    unsigned batch() override { return ring_.batch(0, io_uring_prep_nop); }

  private:
    WatchedRing<count> ring_;
};

class WatchedReads final : public Case {
  public:
    unsigned batch() override {
        char* buffer = buffers_.data();
        return ring_.batch(block, [&](io_uring_sqe* sqe) {
            io_uring_prep_read(sqe, file_.fd(), buffer, block, places_.next_offset());
            buffer += block;
        });
    }

  private:
    static constexpr unsigned count = 32, block = 4096;
    TestFile file_;
    RandomBlocks places_{block};
    std::vector<char> buffers_ = std::vector<char>(count * block);
    WatchedRing<count> ring_;
};

const Row<WatchedNops<1>> nop_1("sqpoll-nop-1", "SQPOLL on the other core: NOP, one at a time");
const Row<WatchedNops<32>> nop_32("sqpoll-nop-32", "SQPOLL on the other core: NOP, 32 a batch");
const Row<WatchedReads> reads("sqpoll-read-4k", "SQPOLL on the other core: random 4 KiB reads, cached, 32 a batch");

}  // namespace
}  // namespace bench
