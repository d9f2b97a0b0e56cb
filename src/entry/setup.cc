// io_uring_setup(2): checks what the kernel checks, in its order, and makes a ring.
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/eventfd.h>

#include "abi/syscall.h"
#include "entry/engine.h"
#include "entry/entry.h"
#include "path/path.h"
#include "service/sqpoll.h"
#include "state/fds.h"
#include "state/registry.h"
#include "state/user_memory.h"

namespace ringside::engine {
namespace {

constexpr uint32_t most_sq_entries = 32768;
constexpr uint32_t most_cq_entries = 2 * most_sq_entries;

constexpr uint32_t known_flags =
    IORING_SETUP_IOPOLL | IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
    IORING_SETUP_ATTACH_WQ | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
    IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER |
    IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY | IORING_SETUP_NO_SQARRAY |
    IORING_SETUP_HYBRID_IOPOLL | IORING_SETUP_CQE_MIXED;

constexpr uint32_t features = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
                              IORING_FEAT_RW_CUR_POS | IORING_FEAT_CUR_PERSONALITY | IORING_FEAT_FAST_POLL |
                              IORING_FEAT_POLL_32BITS | IORING_FEAT_SQPOLL_NONFIXED | IORING_FEAT_EXT_ARG |
                              IORING_FEAT_NATIVE_WORKERS | IORING_FEAT_CQE_SKIP | IORING_FEAT_LINKED_FILE |
                              IORING_FEAT_MIN_TIMEOUT | IORING_FEAT_NO_IOWAIT;

bool all_set(uint32_t flags, uint32_t wanted) { return (flags & wanted) == wanted; }

int check_flags(uint32_t flags) {
    if (flags & ~known_flags) return -EINVAL;
    if ((flags & IORING_SETUP_REGISTERED_FD_ONLY) && !(flags & IORING_SETUP_NO_MMAP)) return -EINVAL;
    constexpr uint32_t about_task = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_DEFER_TASKRUN;
    if ((flags & IORING_SETUP_SQPOLL) && (flags & about_task)) return -EINVAL;
    if ((flags & IORING_SETUP_TASKRUN_FLAG) && !(flags & (IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN))) {
        return -EINVAL;
    }
    if ((flags & IORING_SETUP_HYBRID_IOPOLL) && !(flags & IORING_SETUP_IOPOLL)) return -EINVAL;
    if ((flags & IORING_SETUP_DEFER_TASKRUN) && !(flags & IORING_SETUP_SINGLE_ISSUER)) return -EINVAL;
    if (all_set(flags, IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED)) return -EINVAL;
    return 0;
}

uint32_t round_up_to_power_of_two(uint32_t value) {
    return value <= 1 ? 1 : 1u << (32 - __builtin_clz(value - 1));
}

int size_queues(unsigned entries, io_uring_params& params) {
    const bool clamp = params.flags & IORING_SETUP_CLAMP;
    if (entries == 0) return -EINVAL;
    if (entries > most_sq_entries) {
        if (!clamp) return -EINVAL;
        entries = most_sq_entries;
    }
    params.sq_entries = round_up_to_power_of_two(entries);
    if (!(params.flags & IORING_SETUP_CQSIZE)) {
        params.cq_entries = 2 * params.sq_entries;
        return 0;
    }
    if (params.cq_entries == 0) return -EINVAL;
    if (params.cq_entries > most_cq_entries) {
        if (!clamp) return -EINVAL;
        params.cq_entries = most_cq_entries;
    }
    params.cq_entries = round_up_to_power_of_two(params.cq_entries);
    return params.cq_entries < params.sq_entries ? -EINVAL : 0;
}

// IORING_SETUP_ATTACH_WQ shares threads, which all rings of a process do here; what is left is to check the ring named.
int check_attach(const io_uring_params& params) {
    if (!(params.flags & IORING_SETUP_ATTACH_WQ)) return 0;
    const int fd = static_cast<int>(params.wq_fd);
    if (ring_of(fd) != nullptr) return 0;
    return abi::syscall(__NR_fcntl, fd, F_GETFD) < 0 ? -ENXIO : -EINVAL;
}

void configure(Ring& ring, const io_uring_params& params, Face face) {
    ring.setup_flags = params.flags;
    ring.sq_entries = params.sq_entries;
    ring.cq_entries = params.cq_entries;
    ring.sqe_shift = params.flags & IORING_SETUP_SQE128 ? 7 : 6;
    ring.cqe_shift = params.flags & IORING_SETUP_CQE32 ? 5 : 4;
    ring.disabled = params.flags & IORING_SETUP_R_DISABLED;
    ring.face = face;
    const bool one_task = params.flags & IORING_SETUP_SINGLE_ISSUER;
    if (one_task && !ring.disabled) ring.submitter = static_cast<int>(abi::syscall(__NR_gettid));
}

// The ring's memory and its file descriptor.
int open_descriptor(Ring& ring, const io_uring_params& params, Face face) {
    int fd;
    if (params.flags & IORING_SETUP_NO_MMAP) {
        const int result = adopt_memory(params, ring.memory);
        if (result < 0) return result;
        fd = static_cast<int>(abi::syscall(__NR_memfd_create, "io_uring", MFD_CLOEXEC));
    } else {
        fd = create_memory(params, face == Face::mappable, ring.memory);
    }
    if (fd < 0 || face == Face::mappable) return fd;
    // We have it mapped; what the program needs is something to poll.
    close_fd(fd);
    fd = static_cast<int>(abi::syscall(__NR_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
    ring.notification.readiness = fd;
    ring.notification.readiness_borrowed = true;
    return fd;
}

int make_ring(io_uring_params& params, Face face) {
    Ring* ring = take_ring();
    if (ring == nullptr) return -ENOMEM;
    configure(*ring, params, face);
    const int fd = open_descriptor(*ring, params, face);
    int result = fd;
    if (result >= 0) result = start_sqpoll(*ring, params);
    if (result >= 0) result = enter_descriptor(fd, *ring);
    if (result < 0) {
        if (fd >= 0) close_fd(fd);
        destroy_ring(*ring);
        return result;
    }
    ring->descriptors = 1;
    Guard guard(ring->lock);
    ring->open = true;
    return fd;
}

}  // namespace

int setup(unsigned entries, io_uring_params* user_params, Face face) {
    io_uring_params params;
    const auto address = reinterpret_cast<uintptr_t>(user_params);
    if (read_user(params, address) < 0) return -EFAULT;
    for (uint32_t reserved : params.resv) {
        if (reserved != 0) return -EINVAL;
    }
    int result = check_flags(params.flags);
    if (result == 0) result = size_queues(entries, params);
    if (result == 0) result = check_attach(params);
    if (result < 0) return result;

    const int fd = make_ring(params, face);
    if (fd < 0) return fd;
    describe(layout_of(params), params);
    params.features = features;
    if (write_user(address, params) < 0) {
        engine::close(fd);
        return -EFAULT;
    }
    return fd;
}

}  // namespace ringside::engine
