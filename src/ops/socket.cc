#include "ops/socket.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "state/tables.h"

namespace ringside::engine {

int socket_option(int fd, int name) {
    int value = 0;
    socklen_t size = sizeof(value);
    const long result = abi::syscall(__NR_getsockopt, fd, SOL_SOCKET, name, &value, &size);
    return result < 0 ? static_cast<int>(result) : value;
}

int registered_socket_type(const Request& request) {
    if (!request.has(IOSQE_FIXED_FILE)) return 0;
    FixedFile& file = *request.fixed_file;
    if (file.is_kept) return 0;
    if (file.socket_type == FixedFile::not_asked) {
        const int type = socket_option(file.fd, SO_TYPE);
        file.socket_type = type > 0 ? static_cast<int16_t>(type) : FixedFile::no_socket;
    }
    return file.socket_type == FixedFile::no_socket ? 0 : file.socket_type;
}

bool continues_partial(int fd) {
    const int type = socket_option(fd, SO_TYPE);
    return type == SOCK_STREAM || type == SOCK_SEQPACKET;
}

bool supports_zero_copy(int fd) {
    const int domain = socket_option(fd, SO_DOMAIN);
    if (domain != AF_INET && domain != AF_INET6) return false;
    const int protocol = socket_option(fd, SO_PROTOCOL);
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_UDPLITE;
}

bool stream_has_more(int fd) {
    int waiting = 0;
    return abi::syscall(__NR_ioctl, fd, FIONREAD, &waiting) == 0 && waiting > 0 &&
           socket_option(fd, SO_TYPE) == SOCK_STREAM;
}

bool tcp_end_has_come(int fd) {
    // States of a connection, numbered as in TCP_INFO.
    enum : uint8_t { time_wait = 6, closed = 7, close_wait = 8, last_ack = 9, closing = 11 };
    tcp_info info = {};
    socklen_t size = sizeof(info);
    if (abi::syscall(__NR_getsockopt, fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return false;
    switch (info.tcpi_state) {
        case time_wait:
        case close_wait:
        case last_ack:
        case closing:
            return true;
        case closed:
            // A socket that was never connected has received no segment.
            return info.tcpi_segs_in != 0;
        default:
            return false;
    }
}

uint32_t ready_for(int fd, uint32_t events) {
    pollfd set = {fd, static_cast<short>(events), 0};
    const timespec at_once = {0, 0};
    const long ready = abi::syscall(__NR_ppoll, &set, 1, &at_once, nullptr, 0);
    return ready < 0 ? uint32_t{POLLERR} : static_cast<uint16_t>(set.revents);
}

long reason_of_blocked(const Request& request, long result) {
    if (result != -EPIPE || !request.has(request_blocks) || request.place != Place::armed) return result;
    const int reason = socket_option(request.fd, SO_ERROR);
    return reason > 0 ? -reason : result;
}

int copy_address(void* to, uint64_t from, int32_t length) {
    if (length < 0 || static_cast<size_t>(length) > sizeof(sockaddr_storage)) return -EINVAL;
    return read_user(to, from, static_cast<size_t>(length));
}

int keep_address(Request& request, uint64_t from, int32_t length) {
    void* address = malloc(sizeof(sockaddr_storage));
    if (address == nullptr) return -ENOMEM;
    request.keep(address);
    return copy_address(address, from, length);
}

}  // namespace ringside::engine
