// Reads and writes of blocks of files in the page cache.
#include <sys/uio.h>

#include <memory>

#include "case.h"
#include "file.h"
#include "ring.h"

namespace bench {
namespace {

constexpr unsigned batch_size = 32;

constexpr uint64_t whole_file = FileForm{}.size;
// So much of it fits the processor's caches, and what is measured is not memory.
constexpr uint64_t near_part = 2 << 20;

template <unsigned block, typename Places, unsigned count = batch_size, uint64_t part = whole_file>
class Reads final : public Case {
  public:
    unsigned batch() override {
        char* buffer = buffers_.data();
        return ring_.batch(count, block, [&](io_uring_sqe* sqe) {
            io_uring_prep_read(sqe, file_.fd(), buffer, block, places_.next_offset());
            buffer += block;
        });
    }

  private:
    TestFile file_;
    Places places_{block, part};
    std::vector<char> buffers_ = std::vector<char>(count * block);
    Ring ring_{count};
};

using RandomReads4k = Reads<4096, RandomBlocks>;
const Row<RandomReads4k> read_4k("read-4k", "random 4 KiB reads, cached, 64 MiB file, 32 a batch", 1.1);
const Row<Reads<512, RandomBlocks>> read_512("read-512", "random 512 B reads, cached, 64 MiB file, 32 a batch", 1.2);
const Row<Reads<65536, RandomBlocks>> read_64k("read-64k", "random 64 KiB reads, cached, 64 MiB file, 32 a batch");
const Row<Reads<4096, SequentialBlocks>> read_4k_seq("read-4k-seq", "sequential 4 KiB reads, cached, 32 a batch", 2.5);
const Row<Reads<65536, SequentialBlocks>> read_64k_seq("read-64k-seq", "sequential 64 KiB reads, cached, 32 a batch");
const Row<Reads<4096, RandomBlocks, batch_size, near_part>> read_4k_near(
    "read-4k-near", "random 4 KiB reads, cached, within 2 MiB, 32 a batch");
const Row<Reads<4096, SequentialBlocks, batch_size, near_part>> read_4k_seq_near(
    "read-4k-seq-near", "sequential 4 KiB reads, cached, within 2 MiB, 32 a batch");
const Row<Reads<4096, RandomBlocks, 1>> read_4k_1("read-4k-1", "random 4 KiB reads, cached, one at a time", 1.0);

// The buffers are registered, and read into with READ_FIXED.
template <unsigned block>
class FixedReads final : public Case {
  public:
    FixedReads() {
        iovec all = {buffers_.data(), buffers_.size()};
        if (const int result = io_uring_register_buffers(ring_.get(), &all, 1); result < 0)
            die("io_uring_register_buffers", result);
    }
    unsigned batch() override {
        char* buffer = buffers_.data();
        return ring_.batch(batch_size, block, [&](io_uring_sqe* sqe) {
            io_uring_prep_read_fixed(sqe, file_.fd(), buffer, block, places_.next_offset(), 0);
            buffer += block;
        });
    }

  private:
    TestFile file_;
    RandomBlocks places_{block};
    std::vector<char> buffers_ = std::vector<char>(batch_size * block);
    Ring ring_{batch_size};
};

const Row<FixedReads<4096>> read_4k_fixed("read-4k-fixed", "random 4 KiB reads, cached, registered buffers", 1.1);

// Another file with every request; `registered`: as a registered file.
template <bool registered>
class ManyFiles final : public Case {
  public:
    ManyFiles() {
        std::vector<int> fds;
        for (unsigned i = 0; i < count; ++i) {
            files_.emplace_back(FileForm{.place = FileForm::own, .size = file_size});
            fds.push_back(files_.back().fd());
        }
        if (!registered) return;
        if (const int result = io_uring_register_files(ring_.get(), fds.data(), count); result < 0)
            die("io_uring_register_files", result);
    }
    unsigned batch() override {
        char* buffer = buffers_.data();
        return ring_.batch(batch_size, block, [&](io_uring_sqe* sqe) {
            const unsigned file = next_++ % count;
            io_uring_prep_read(sqe, registered ? static_cast<int>(file) : files_[file].fd(), buffer, block,
                               places_.next_offset());
            if (registered) sqe->flags |= IOSQE_FIXED_FILE;
            buffer += block;
        });
    }

  private:
    static constexpr unsigned count = 256;
    static constexpr unsigned block = 4096;
    static constexpr uint64_t file_size = 256 << 10;
    std::vector<TestFile> files_;
    RandomBlocks places_{block, file_size};
    std::vector<char> buffers_ = std::vector<char>(batch_size * block);
    Ring ring_{batch_size};
    unsigned next_ = 0;
};

const Row<ManyFiles<false>> read_many("read-4k-files", "random 4 KiB reads, cached, 256 files in turn, 32 a batch");
const Row<ManyFiles<true>> read_many_registered("read-4k-files-fixed",
                                                "random 4 KiB reads, cached, 256 registered files");

struct OnDisk {
    // Written in blocks, so that each block is a piece of its own in the page cache; and dirty, so that writing does
    // not have to wait for what is being written back.
    static constexpr FileForm form = {.place = FileForm::own, .piece = 4096, .clean = false};
};
struct OnDiskInLargePieces {
    static constexpr FileForm form = {.place = FileForm::own, .clean = false};
};
struct InMemory {
    static constexpr FileForm form = {.place = FileForm::memory, .piece = 4096};
};

template <typename Where, typename Places>
class Writes final : public Case {
  public:
    unsigned batch() override {
        const char* buffer = buffers_.data();
        return ring_.batch(batch_size, block, [&](io_uring_sqe* sqe) {
            io_uring_prep_write(sqe, file_.fd(), buffer, block, places_.next_offset());
            buffer += block;
        });
    }

  private:
    static constexpr unsigned block = 4096;
    TestFile file_{Where::form};
    Places places_{block};
    std::vector<char> buffers_ = std::vector<char>(batch_size * block);
    Ring ring_{batch_size};
};

const Row<Writes<OnDisk, RandomBlocks>> write_4k("write-4k", "random 4 KiB writes, buffered, disk, 32 a batch", 1.5);
const Row<Writes<OnDiskInLargePieces, RandomBlocks>> write_4k_large(
    "write-4k-large", "random 4 KiB writes, disk, cached in large pieces");
const Row<Writes<InMemory, RandomBlocks>> write_4k_memory("write-4k-memory",
                                                          "random 4 KiB writes, file in memory, 32 a batch", 1.5);
const Row<Writes<OnDisk, SequentialBlocks>> write_4k_seq("write-4k-seq",
                                                         "sequential 4 KiB writes, buffered, disk, 32 a batch");

}  // namespace
}  // namespace bench
