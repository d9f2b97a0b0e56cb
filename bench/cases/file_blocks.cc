// Reads and writes of blocks of a file in the page cache.
#include "case.h"
#include "file.h"
#include "ring.h"

namespace bench {
namespace {

constexpr unsigned batch_size = 32;

template <unsigned block, typename Places, bool writes = false>
class FileBlocks final : public Case {
  public:
    unsigned batch() override {
        char* buffer = buffers_.data();
        return ring_.batch(batch_size, block, [&](io_uring_sqe* sqe) {
            if (writes) {
                io_uring_prep_write(sqe, file_.fd(), buffer, block, places_.next_offset());
            } else {
                io_uring_prep_read(sqe, file_.fd(), buffer, block, places_.next_offset());
            }
            buffer += block;
        });
    }

  private:
    CachedFile file_;
    Places places_{block};
    std::vector<char> buffers_ = std::vector<char>(batch_size * block);
    Ring ring_{batch_size};
};

const Row<FileBlocks<4096, RandomBlocks>> read_4k("read-4k", "random 4 KiB READ, cached, 64 MiB file, 32 a batch", 1.1);
const Row<FileBlocks<512, RandomBlocks>> read_512("read-512", "random 512 B READ, cached, 64 MiB file, 32 a batch",
                                                  1.2);
const Row<FileBlocks<4096, SequentialBlocks>> sequential("read-4k-seq", "sequential 4 KiB READ, cached, 32 a batch",
                                                         2.5);
const Row<FileBlocks<4096, RandomBlocks, true>> write_4k("write-4k", "random 4 KiB WRITE, buffered, 32 a batch", 1.5);

}  // namespace
}  // namespace bench
