// Two threads on two cores: each with a ring of its own, or both at one ring, where one submits and the other reaps.
#include <pthread.h>

#include <atomic>
#include <functional>
#include <thread>

#include "case.h"
#include "cores.h"
#include "file.h"
#include "ring.h"

namespace bench {
namespace {

constexpr unsigned block = 512;
constexpr unsigned batch_size = 32;
constexpr unsigned rounds = 64;  // batches that are done before the threads meet again

// A second thread, on the other core, that does its share whenever it is told to.
class Helper {
  public:
    explicit Helper(std::function<void()> share)
        : share_(std::move(share)), core_(other_core()), thread_([this] { run(); }) {}
    ~Helper() {
        ended_ = true;
        start();
        thread_.join();
    }
    Helper(const Helper&) = delete;
    Helper& operator=(const Helper&) = delete;

    void start() {
        asked_.fetch_add(1);
        asked_.notify_one();
    }
    void wait() {
        for (unsigned done; (done = done_.load()) != asked_.load();) done_.wait(done);
    }

  private:
    void run() {
        pin_to(core_);
        for (unsigned turn = 0;; ++turn) {
            asked_.wait(turn);
            if (ended_) return;
            share_();
            done_.fetch_add(1);
            done_.notify_one();
        }
    }

    std::function<void()> share_;
    int core_;
    std::atomic<unsigned> asked_ = 0;
    std::atomic<unsigned> done_ = 0;
    std::atomic<bool> ended_ = false;
    std::thread thread_;
};

class Reader {
  public:
    void read_batches() {
        for (unsigned i = 0; i < rounds; ++i) {
            char* buffer = buffers_.data();
            ring_.batch(batch_size, block, [&](io_uring_sqe* sqe) {
                io_uring_prep_read(sqe, file_.fd(), buffer, block, places_.next_offset());
                buffer += block;
            });
        }
    }

  private:
    TestFile file_;
    RandomBlocks places_{block};
    std::vector<char> buffers_ = std::vector<char>(batch_size * block);
    Ring ring_{batch_size};
};

class TwoRings final : public Case {
  public:
    unsigned batch() override {
        helper_.start();
        mine_.read_batches();
        helper_.wait();
        return 2 * rounds * batch_size;
    }

  private:
    Reader mine_, its_;
    Helper helper_{[this] { its_.read_batches(); }};
};

// We submit, the helper waits and reaps. At most `window` are under way.
class OneRing final : public Case {
  public:
    unsigned batch() override {
        helper_.start();
        for (unsigned i = 0; i < rounds; ++i) {
            for (unsigned reaped; submitted_ + batch_size - (reaped = reaped_.load()) > window;) reaped_.wait(reaped);
            for (unsigned j = 0; j < batch_size; ++j) {
                io_uring_prep_read(ring_.sqe(), file_.fd(), buffers_.data() + submitted_++ % window * block, block,
                                   places_.next_offset());
            }
            ring_.submit();
        }
        helper_.wait();
        return rounds * batch_size;
    }

  private:
    static constexpr unsigned window = 8 * batch_size;

    void reap_all() {
        for (unsigned reaped = 0; reaped < rounds * batch_size;) {
            io_uring_cqe* cqe;
            if (const int result = io_uring_wait_cqe(ring_.get(), &cqe); result < 0) die("io_uring_wait_cqe", result);
            const unsigned count = ring_.reap([](const io_uring_cqe* each) { Ring::check(each, block); });
            reaped += count;
            reaped_.fetch_add(count);
            reaped_.notify_one();
        }
    }

    TestFile file_;
    RandomBlocks places_{block};
    std::vector<char> buffers_ = std::vector<char>(window * block);
    Ring ring_{window};
    unsigned submitted_ = 0;
    std::atomic<unsigned> reaped_ = 0;
    Helper helper_{[this] { reap_all(); }};
};

const Row<TwoRings> two_rings("threads-2-rings", "random 512 B reads, 2 threads on 2 cores, a ring each");
const Row<OneRing> one_ring("threads-1-ring", "random 512 B reads, one thread submits, the other reaps");

}  // namespace
}  // namespace bench
