// io_uring_setup(2): checks what the kernel checks, in its order, and makes a ring.
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>

#include "abi/syscall.h"
#include "entry/engine.h"
#include "entry/entry.h"
#include "memory/user_memory.h"
#include "os/fds.h"
#include "os/own_process.h"
#include "os/thread_id.h"
#include "path/path.h"
#include "process/callbacks.h"
#include "process/registered_rings.h"
#include "process/registry.h"
#include "service/readiness.h"
#include "service/ring_file.h"
#include "service/sqpoll.h"
#include "state/known.h"

namespace ringside::engine {
namespace {

bool all_set(uint32_t flags, uint32_t wanted) { return (flags & wanted) == wanted; }

int check_flags(uint32_t flags) {
    if (flags & ~known_setup_flags) return -EINVAL;
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

// IORING_SETUP_ATTACH_WQ shares threads. Here all rings of a process share the workers anyway, and a program cannot
// tell whether its rings share a submission thread. So it is enough to check the ring that the program names.
int check_attach(const io_uring_params& params) {
    if (!(params.flags & IORING_SETUP_ATTACH_WQ)) return 0;
    const int fd = static_cast<int>(params.wq_fd);
    const Ring* ring = find_named(fd);
    if (ring != nullptr) return params.flags & ~ring->setup_flags & IORING_SETUP_SQPOLL ? -EINVAL : 0;
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
    if (one_task && !ring.disabled) ring.submitter = this_thread_id();
}

// The ring's memory and its file descriptor.
int open_descriptor(Ring& ring, const io_uring_params& params, Face face) {
    const bool programs_memory = params.flags & IORING_SETUP_NO_MMAP;
    if (face == Face::mappable && !programs_memory) return create_memory(params, ring.memory);
    const int result = programs_memory ? adopt_memory(params, ring.memory) : create_private_memory(params, ring.memory);
    if (result < 0) return result;
    if (face == Face::mappable) {
        return static_cast<int>(abi::syscall(__NR_memfd_create, "io_uring", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    }
    // The program gets the memory from map(). It needs the descriptor only to poll it.
    return new_ring_descriptor(ring.readiness);
}

int name_by_descriptor(Ring& ring, const io_uring_params& params, Face face) {
    int fd = open_descriptor(ring, params, face);
    if (fd < 0) return fd;
    bool reopened = false;
    if (face == Face::mappable) fd = reopen_ring_file(fd, reopened);
    if (fd < 0) return fd;
    know_ring_file(ring, fd, reopened);
    // The kernel gave out this number, so a ring that had it before was closed by a call that the engine did not see.
    if (Ring* before = remove_descriptor(fd)) let_go_of_ring(*before);
    const int entered = enter_descriptor(fd, ring);
    if (entered < 0) {
        close_fd(fd);
        return entered;
    }
    ring.descriptors = 1;
    return fd;
}

// IORING_SETUP_REGISTERED_FD_ONLY: the ring has no descriptor at all.
int name_by_index(Ring& ring, const io_uring_params& params) {
    const int result = adopt_memory(params, ring.memory);
    return result < 0 ? result : add_registered_ring({&ring, ring.generation.load()}, any_index);
}

void take_name_back(const io_uring_params& params, int name) {
    if (params.flags & IORING_SETUP_REGISTERED_FD_ONLY) {
        remove_registered_ring(static_cast<unsigned>(name));
    } else {
        engine::close(name);
    }
}

// Returns the ring's descriptor, or its registered index, or -errno.
int make_ring(io_uring_params& params, Face face) {
    // Check now, because wq_fd could name the new ring once that has a descriptor. Report it later, because errors of
    // the ring's memory come first.
    const int attached = check_attach(params);
    end_gone_rings();
    Ring* ring = take_ring();
    if (ring == nullptr) return -ENOMEM;
    configure(*ring, params, face);
    const bool by_index = params.flags & IORING_SETUP_REGISTERED_FD_ONLY;
    const int name = by_index ? name_by_index(*ring, params) : name_by_descriptor(*ring, params, face);
    if (name < 0) {
        destroy_ring(*ring);
        return name;
    }
    const int result = attached < 0 ? attached : start_sqpoll(*ring, params);
    if (result < 0) {
        take_name_back(params, name);
        return result;
    }
    Guard guard(ring->lock);
    ring->open = true;
    return name;
}

}  // namespace

int setup(unsigned entries, io_uring_params* user_params, Face face) {
    mark_own_process();
    io_uring_params params;
    const auto address = reinterpret_cast<uintptr_t>(user_params);
    if (read_user(params, address) < 0) return -EFAULT;
    for (uint32_t reserved : params.resv) {
        if (reserved != 0) return -EINVAL;
    }
    int result = check_flags(params.flags);
    if (result == 0) result = size_queues(entries, params);
    if (result < 0) return result;

    const int name = make_ring(params, face);
    if (name < 0) return name;
    describe(layout_of(params), params);
    params.features = features;
    if (write_user(address, params) < 0) {
        take_name_back(params, name);
        return -EFAULT;
    }
    return name;
}

}  // namespace ringside::engine
