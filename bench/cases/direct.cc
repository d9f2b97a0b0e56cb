// Reads around the page cache, with as many in flight at all times as the case says.
#include <stdlib.h>

#include "case.h"
#include "file.h"
#include "ring.h"

namespace bench {
namespace {

template <unsigned depth>
class DirectReads final : public Case {
  public:
    DirectReads() {
        if (posix_memalign(&buffers_, block, depth * block) != 0) die("posix_memalign", ENOMEM);
    }
    ~DirectReads() override {
        // What is in flight is waited for before its memory goes.
        for (unsigned left = depth; left > 0;) {
            pipeline_.ring().submit_and_wait(1);
            left -= pipeline_.ring().reap([](const io_uring_cqe*) {});
        }
        free(buffers_);
    }
    unsigned batch() override {
        return pipeline_.turn(block, [&](io_uring_sqe* sqe, unsigned slot) {
            io_uring_prep_read(sqe, file_.fd(), static_cast<char*>(buffers_) + slot * block, block,
                               places_.next_offset());
        });
    }
    unsigned in_flight() const override { return depth; }

  private:
    static constexpr unsigned block = 4096;
    static constexpr uint64_t size = 256 << 20;
    TestFile file_{{.size = size, .flags = O_DIRECT}};
    RandomBlocks places_{block, size};
    void* buffers_ = nullptr;
    Pipeline pipeline_{depth};
};

const Row<DirectReads<1>> direct_1("direct-1", "random 4 KiB reads, O_DIRECT, one in flight", 1.0);
const Row<DirectReads<32>> direct_32("direct-32", "random 4 KiB reads, O_DIRECT, 32 in flight", 0.97);
const Row<DirectReads<256>> direct_256("direct-256", "random 4 KiB reads, O_DIRECT, 256 in flight", 0.97);

}  // namespace
}  // namespace bench
