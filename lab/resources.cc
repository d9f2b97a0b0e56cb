#include "resources.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

#include "hash.h"
#include "names.h"

namespace ringside::lab {

std::vector<std::byte> pattern(uint8_t fill, uint64_t size) {
    std::vector<std::byte> bytes(size);
    for (uint64_t i = 0; i < size; ++i) bytes[i] = pattern_byte(fill, i);
    return bytes;
}

void write_pattern(int fd, uint8_t fill, uint64_t size) {
    if (size == 0) return;
    const std::vector<std::byte> bytes = pattern(fill, size);
    if (::write(fd, bytes.data(), size) < 0)
        throw std::runtime_error("a resource cannot be filled: " + result_text(-errno));
}

namespace {

int open_file(const std::string& name, const Resource& resource, int flags) {
    const int writer = ::open(name.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
    write_pattern(writer, static_cast<uint8_t>(resource.id + 1), resource.size);
    ::close(writer);
    return ::open(name.c_str(), flags | O_CLOEXEC);
}

int open_memfd(const Resource& resource) {
    const int fd = memfd_create("lab", MFD_CLOEXEC);
    write_pattern(fd, static_cast<uint8_t>(resource.id + 1), resource.size);
    lseek(fd, 0, SEEK_SET);
    return fd;
}

int open_loopback(int type, bool bound) {
    const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bound) bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    return fd;
}

int open_unix_listener(const Resource& resource) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof(address.sun_path), "s%u", resource.id);
    bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    listen(fd, 8);
    return fd;
}

int open_inet_listener() {
    const int fd = open_loopback(SOCK_STREAM, true);
    listen(fd, 8);
    return fd;
}

}  // namespace

int open_single(provider::Kind kind, const Resource& resource) {
    const int flags = static_cast<int>(resource.flags);
    switch (resource.kind) {
        case ResourceKind::file:
            return open_file(fmt::format("f{}", resource.id), resource, flags);
        case ResourceKind::path_only:
            return open_file(fmt::format("f{}", resource.id), resource, O_PATH);
        case ResourceKind::directory: {
            const std::string name = fmt::format("d{}", resource.id);
            mkdir(name.c_str(), 0755);
            return ::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        case ResourceKind::scratch:
            return ::open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        case ResourceKind::eventfd:
            return eventfd(static_cast<unsigned>(resource.size), flags | EFD_CLOEXEC);
        case ResourceKind::null:
            return ::open("/dev/null", flags | O_CLOEXEC);
        case ResourceKind::zero:
            return ::open("/dev/zero", flags | O_CLOEXEC);
        case ResourceKind::epoll:
            return epoll_create1(EPOLL_CLOEXEC);
        case ResourceKind::memfd:
            return open_memfd(resource);
        case ResourceKind::listener:
            return open_unix_listener(resource);
        case ResourceKind::inet_listener:
            return open_inet_listener();
        case ResourceKind::unix_socket:
            return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        case ResourceKind::inet_socket:
            return open_loopback(SOCK_STREAM, false);
        case ResourceKind::udp_socket:
            return open_loopback(SOCK_DGRAM, true);
        case ResourceKind::ring: {
            io_uring_params params = {};
            return provider::setup(kind, 8, &params, engine::Face::mappable);
        }
        default:
            return -1;
    }
}

bool open_pair(const Resource& resource, int fds[2]) {
    const int flags = static_cast<int>(resource.flags);
    switch (resource.kind) {
        case ResourceKind::pipe:
            return pipe2(fds, flags | O_CLOEXEC) == 0;
        case ResourceKind::stream:
            return socketpair(AF_UNIX, SOCK_STREAM | flags | SOCK_CLOEXEC, 0, fds) == 0;
        case ResourceKind::datagram:
            return socketpair(AF_UNIX, SOCK_DGRAM | flags | SOCK_CLOEXEC, 0, fds) == 0;
        case ResourceKind::seqpacket:
            return socketpair(AF_UNIX, SOCK_SEQPACKET | flags | SOCK_CLOEXEC, 0, fds) == 0;
        default:
            return false;
    }
}

pid_t start_child() {
    const pid_t child = fork();
    if (child == 0) _exit(7);
    siginfo_t information;
    waitid(P_PID, static_cast<id_t>(child), &information, WEXITED | WNOWAIT);
    return child;
}

}  // namespace ringside::lab
