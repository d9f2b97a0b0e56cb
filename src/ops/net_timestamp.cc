// IORING_OP_URING_CMD with SOCKET_URING_OP_TX_TIMESTAMP: a multishot request that reports when sent data left this
// machine. The program turns the timestamps on by SO_TIMESTAMPING; they arrive in the socket's error queue.
#include "ops/net_timestamp.h"

// The kernel's header needs it.
#include <time.h>

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "abi/syscall.h"
#include "ops/socket.h"
#include "service/path_face.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

struct Timestamp {
    timespec time;
    bool by_hardware;
    uint32_t key;   // which of the sends, as SOF_TIMESTAMPING_OPT_ID counts them
    uint32_t type;  // SCM_TSTAMP_*
    bool has_time;
    bool has_key;
};

void read_time(const cmsghdr& item, Timestamp& stamp) {
    timespec times[3];  // by software, unused, by hardware
    memcpy(times, CMSG_DATA(&item), sizeof(times));
    stamp.by_hardware = times[2].tv_sec != 0 || times[2].tv_nsec != 0;
    stamp.time = times[stamp.by_hardware ? 2 : 0];
    stamp.has_time = true;
}

void read_key(const cmsghdr& item, Timestamp& stamp) {
    sock_extended_err error;
    memcpy(&error, CMSG_DATA(&item), sizeof(error));
    stamp.key = error.ee_data;
    stamp.type = error.ee_info;
    stamp.has_key = error.ee_origin == SO_EE_ORIGIN_TIMESTAMPING;
}

void read_item(const cmsghdr& item, Timestamp& stamp) {
    if (item.cmsg_level == SOL_SOCKET && item.cmsg_type == SCM_TIMESTAMPING) read_time(item, stamp);
    if (item.cmsg_level == SOL_IP && item.cmsg_type == IP_RECVERR) read_key(item, stamp);
    if (item.cmsg_level == SOL_IPV6 && item.cmsg_type == IPV6_RECVERR) read_key(item, stamp);
}

// Whether the family knows MSG_ERRQUEUE. A family that does not would return ordinary data, and remove it from the
// socket.
bool has_error_queue(int fd) {
    const int family = socket_option(fd, SO_DOMAIN);
    return family == AF_INET || family == AF_INET6 || family == AF_PACKET;
}

// Takes the next message out of the error queue. Returns 0 or -errno.
long take(int fd, Timestamp& stamp) {
    alignas(cmsghdr) char control[512];
    msghdr header = {};
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    const long result = abi::syscall(__NR_recvmsg, fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (result < 0) return result;
    stamp = {};
    for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
        read_item(*item, stamp);
    }
    return 0;
}

void tell(Request& request, const Timestamp& stamp) {
    const uint64_t time[] = {static_cast<uint64_t>(stamp.time.tv_sec), static_cast<uint64_t>(stamp.time.tv_nsec)};
    const uint32_t hardware = stamp.by_hardware ? IORING_CQE_F_TSTAMP_HW : 0;
    // The message is out of the error queue. If the CQ is full, its CQE must overflow and not be dropped.
    post(*request.ring, request.user_data, static_cast<int32_t>(stamp.key),
         IORING_CQE_F_MORE | hardware | stamp.type << IORING_TIMESTAMP_TYPE_SHIFT, time);
}

}  // namespace

Outcome timestamp_issue(Request& request) {
    if (!(request.ring->setup_flags & (IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED))) return request.done(-EINVAL);
    request.set(request_multishot);
    // No timestamp ever comes. The kernel waits all the same.
    if (!has_error_queue(request.fd)) return request.wait(POLLERR);
    for (;;) {
        Timestamp stamp;
        const long result = take(request.fd, stamp);
        if (result == -EINTR) continue;
        if (result < 0) return request.wait(POLLERR);
        if (stamp.has_time && stamp.has_key) tell(request, stamp);
    }
}

}  // namespace ringside::engine
