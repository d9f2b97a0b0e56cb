// Facts about a socket that an operation needs and its own system call does not report.
#pragma once

#include <stdint.h>

#include "state/request.h"

namespace ringside::engine {

// An integer option (SO_TYPE, SO_DOMAIN, ...) of level SOL_SOCKET, or -errno: -ENOTSOCK, -EBADF.
int socket_option(int fd, int name);

// What kind of socket (SOCK_...) the request's registered file is. 0 if it is none, or if the request names a
// descriptor, which may stand for another file at the next moment.
int registered_socket_type(const Request& request);

// Whether a transfer with MSG_WAITALL goes on after a part: a datagram never does.
bool continues_partial(int fd);

// Whether the kernel can send from the program's memory on this socket. If not, zero-copy sends are refused.
bool supports_zero_copy(int fd);

// Whether a stream socket has more to read. Always false for datagram sockets.
bool stream_has_more(int fd);

// Whether the peer of a TCP connection has sent its FIN. Also true if the connection is over, though it may have been
// reset.
bool tcp_end_has_come(int fd);

// Which of `events` poll(2) reports now. If poll(2) fails, POLLERR: the system call that follows then finds out why.
uint32_t ready_for(int fd, uint32_t events);
inline bool is_ready_for(int fd, uint32_t events) { return ready_for(fd, events) != 0; }

// The result of a send that was blocked when its peer went away. Such a send reports the reason; a send that begins
// later reports -EPIPE only. All other results are passed through.
long reason_of_blocked(const Request& request, long result);

// Copies a socket address into `to`, which holds a sockaddr_storage. Returns 0, -EFAULT, or -EINVAL for a length that
// no address has.
int copy_address(void* to, uint64_t from, int32_t length);

// The same into the request's `memory`. Also -ENOMEM.
int keep_address(Request& request, uint64_t from, int32_t length);

}  // namespace ringside::engine
