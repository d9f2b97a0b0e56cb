// The calls of the library that every program makes, in the combinations in which programs make them. The request is a
// NOP, so what is left is the library and the entry into the ring.
#include "case.h"
#include "ring.h"

namespace bench {
namespace {

class SubmitWaitSeen final : public Case {
  public:
    unsigned batch() override {
        io_uring_prep_nop(ring_.sqe());
        if (const int result = io_uring_submit(ring_.get()); result != 1) die("io_uring_submit", result);
        io_uring_cqe* cqe;
        if (const int result = io_uring_wait_cqe(ring_.get(), &cqe); result < 0) die("io_uring_wait_cqe", result);
        Ring::check(cqe, 0);
        io_uring_cqe_seen(ring_.get(), cqe);
        return 1;
    }

  private:
    Ring ring_{8};
};

class SubmitPeekSeen final : public Case {
  public:
    unsigned batch() override {
        io_uring_prep_nop(ring_.sqe());
        if (const int result = io_uring_submit(ring_.get()); result != 1) die("io_uring_submit", result);
        io_uring_cqe* cqe;
        if (const int result = io_uring_peek_cqe(ring_.get(), &cqe); result < 0) die("io_uring_peek_cqe", result);
        Ring::check(cqe, 0);
        io_uring_cqe_seen(ring_.get(), cqe);
        return 1;
    }

  private:
    Ring ring_{8};
};

class SubmitBatchAdvance final : public Case {
  public:
    unsigned batch() override {
        for (unsigned i = 0; i < count; ++i) io_uring_prep_nop(ring_.sqe());
        if (const int result = io_uring_submit(ring_.get()); result != count) die("io_uring_submit", result);
        io_uring_cqe* cqes[count];
        const unsigned ready = io_uring_peek_batch_cqe(ring_.get(), cqes, count);
        if (ready != count) die("io_uring_peek_batch_cqe", EIO);
        for (const io_uring_cqe* cqe : cqes) Ring::check(cqe, 0);
        io_uring_cq_advance(ring_.get(), count);
        return count;
    }

  private:
    static constexpr unsigned count = 32;
    Ring ring_{count};
};

class WaitWithTimeout final : public Case {
  public:
    unsigned batch() override {
        io_uring_prep_nop(ring_.sqe());
        __kernel_timespec limit = {1, 0};
        io_uring_cqe* cqe;
        const int result = io_uring_submit_and_wait_timeout(ring_.get(), &cqe, 1, &limit, nullptr);
        if (result < 0) die("io_uring_submit_and_wait_timeout", result);
        Ring::check(cqe, 0);
        io_uring_cqe_seen(ring_.get(), cqe);
        return 1;
    }

  private:
    Ring ring_{8};
};

class PeekAtNothing final : public Case {
  public:
    unsigned batch() override {
        io_uring_cqe* cqe;
        for (unsigned i = 0; i < count; ++i) {
            if (io_uring_peek_cqe(ring_.get(), &cqe) != -EAGAIN) die("io_uring_peek_cqe", EIO);
        }
        return count;
    }

  private:
    static constexpr unsigned count = 32;
    Ring ring_{8};
};

const Row<SubmitWaitSeen> submit_wait("call-wait", "NOP: submit, wait_cqe, cqe_seen");
const Row<SubmitPeekSeen> submit_peek("call-peek", "NOP: submit, peek_cqe, cqe_seen");
const Row<SubmitBatchAdvance> submit_batch("call-batch", "32 NOPs: submit, peek_batch_cqe, cq_advance");
const Row<WaitWithTimeout> wait_timeout("call-timeout", "NOP: submit_and_wait_timeout, cqe_seen");
const Row<PeekAtNothing> peek_nothing("call-peek-empty", "peek_cqe, nothing there");

}  // namespace
}  // namespace bench
