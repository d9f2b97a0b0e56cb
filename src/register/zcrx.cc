// IORING_REGISTER_ZCRX_IFQ: packets that a network device writes into the program's memory. That takes a device and a
// driver for it; without them the kernel refuses in the end, and so do we, for the same reasons in the same order.
#include <errno.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "os/credentials.h"
#include "os/fds.h"
#include "register/register.h"

namespace ringside::engine {
namespace {

constexpr uint32_t most_entries = 32768;
constexpr uint64_t header_size = 64;  // of the ring by which the program gives memory back

// Such memory may see what is meant for others.
int check_ring(const Ring& ring) {
    if (!is_capable(CAP_NET_ADMIN)) return -EPERM;
    if (!(ring.setup_flags & IORING_SETUP_DEFER_TASKRUN)) return -EINVAL;
    return ring.setup_flags & (IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED) ? 0 : -EINVAL;
}

int check_queue(const Ring& ring, io_uring_zcrx_ifq_reg& wanted) {
    for (const uint64_t word : wanted.__resv) {
        if (word != 0) return -EINVAL;
    }
    if (wanted.rx_buf_len != 0 || wanted.zcrx_id != 0) return -EINVAL;
    if (wanted.if_rxq == ~0u || wanted.rq_entries == 0 || wanted.flags != 0) return -EINVAL;
    if (wanted.rq_entries <= most_entries) return 0;
    wanted.rq_entries = most_entries;
    return ring.setup_flags & IORING_SETUP_CLAMP ? 0 : -EINVAL;
}

// The ring of memory given back lies in the region.
int check_memory(const io_uring_region_desc& region, uint32_t entries) {
    uint64_t capacity = 1;
    while (capacity < entries) capacity *= 2;
    return header_size + capacity * sizeof(io_uring_zcrx_rqe) > region.size ? -EINVAL : check_region(region);
}

// There is no way for us to a queue of a device.
int refuse_device(uint32_t index) {
    const auto socket = static_cast<int>(abi::syscall(__NR_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (socket < 0) return socket;
    ifreq request = {};
    request.ifr_ifindex = static_cast<int>(index);
    const long result = abi::syscall(__NR_ioctl, socket, SIOCGIFNAME, &request);
    close_fd(socket);
    return result < 0 ? -ENODEV : -EOPNOTSUPP;
}

}  // namespace

int register_zcrx_ifq(Ring& ring, uint64_t address, unsigned) {
    int result = check_ring(ring);
    if (result < 0) return result;
    io_uring_zcrx_ifq_reg wanted;
    if (read_user(wanted, address) < 0) return -EFAULT;
    io_uring_region_desc region;
    if (read_user(region, wanted.region_ptr) < 0) return -EFAULT;
    result = check_queue(ring, wanted);
    if (result < 0) return result;
    io_uring_zcrx_area_reg area;
    if (read_user(area, wanted.area_ptr) < 0) return -EFAULT;
    result = check_memory(region, wanted.rq_entries);
    return result < 0 ? result : refuse_device(wanted.if_idx);
}

}  // namespace ringside::engine
