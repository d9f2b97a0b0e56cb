#include "liburing/memory.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/syscall.h"

namespace ringside::liburing {
namespace {

constexpr unsigned max_sq_entries = 32768;
constexpr unsigned max_cq_entries = 2 * max_sq_entries;

// The header before the CQEs. Today's kernels and the engine take 64 bytes for it; older kernels took up to this.
constexpr size_t ring_header_bytes = 320;

unsigned round_to_power_of_two(unsigned value) {
    unsigned power = 1;
    while (power < value) power <<= 1;
    return power;
}

// Reduces `entries` to the limit if the flags allow it. Returns false if io_uring_setup(2) would refuse the number.
bool clamp(unsigned& entries, unsigned limit, unsigned flags) {
    if (entries == 0) return false;
    if (entries <= limit) return true;
    if (!(flags & IORING_SETUP_CLAMP)) return false;
    entries = limit;
    return true;
}

}  // namespace

int queue_sizes(unsigned entries, const io_uring_params& params, QueueSizes& sizes) {
    if (!clamp(entries, max_sq_entries, params.flags)) return -EINVAL;
    sizes.sq_entries = round_to_power_of_two(entries);
    sizes.cq_entries = 2 * sizes.sq_entries;
    if (params.flags & IORING_SETUP_CQSIZE) {
        unsigned wanted = params.cq_entries;
        if (!clamp(wanted, max_cq_entries, params.flags)) return -EINVAL;
        sizes.cq_entries = round_to_power_of_two(wanted);
        if (sizes.cq_entries < sizes.sq_entries) return -EINVAL;
    }
    return 0;
}

size_t sqes_bytes(const QueueSizes& sizes, unsigned flags) {
    return (sizeof(io_uring_sqe) * sizes.sq_entries) << io_uring_sqe_shift_from_flags(flags);
}

size_t rings_bytes(const QueueSizes& sizes, unsigned flags) {
    // Where CQEs have twice the size, the kernel makes the header twice as large, too.
    size_t bytes = (ring_header_bytes + sizeof(io_uring_cqe) * sizes.cq_entries)
                   << io_uring_cqe_shift_from_flags(flags);
    if (!(flags & IORING_SETUP_NO_SQARRAY)) bytes += sizeof(unsigned) * sizes.sq_entries;
    return bytes;
}

size_t page_size() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

size_t round_to_pages(size_t size) { return (size + page_size() - 1) & ~(page_size() - 1); }

void* map(int fd, uint64_t offset, size_t size, int extra_flags, int* error) {
    const int flags = fd >= 0 ? MAP_SHARED | MAP_POPULATE : MAP_ANONYMOUS | extra_flags;
    const long result = abi::syscall(__NR_mmap, nullptr, size, PROT_READ | PROT_WRITE, flags, fd, offset);
    if (result < 0 && result >= -4095) {
        *error = static_cast<int>(result);
        return nullptr;
    }
    return reinterpret_cast<void*>(result);
}

void unmap(void* address, size_t size) {
    if (address != nullptr && size != 0) abi::syscall(__NR_munmap, address, size);
}

}  // namespace ringside::liburing
