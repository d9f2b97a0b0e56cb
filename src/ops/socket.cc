#include "ops/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "abi/syscall.h"
#include "state/user_memory.h"

namespace ringside::engine {

int socket_option(int fd, int name) {
    int value = 0;
    socklen_t size = sizeof(value);
    const long result = abi::syscall(__NR_getsockopt, fd, SOL_SOCKET, name, &value, &size);
    return result < 0 ? static_cast<int>(result) : value;
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

bool is_ready_for(int fd, uint32_t events) {
    pollfd set = {fd, static_cast<short>(events), 0};
    const timespec at_once = {0, 0};
    return abi::syscall(__NR_ppoll, &set, 1, &at_once, nullptr, 0) != 0;
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
