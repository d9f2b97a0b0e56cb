// What has to wait for the disk: reads of what is not in the page cache, and a log that is made safe record by record.
#include <algorithm>
#include <numeric>
#include <random>

#include "case.h"
#include "file.h"
#include "ring.h"

namespace bench {
namespace {

// Every block of the file once, in random order and without read-ahead; then all of it is dropped from the page cache.
class ColdReads final : public Case {
  public:
    ColdReads() : order_(FileForm{}.size / block) {
        must("posix_fadvise", -posix_fadvise(file_.fd(), 0, 0, POSIX_FADV_RANDOM));
        std::iota(order_.begin(), order_.end(), 0);
        std::shuffle(order_.begin(), order_.end(), std::minstd_rand(1));
    }
    unsigned in_flight() const override { return depth; }
    unsigned batch() override {
        return pipeline_.turn(block, [&](io_uring_sqe* sqe, unsigned slot) {
            if (next_ == order_.size()) next_ = 0;
            if (next_ == 0) posix_fadvise(file_.fd(), 0, 0, POSIX_FADV_DONTNEED);
            io_uring_prep_read(sqe, file_.fd(), buffers_.data() + slot * block, block,
                               static_cast<uint64_t>(order_[next_++]) * block);
        });
    }

  private:
    static constexpr unsigned block = 4096;
    static constexpr unsigned depth = 32;
    TestFile file_{{.place = FileForm::own}};
    std::vector<unsigned> order_;
    size_t next_ = 0;
    std::vector<char> buffers_ = std::vector<char>(depth * block);
    Pipeline pipeline_{depth};
};

// A record is written and, linked to that, synced; `at_once` logs do so at the same time.
template <unsigned at_once>
class Log final : public Case {
  public:
    Log() {
        for (unsigned i = 0; i < at_once; ++i) files_.emplace_back(FileForm{.place = FileForm::own, .size = size});
    }
    unsigned batch() override {
        const uint64_t offset = places_.next_offset();
        for (const TestFile& file : files_) {
            io_uring_sqe* sqe = ring_.sqe();
            io_uring_prep_write(sqe, file.fd(), record_, sizeof record_, offset);
            sqe->flags |= IOSQE_IO_LINK;
            sqe->user_data = sizeof record_;
            sqe = ring_.sqe();
            io_uring_prep_fsync(sqe, file.fd(), IORING_FSYNC_DATASYNC);
            sqe->user_data = 0;
        }
        ring_.submit_and_wait(2 * at_once);
        ring_.reap([](const io_uring_cqe* cqe) { Ring::check(cqe, static_cast<int>(cqe->user_data)); });
        return at_once;
    }

  private:
    static constexpr uint64_t size = 4 << 20;
    std::vector<TestFile> files_;
    char record_[4096] = {};
    SequentialBlocks places_{sizeof record_, size};
    Ring ring_{2 * at_once};
};

const Row<ColdReads> cold("read-4k-cold", "random 4 KiB reads, buffered, not cached, 32 in flight", 0.95);
const Row<Log<1>> log_1("log", "4 KiB log record: write and linked fdatasync, one log");
const Row<Log<8>> log_8("log-8", "4 KiB log record: write and linked fdatasync, 8 logs at once");

}  // namespace
}  // namespace bench
