#include "support/files.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>

namespace ringside::test {
namespace {

constexpr size_t page_size = 4096;

// A helper of the tests that fails leaves nothing to test.
int must(int result, const char* what) {
    if (result < 0) {
        ADD_FAILURE() << what << ": " << strerror(errno);
        abort();
    }
    return result;
}

// Makes an open file non-blocking for a while.
class NonBlocking {
  public:
    explicit NonBlocking(int fd) : fd_(fd), before_(fcntl(fd, F_GETFL)) { fcntl(fd, F_SETFL, before_ | O_NONBLOCK); }
    ~NonBlocking() { fcntl(fd_, F_SETFL, before_); }

  private:
    int fd_;
    int before_;
};

Fd filled(Fd fd, std::string_view content) {
    must(static_cast<int>(pwrite(fd, content.data(), content.size(), 0)), "pwrite");
    return fd;
}

}  // namespace

void Fd::reset() {
    if (fd_ >= 0) ::close(release());
}

TemporaryDirectory::TemporaryDirectory() {
    char name[] = "/tmp/ringside-test-XXXXXX";
    if (mkdtemp(name) == nullptr) must(-1, "mkdtemp");
    path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryDirectory::add(std::string_view name, std::string_view content) const {
    const std::string path = path_of(name);
    filled(Fd(must(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644), "open")), content);
    return path;
}

Fd file_with(std::string_view content, int more_flags) {
    const TemporaryDirectory directory;
    const std::string path = directory.add("file", content);
    return Fd(must(::open(path.c_str(), O_RDWR | O_CLOEXEC | more_flags), "open"));
}

Fd memory_file_with(std::string_view content) {
    return filled(Fd(must(memfd_create("ringside-test", MFD_CLOEXEC), "memfd_create")), content);
}

std::string content_of(int fd) {
    std::string content;
    char chunk[page_size];
    ssize_t count;
    while ((count = pread(fd, chunk, sizeof(chunk), static_cast<off_t>(content.size()))) > 0) {
        content.append(chunk, static_cast<size_t>(count));
    }
    return content;
}

std::string content_of(const std::string& path) {
    const Fd fd(must(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "open"));
    return content_of(fd.get());
}

Pipe::Pipe(int flags) {
    int ends[2];
    must(pipe2(ends, O_CLOEXEC | flags), "pipe2");
    read_end = Fd(ends[0]);
    write_end = Fd(ends[1]);
}

size_t Pipe::fill() const {
    const NonBlocking while_filling(write_end);
    const std::string page(page_size, 'x');
    size_t total = 0;
    ssize_t count;
    while ((count = ::write(write_end, page.data(), page.size())) > 0) total += static_cast<size_t>(count);
    return total;
}

size_t Pipe::drain() const {
    const NonBlocking while_draining(read_end);
    size_t total = 0;
    char chunk[page_size];
    ssize_t count;
    while ((count = ::read(read_end, chunk, sizeof(chunk))) > 0) total += static_cast<size_t>(count);
    return total;
}

Ends unix_pair(int type_and_flags) {
    int ends[2];
    must(socketpair(AF_UNIX, type_and_flags | SOCK_CLOEXEC, 0, ends), "socketpair");
    return {Fd(ends[0]), Fd(ends[1])};
}

Ends tcp_pair() {
    const Fd listener(must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    must(bind(listener, generic, size), "bind");
    must(listen(listener, 1), "listen");
    must(getsockname(listener, generic, &size), "getsockname");
    Fd near(must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    must(connect(near, generic, size), "connect");
    Fd far(must(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC), "accept4"));
    const int on = 1;
    for (const int end : {near.get(), far.get()}) setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return {std::move(near), std::move(far)};
}

AlignedBuffer::AlignedBuffer(size_t size)
    : data_(static_cast<char*>(aligned_alloc(page_size, (size + page_size - 1) / page_size * page_size))), size_(size) {
    memset(data_, 0, size_);
}

AlignedBuffer::~AlignedBuffer() { free(data_); }

ForbiddenPage::ForbiddenPage()
    : usable_(mmap(nullptr, 2 * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
      start_(static_cast<char*>(usable_) + page_size) {
    must(mprotect(start_, page_size, PROT_NONE), "mprotect");
}

ForbiddenPage::~ForbiddenPage() { munmap(usable_, 2 * page_size); }

char* ForbiddenPage::brink(size_t size) const { return static_cast<char*>(start_) - size; }

}  // namespace ringside::test
