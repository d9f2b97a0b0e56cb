// Files to read from and write to, and places in them.
#pragma once

#include <fcntl.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "die.h"

namespace bench {

// The folder that the runner makes for a run, for what all columns may share; "" for a worker that is run alone.
inline std::string shared_folder() {
    const char* const folder = getenv("RINGSIDE_BENCH_FOLDER");
    return folder != nullptr ? folder : "";
}

struct FileForm {
    enum Place { shared, own, memory };  // on disk and the same for all columns; on disk; in memory (tmpfs)
    Place place = shared;
    uint64_t size = 64 << 20;
    // What it is written in. It matters: the page cache keeps a file in the pieces that it was written in, and ext4
    // looks at a whole piece when a block of it is written.
    unsigned piece = 1 << 20;
    bool clean = true;  // nothing of it is left to be written back while it is read
    int flags = 0;      // more of them to open it with
};

// A file full of data, in the page cache until somebody drops it.
class TestFile {
  public:
    explicit TestFile(FileForm form = {}) : fd_(make(form)) {}
    ~TestFile() { close(fd_); }
    TestFile(TestFile&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    TestFile(const TestFile&) = delete;
    TestFile& operator=(const TestFile&) = delete;

    int fd() const { return fd_; }

  private:
    static int make(const FileForm& form) {
        if (form.place == FileForm::memory) {
            const int fd = must("memfd_create", memfd_create("ringside-bench", MFD_CLOEXEC));
            fill(fd, form);
            return fd;
        }
        std::string folder = form.place == FileForm::shared ? shared_folder() : "";
        const bool alone = folder.empty();
        if (alone) {
            const char* const temporary = getenv("TMPDIR");
            folder = temporary != nullptr ? temporary : "/tmp";
        }
        std::string name = folder + "/ringside-bench-" + std::to_string(form.size) + "-" + std::to_string(form.piece);
        if (alone) name += "-XXXXXX";
        const int fd = must(
            "open", alone ? mkostemp(name.data(), O_CLOEXEC) : open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        fill_once(fd, form);
        int result = fd;
        if (form.flags != 0) {
            result = must("open", open(name.c_str(), O_RDWR | O_CLOEXEC | form.flags));
            close(fd);
        }
        if (alone) unlink(name.c_str());
        return result;
    }

    // The columns begin at the same time: the first one fills what they share.
    static void fill_once(int fd, const FileForm& form) {
        must("flock", flock(fd, LOCK_EX));
        struct stat status;
        must("fstat", fstat(fd, &status));
        if (static_cast<uint64_t>(status.st_size) < form.size) fill(fd, form);
        must("flock", flock(fd, LOCK_UN));
    }

    static void fill(int fd, const FileForm& form) {
        const std::vector<char> piece(form.piece, 'r');
        for (uint64_t written = 0; written < form.size; written += piece.size()) {
            must("pwrite", pwrite(fd, piece.data(), piece.size(), static_cast<off_t>(written)));
        }
        if (form.clean) must("fsync", fsync(fd));
    }

    int fd_;
};

// The same places for everybody that is compared: a generator with a fixed seed (xorshift).
class RandomBlocks {
  public:
    explicit RandomBlocks(unsigned block, uint64_t size = FileForm{}.size) : block_(block), blocks_(size / block) {}
    uint64_t next_offset() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_ % blocks_ * block_;
    }

  private:
    unsigned block_;
    uint64_t blocks_;
    uint64_t state_ = 88172645463325252ULL;
};

class SequentialBlocks {
  public:
    explicit SequentialBlocks(unsigned block, uint64_t size = FileForm{}.size) : block_(block), size_(size) {}
    uint64_t next_offset() {
        const uint64_t offset = position_;
        position_ = (position_ + block_) % size_;
        return offset;
    }

  private:
    unsigned block_;
    uint64_t size_;
    uint64_t position_ = 0;
};

}  // namespace bench
