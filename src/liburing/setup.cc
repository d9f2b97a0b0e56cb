#include <errno.h>
#include <sys/mman.h>

#include "abi/syscall.h"
#include "liburing/memory.h"
#include "liburing/owner.h"
#include "liburing/rings.h"

namespace ringside::liburing {
namespace {

// The parts of a kernel ring are mapped; the engine hands out its own mapping, which goes with its ring.
void* map_part(const io_uring& ring, int fd, uint64_t offset, size_t size, int* error) {
    if (!has(ring, internal_engine)) return map(fd, offset, size, 0, error);
    engine::Ring* const pointer = engine_ring(ring);
    void* const address = pointer == nullptr ? nullptr : engine::map(*pointer, offset, size);
    if (address == nullptr) *error = -ENOMEM;
    return address;
}

unsigned* word_at(void* base, unsigned offset) {
    return reinterpret_cast<unsigned*>(static_cast<unsigned char*>(base) + offset);
}

void measure_rings(io_uring& ring, const io_uring_params& params) {
    ring.sq.ring_sz = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    ring.cq.ring_sz = params.cq_off.cqes +
                      ((params.cq_entries * sizeof(io_uring_cqe)) << io_uring_cqe_shift_from_flags(params.flags));
    if (!(params.features & IORING_FEAT_SINGLE_MMAP)) return;
    if (ring.cq.ring_sz > ring.sq.ring_sz) ring.sq.ring_sz = ring.cq.ring_sz;
    ring.cq.ring_sz = ring.sq.ring_sz;
}

}  // namespace

int map_rings(io_uring& ring, int fd, const io_uring_params& params) {
    int error = 0;
    measure_rings(ring, params);
    ring.sq.ring_ptr = map_part(ring, fd, IORING_OFF_SQ_RING, ring.sq.ring_sz, &error);
    ring.cq.ring_ptr = ring.sq.ring_ptr;
    if (error == 0 && !(params.features & IORING_FEAT_SINGLE_MMAP)) {
        ring.cq.ring_ptr = map_part(ring, fd, IORING_OFF_CQ_RING, ring.cq.ring_sz, &error);
    }
    if (error == 0) {
        ring.sq.sqes_sz = static_cast<unsigned>((params.sq_entries * sizeof(io_uring_sqe))
                                                << io_uring_sqe_shift_from_flags(params.flags));
        ring.sq.sqes = static_cast<io_uring_sqe*>(map_part(ring, fd, IORING_OFF_SQES, ring.sq.sqes_sz, &error));
    }
    if (error != 0) unmap_rings(ring);
    return error;
}

void unmap_rings(io_uring& ring) {
    const bool engines_own = has(ring, internal_engine) && !(ring.flags & IORING_SETUP_NO_MMAP);
    if (!engines_own && !has(ring, internal_program_memory)) {
        unmap(ring.sq.sqes, ring.sq.sqes_sz);
        if (ring.cq.ring_ptr != ring.sq.ring_ptr) unmap(ring.cq.ring_ptr, ring.cq.ring_sz);
        unmap(ring.sq.ring_ptr, ring.sq.ring_sz);
    }
    ring.sq.sqes = nullptr;
    ring.sq.ring_ptr = nullptr;
    ring.cq.ring_ptr = nullptr;
}

void point_into_rings(io_uring& ring, const io_uring_params& params) {
    io_uring_sq& sq = ring.sq;
    sq.khead = word_at(sq.ring_ptr, params.sq_off.head);
    sq.ktail = word_at(sq.ring_ptr, params.sq_off.tail);
    sq.kring_mask = word_at(sq.ring_ptr, params.sq_off.ring_mask);
    sq.kring_entries = word_at(sq.ring_ptr, params.sq_off.ring_entries);
    sq.kflags = word_at(sq.ring_ptr, params.sq_off.flags);
    sq.kdropped = word_at(sq.ring_ptr, params.sq_off.dropped);
    sq.ring_mask = *sq.kring_mask;
    sq.ring_entries = *sq.kring_entries;

    io_uring_cq& cq = ring.cq;
    cq.khead = word_at(cq.ring_ptr, params.cq_off.head);
    cq.ktail = word_at(cq.ring_ptr, params.cq_off.tail);
    cq.kring_mask = word_at(cq.ring_ptr, params.cq_off.ring_mask);
    cq.kring_entries = word_at(cq.ring_ptr, params.cq_off.ring_entries);
    cq.koverflow = word_at(cq.ring_ptr, params.cq_off.overflow);
    cq.kflags = params.cq_off.flags != 0 ? word_at(cq.ring_ptr, params.cq_off.flags) : nullptr;
    cq.cqes = reinterpret_cast<io_uring_cqe*>(word_at(cq.ring_ptr, params.cq_off.cqes));
    cq.ring_mask = *cq.kring_mask;
    cq.ring_entries = *cq.kring_entries;

    // SQEs are submitted in the order in which they were handed out, so slot n of the index array names SQE n from the
    // start, and a submission never has to write there.
    sq.array = nullptr;
    if (params.flags & IORING_SETUP_NO_SQARRAY) return;
    sq.array = word_at(sq.ring_ptr, params.sq_off.array);
    for (unsigned i = 0; i < sq.ring_entries; i++) sq.array[i] = i;
}

void finish_setup(io_uring& ring, int fd, const io_uring_params& params) {
    point_into_rings(ring, params);
    ring.flags = params.flags;
    ring.features = params.features;
    ring.enter_ring_fd = fd;
    ring.ring_fd = fd;
    if (params.flags & IORING_SETUP_REGISTERED_FD_ONLY) {
        ring.ring_fd = -1;
        set(ring, internal_registered_ring);
        set(ring, internal_registered_register);
    }
}

namespace {

// Returns 0, or with IORING_SETUP_NO_MMAP the bytes of memory that were used, or -errno.
int init_once(provider::Kind kind, unsigned entries, io_uring& ring, io_uring_params& params, ProgramMemory memory) {
    memset(&ring, 0, sizeof(ring));
    ring.flags = params.flags;
    int used = 0;
    if (params.flags & IORING_SETUP_NO_MMAP) used = place_rings(ring, entries, params, memory);
    if (used < 0) return used;

    const int fd = provider::setup(kind, entries, &params, engine::Face::pollable);
    if (fd < 0) {
        unmap_rings(ring);
        return fd;
    }
    set_owner(ring, kind, fd);
    const int error = params.flags & IORING_SETUP_NO_MMAP ? 0 : map_rings(ring, fd, params);
    if (error != 0) {
        provider::close(kind, fd);
        return error;
    }
    finish_setup(ring, fd, params);
    return used;
}

}  // namespace

int init(provider::Kind kind, unsigned entries, io_uring& ring, io_uring_params& params, ProgramMemory memory) {
    // A ring without the index array spares the kernel a read for each request; kernels before 6.6 do not know it.
    const io_uring_params asked = params;
    params.flags |= IORING_SETUP_NO_SQARRAY;
    const int result = init_once(kind, entries, ring, params, memory);
    if (result != -EINVAL || (asked.flags & IORING_SETUP_NO_SQARRAY)) return result;
    params = asked;
    return init_once(kind, entries, ring, params, memory);
}

}  // namespace ringside::liburing

using namespace ringside;
using namespace ringside::liburing;

int io_uring_queue_init_params(unsigned entries, io_uring* ring, io_uring_params* p) {
    const int result = init(provider::choose().kind, entries, *ring, *p, {});
    return result < 0 ? result : 0;
}

int io_uring_queue_init(unsigned entries, io_uring* ring, unsigned flags) {
    io_uring_params params = {};
    params.flags = flags;
    return io_uring_queue_init_params(entries, ring, &params);
}

int io_uring_queue_mmap(int fd, io_uring_params* p, io_uring* ring) {
    memset(ring, 0, sizeof(*ring));
    set_owner(*ring, provider::kind_of(fd), fd);
    const int error = map_rings(*ring, fd, *p);
    if (error == 0) finish_setup(*ring, fd, *p);
    return error;
}

void io_uring_queue_exit(io_uring* ring) {
    if (has(*ring, internal_registered_ring)) io_uring_unregister_ring_fd(ring);
    // First the ring, then its memory: requests in flight may still complete until the one is gone.
    if (ring->ring_fd >= 0) provider::close(owner(*ring), ring->ring_fd);
    unmap_rings(*ring);
}

int io_uring_ring_dontfork(io_uring* ring) {
    if (ring->sq.ring_ptr == nullptr || ring->sq.sqes == nullptr || ring->cq.ring_ptr == nullptr) return -EINVAL;
    // The engine handles its memory in a child by itself, and needs the memory there to do so.
    if (has(*ring, internal_engine)) return 0;
    const auto keep = [](void* address, size_t size) {
        return size == 0 ? 0 : static_cast<int>(abi::syscall(__NR_madvise, address, size, MADV_DONTFORK));
    };
    int error = keep(ring->sq.sqes, ring->sq.sqes_sz);
    if (error == 0) error = keep(ring->sq.ring_ptr, ring->sq.ring_sz);
    if (error == 0 && ring->cq.ring_ptr != ring->sq.ring_ptr) error = keep(ring->cq.ring_ptr, ring->cq.ring_sz);
    return error;
}
