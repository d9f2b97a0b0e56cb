// Files of every kind that requests are made on, each closed with the object that holds it.
#pragma once

#include <stddef.h>

#include <string>
#include <string_view>
#include <utility>

namespace ringside::test {

// A file descriptor with one owner.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    ~Fd() { reset(); }
    Fd(Fd&& other) noexcept : fd_(other.release()) {}
    Fd& operator=(Fd&& other) noexcept {
        reset();
        fd_ = other.release();
        return *this;
    }

    operator int() const { return fd_; }
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }
    void reset();

  private:
    int fd_ = -1;
};

// A directory that vanishes with all that is in it.
class TemporaryDirectory {
  public:
    // Under /tmp, where O_DIRECT works on most machines.
    TemporaryDirectory();
    ~TemporaryDirectory();
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    const std::string& path() const { return path_; }
    std::string path_of(std::string_view name) const { return path_ + "/" + std::string(name); }

    // Creates a file with this content and returns its path.
    std::string add(std::string_view name, std::string_view content = "") const;

  private:
    std::string path_;
};

// An open file of its own with this content, already unlinked; position 0.
Fd file_with(std::string_view content, int more_flags = 0);
// The same in memory, on tmpfs.
Fd memory_file_with(std::string_view content);

// The whole content of a file, read by plain system calls, whatever the file position is.
std::string content_of(int fd);
std::string content_of(const std::string& path);

// Two ends; what is written to `near` is read from `far` and, for sockets, the other way round.
struct Ends {
    Fd near;
    Fd far;
};

struct Pipe {
    explicit Pipe(int flags = 0);
    Fd read_end;
    Fd write_end;

    // Writes until the pipe takes no more; returns how many bytes it took.
    size_t fill() const;
    // Reads until the pipe is empty; returns how many bytes there were.
    size_t drain() const;
};

Ends unix_pair(int type_and_flags);
// A connected TCP pair on loopback.
Ends tcp_pair();

// A buffer aligned as O_DIRECT wants it, zeroed.
class AlignedBuffer {
  public:
    explicit AlignedBuffer(size_t size);
    ~AlignedBuffer();
    AlignedBuffer(const AlignedBuffer&) = delete;
    AlignedBuffer& operator=(const AlignedBuffer&) = delete;
    char* data() { return data_; }
    size_t size() const { return size_; }

  private:
    char* data_;
    size_t size_;
};

// A page that may not be touched: any access through it is a bad address.
class ForbiddenPage {
  public:
    ForbiddenPage();
    ~ForbiddenPage();
    ForbiddenPage(const ForbiddenPage&) = delete;
    ForbiddenPage& operator=(const ForbiddenPage&) = delete;
    void* address() const { return start_; }
    // The last `size` bytes that may be touched before the forbidden ones begin.
    char* brink(size_t size) const;

  private:
    void* usable_;
    void* start_;
};

}  // namespace ringside::test
