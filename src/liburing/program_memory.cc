// Rings in memory of the program's, or in memory that the library allocates for it (IORING_SETUP_NO_MMAP), and how
// much they need.
#include <errno.h>
#include <limits.h>
#include <sys/mman.h>

#include "liburing/memory.h"
#include "liburing/owner.h"
#include "liburing/rings.h"

namespace ringside::liburing {
namespace {

// The SQEs come first, then the rings, each on pages of its own.
struct Placement {
    size_t rings_offset;
    size_t total;
};

int place(unsigned entries, const io_uring_params& params, Placement& placement) {
    QueueSizes sizes;
    const int error = queue_sizes(entries, params, sizes);
    if (error != 0) return error;
    placement.rings_offset = round_to_pages(sqes_bytes(sizes, params.flags));
    placement.total = placement.rings_offset + round_to_pages(rings_bytes(sizes, params.flags));
    return 0;
}

// Kernels before 6.10 want each part in one piece of physical memory, which only a huge page guarantees; if none is
// reserved, plain pages are used, which other kernels accept.
void* find_memory(size_t& size, int* error) {
    constexpr size_t huge_page = size_t{2} << 20;
    if (size > 2 * page_size() && size <= huge_page) {
        int ignored = 0;
        void* const address = map(-1, 0, huge_page, MAP_SHARED | MAP_HUGETLB, &ignored);
        if (address != nullptr) {
            size = huge_page;
            return address;
        }
    }
    return map(-1, 0, size, MAP_SHARED | MAP_POPULATE, error);
}

}  // namespace

int place_rings(io_uring& ring, unsigned entries, io_uring_params& params, ProgramMemory memory) {
    Placement placement;
    int error = place(entries, params, placement);
    if (error != 0) return error;
    if (placement.total > INT_MAX) return -ENOMEM;

    if (memory.address != nullptr) {
        if (memory.size < placement.total) return -ENOMEM;
        set(ring, internal_program_memory);
    } else {
        memory.size = placement.total;
        memory.address = find_memory(memory.size, &error);
        if (memory.address == nullptr) return error;
    }

    ring.sq.sqes = static_cast<io_uring_sqe*>(memory.address);
    ring.sq.ring_ptr = static_cast<unsigned char*>(memory.address) + placement.rings_offset;
    ring.cq.ring_ptr = ring.sq.ring_ptr;
    // It is all one mapping, which is unmapped with the SQEs.
    ring.sq.sqes_sz = static_cast<unsigned>(memory.size);
    params.sq_off.user_addr = uring_ptr_to_u64(ring.sq.sqes);
    params.cq_off.user_addr = uring_ptr_to_u64(ring.sq.ring_ptr);
    return static_cast<int>(placement.total);
}

}  // namespace ringside::liburing

using namespace ringside::liburing;

int io_uring_queue_init_mem(unsigned entries, io_uring* ring, io_uring_params* p, void* buf, size_t buf_size) {
    p->flags |= IORING_SETUP_NO_MMAP;
    if (buf == nullptr) return -EFAULT;
    return init(ringside::provider::choose().kind, entries, *ring, *p, {buf, buf_size});
}

ssize_t io_uring_memory_size_params(unsigned entries, io_uring_params* p) {
    Placement placement;
    const int error = place(entries, *p, placement);
    return error != 0 ? error : static_cast<ssize_t>(placement.total);
}

ssize_t io_uring_memory_size(unsigned entries, unsigned flags) {
    io_uring_params params = {};
    params.flags = flags;
    return io_uring_memory_size_params(entries, &params);
}

ssize_t io_uring_mlock_size_params(unsigned entries, io_uring_params* p) {
    // Kernels with native workers charge nothing to RLIMIT_MEMLOCK. The features of a ring of the smallest size show
    // whether the kernel has them.
    io_uring ring;
    const int error = io_uring_queue_init(1, &ring, 0);
    if (error != 0) return error;
    const bool charged = !(ring.features & IORING_FEAT_NATIVE_WORKERS);
    io_uring_queue_exit(&ring);
    return charged ? io_uring_memory_size_params(entries, p) : 0;
}

ssize_t io_uring_mlock_size(unsigned entries, unsigned flags) {
    io_uring_params params = {};
    params.flags = flags;
    return io_uring_mlock_size_params(entries, &params);
}
