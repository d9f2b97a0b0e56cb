// A file to read from and write to: unlinked, on disk, all of it in the page cache.
#pragma once

#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "ring.h"

namespace bench {

class CachedFile {
  public:
    static constexpr unsigned size = 64 << 20;

    CachedFile() {
        const char* directory = getenv("TMPDIR");
        std::string name = std::string(directory != nullptr ? directory : "/tmp") + "/ringside-bench-XXXXXX";
        fd_ = mkostemp(name.data(), O_CLOEXEC);
        if (fd_ < 0) die("mkostemp", errno);
        unlink(name.c_str());
        const std::vector<char> chunk(1 << 20, 'r');
        for (unsigned written = 0; written < size; written += chunk.size()) {
            if (write(fd_, chunk.data(), chunk.size()) != static_cast<ssize_t>(chunk.size())) die("write", errno);
        }
        // Nothing of it is left to be written back while reads are timed.
        fsync(fd_);
    }
    ~CachedFile() { close(fd_); }
    CachedFile(const CachedFile&) = delete;
    CachedFile& operator=(const CachedFile&) = delete;

    int fd() const { return fd_; }

  private:
    int fd_;
};

// The same places for everybody that is compared: a generator with a fixed seed (xorshift).
class RandomBlocks {
  public:
    explicit RandomBlocks(unsigned block) : block_(block) {}
    uint64_t next_offset() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_ % (CachedFile::size / block_) * block_;
    }

  private:
    unsigned block_;
    uint64_t state_ = 88172645463325252ULL;
};

class SequentialBlocks {
  public:
    explicit SequentialBlocks(unsigned block) : block_(block) {}
    uint64_t next_offset() {
        const uint64_t offset = position_;
        position_ = (position_ + block_) % CachedFile::size;
        return offset;
    }

  private:
    unsigned block_;
    uint64_t position_ = 0;
};

}  // namespace bench
