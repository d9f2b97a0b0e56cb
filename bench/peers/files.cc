// Reads, writes and other work on files without io_uring.
#include <aio.h>
#include <fcntl.h>
#include <libaio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "case.h"
#include "file.h"
#include "pool.h"
#include "tree.h"

namespace bench {
namespace {

constexpr unsigned batch_size = 32;

struct Write4k {
    static constexpr unsigned block = 4096;
    static constexpr FileForm form = {.place = FileForm::own, .piece = 4096, .clean = false};
    using Places = RandomBlocks;
    static ssize_t transfer(int fd, char* buffer, uint64_t offset) {
        return pwrite(fd, buffer, block, static_cast<off_t>(offset));
    }
};

template <unsigned size, typename Order>
struct Read {
    static constexpr unsigned block = size;
    static constexpr FileForm form = {};
    using Places = Order;
    static ssize_t transfer(int fd, char* buffer, uint64_t offset) {
        return pread(fd, buffer, block, static_cast<off_t>(offset));
    }
};

using Read4k = Read<4096, RandomBlocks>;
using Read512 = Read<512, RandomBlocks>;
using Read4kInOrder = Read<4096, SequentialBlocks>;

void check(ssize_t result, ssize_t expected) {
    if (result != expected) die("a transfer", result < 0 ? errno : EIO);
}

// One system call after the other: the floor, for who can wait.
template <typename Work>
class PlainCalls final : public Case {
  public:
    unsigned batch() override {
        for (unsigned i = 0; i < batch_size; ++i) {
            check(Work::transfer(file_.fd(), buffers_.data() + i * Work::block, places_.next_offset()), Work::block);
        }
        return batch_size;
    }

  private:
    TestFile file_{Work::form};
    typename Work::Places places_{Work::block};
    std::vector<char> buffers_ = std::vector<char>(batch_size * Work::block);
};

// Neighbours by one call: the floor for whoever merges them.
class VectoredRead final : public Case {
  public:
    VectoredRead() {
        for (unsigned i = 0; i < batch_size; ++i) parts_[i] = {buffers_.data() + i * block, block};
    }
    unsigned batch() override {
        check(preadv(file_.fd(), parts_, batch_size, static_cast<off_t>(places_.next_offset())), batch_size * block);
        return batch_size;
    }

  private:
    static constexpr unsigned block = 4096;
    TestFile file_;
    SequentialBlocks places_{batch_size * block};
    std::vector<char> buffers_ = std::vector<char>(batch_size * block);
    iovec parts_[batch_size];
};

// The same calls in a pool of threads, as event loops do it.
template <typename Work>
class ThreadPool final : public Case {
  public:
    unsigned batch() override {
        for (unsigned i = 0; i < batch_size; ++i) {
            char* const buffer = buffers_.data() + i * Work::block;
            pool_.post([this, buffer, offset = places_.next_offset()] {
                check(Work::transfer(file_.fd(), buffer, offset), Work::block);
            });
        }
        pool_.wait_for_all();
        return batch_size;
    }

  private:
    TestFile file_{Work::form};
    typename Work::Places places_{Work::block};
    std::vector<char> buffers_ = std::vector<char>(batch_size * Work::block);
    Pool pool_{4};
};

// aio_read(3): glibc's own pool of threads.
class PosixAio final : public Case {
  public:
    unsigned batch() override {
        aiocb* list[batch_size];
        for (unsigned i = 0; i < batch_size; ++i) {
            requests_[i] = {};
            requests_[i].aio_fildes = file_.fd();
            requests_[i].aio_buf = buffers_.data() + i * block;
            requests_[i].aio_nbytes = block;
            requests_[i].aio_offset = static_cast<off_t>(places_.next_offset());
            requests_[i].aio_lio_opcode = LIO_READ;
            list[i] = &requests_[i];
        }
        must("lio_listio", lio_listio(LIO_WAIT, list, batch_size, nullptr));
        for (aiocb& request : requests_) check(aio_return(&request), block);
        return batch_size;
    }

  private:
    static constexpr unsigned block = 4096;
    TestFile file_;
    RandomBlocks places_{block};
    std::vector<char> buffers_ = std::vector<char>(batch_size * block);
    aiocb requests_[batch_size];
};

const Row<PlainCalls<Read4k>> read_4k("read-4k@pread", "pread");
const Row<PlainCalls<Read512>> read_512("read-512@pread", "pread");
const Row<PlainCalls<Read4kInOrder>> read_4k_seq("read-4k-seq@pread", "pread");
const Row<VectoredRead> read_4k_vectored("read-4k-seq@preadv", "preadv of 32 neighbours");
const Row<PlainCalls<Write4k>> write_4k("write-4k@pwrite", "pwrite");
const Row<ThreadPool<Read4k>> pool_read("read-4k@thread pool", "pread in 4 threads");
const Row<ThreadPool<Write4k>> pool_write("write-4k@thread pool", "pwrite in 4 threads");
const Row<PosixAio> posix_aio("read-4k@POSIX AIO", "lio_listio");

// Linux AIO by libaio, with so many in flight at all times.
template <unsigned depth, bool direct>
class LinuxAio final : public Case {
  public:
    LinuxAio() {
        if (const int result = io_setup(depth, &context_); result < 0) die("io_setup", result);
        if (posix_memalign(&buffers_, block, depth * block) != 0) die("posix_memalign", ENOMEM);
    }
    ~LinuxAio() override {
        io_destroy(context_);
        free(buffers_);
    }
    unsigned in_flight() const override { return depth; }
    unsigned batch() override {
        iocb* ready[depth];
        unsigned count = 0;
        for (; started_ < depth; ++started_) ready[count++] = read_into(started_);
        for (; !free_.empty(); free_.pop_back()) ready[count++] = read_into(free_.back());
        if (const int result = io_submit(context_, count, ready); result != static_cast<int>(count))
            die("io_submit", result);
        io_event events[depth];
        const int reaped = io_getevents(context_, 1, depth, events, nullptr);
        if (reaped < 1) die("io_getevents", reaped);
        for (int i = 0; i < reaped; ++i) {
            if (events[i].res != block) die("a read", EIO);
            free_.push_back(static_cast<unsigned>(events[i].obj - requests_));
        }
        return static_cast<unsigned>(reaped);
    }

  private:
    static constexpr unsigned block = 4096;
    static constexpr uint64_t size = direct ? 256 << 20 : 64 << 20;

    iocb* read_into(unsigned slot) {
        io_prep_pread(&requests_[slot], file_.fd(), static_cast<char*>(buffers_) + slot * block, block,
                      static_cast<long long>(places_.next_offset()));
        return &requests_[slot];
    }

    TestFile file_{{.size = size, .flags = direct ? O_DIRECT : 0}};
    RandomBlocks places_{block, size};
    void* buffers_ = nullptr;
    io_context_t context_ = nullptr;
    iocb requests_[depth];
    std::vector<unsigned> free_;
    unsigned started_ = 0;
};

const Row<LinuxAio<32, false>> aio_read("read-4k@libaio", "io_submit");
const Row<LinuxAio<1, true>> aio_direct_1("direct-1@libaio", "io_submit");
const Row<LinuxAio<32, true>> aio_direct_32("direct-32@libaio", "io_submit");
const Row<LinuxAio<256, true>> aio_direct_256("direct-256@libaio", "io_submit");

class PlainStat final : public Case {
  public:
    unsigned batch() override {
        struct statx status;
        for (unsigned i = 0; i < batch_size; ++i)
            must("statx", statx(AT_FDCWD, tree_.next(), 0, STATX_BASIC_STATS, &status));
        return batch_size;
    }

  private:
    Tree tree_;
};

class PlainOpenClose final : public Case {
  public:
    unsigned batch() override {
        for (unsigned i = 0; i < batch_size; ++i) close(must("open", open(tree_.next(), O_RDONLY | O_CLOEXEC)));
        return batch_size;
    }

  private:
    Tree tree_;
};

class PlainLog final : public Case {
  public:
    unsigned batch() override {
        check(pwrite(file_.fd(), record_, sizeof record_, static_cast<off_t>(places_.next_offset())), sizeof record_);
        must("fdatasync", fdatasync(file_.fd()));
        return 1;
    }

  private:
    static constexpr uint64_t size = 4 << 20;
    TestFile file_{{.place = FileForm::own, .size = size}};
    char record_[4096] = {};
    SequentialBlocks places_{sizeof record_, size};
};

const Row<PlainStat> plain_stat("statx@statx", "the system call");
const Row<PlainOpenClose> plain_open_close("open-close@open, close", "the system calls");
const Row<PlainLog> plain_log("log@pwrite, fdatasync", "the system calls");

}  // namespace
}  // namespace bench
