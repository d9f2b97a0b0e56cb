// IORING_REGISTER_MEM_REGION (state/region.h)
#include <errno.h>
#include <limits.h>

#include "memory/user_memory.h"
#include "register/register.h"
#include "resource/shared_memory.h"

namespace ringside::engine {
namespace {

constexpr uint64_t page = 4096;

int check_fields(const io_uring_region_desc& wanted) {
    for (const uint64_t word : wanted.__resv) {
        if (word != 0) return -EINVAL;
    }
    if (wanted.flags & ~IORING_MEM_REGION_TYPE_USER) return -EINVAL;
    const bool by_program = wanted.flags & IORING_MEM_REGION_TYPE_USER;
    if (by_program != (wanted.user_addr != 0)) return -EFAULT;
    if (wanted.size == 0 || wanted.mmap_offset != 0 || wanted.id != 0) return -EINVAL;
    if (wanted.size / page > INT_MAX) return -E2BIG;
    return wanted.size % page != 0 || wanted.user_addr % page != 0 ? -EINVAL : 0;
}

int make_region(const Ring& ring, io_uring_region_desc& wanted, Region& region) {
    region.size = wanted.size;
    if (wanted.flags & IORING_MEM_REGION_TYPE_USER) {
        region.address = wanted.user_addr;
        return 0;
    }
    void* memory = make_shared_memory(ring, region_offset, wanted.size);
    if (memory == nullptr) return -ENOMEM;
    region.address = reinterpret_cast<uintptr_t>(memory);
    region.ours = true;
    wanted.mmap_offset = region_offset;
    return 0;
}

}  // namespace

int check_region(const io_uring_region_desc& wanted) {
    const int result = check_fields(wanted);
    if (result < 0) return result;
    return wanted.flags & IORING_MEM_REGION_TYPE_USER ? make_present(wanted.user_addr, wanted.size) : 0;
}

void drop_region(const Ring& ring, Region& region) {
    if (region.ours) free_shared_memory(ring, region_offset, user_pointer(region.address), region.size);
    region = {};
}

int register_mem_region(Ring& ring, uint64_t address, unsigned) {
    if (ring.region.size != 0) return -EBUSY;
    io_uring_mem_region_reg wanted;
    io_uring_region_desc description;
    if (read_user(wanted, address) < 0) return -EFAULT;
    if (read_user(description, wanted.region_uptr) < 0) return -EFAULT;
    if (wanted.__resv[0] != 0 || wanted.__resv[1] != 0) return -EINVAL;
    if (wanted.flags & ~uint64_t{IORING_MEM_REGION_REG_WAIT_ARG}) return -EINVAL;
    // Nobody may be waiting by arguments that are about to appear.
    const bool for_waits = wanted.flags & IORING_MEM_REGION_REG_WAIT_ARG;
    if (for_waits && !ring.disabled) return -EINVAL;
    int result = check_region(description);
    if (result < 0) return result;
    Region region;
    result = make_region(ring, description, region);
    if (result == 0 && write_user(wanted.region_uptr, description) < 0) result = -EFAULT;
    if (result < 0) {
        drop_region(ring, region);
        return result;
    }
    region.holds_wait_arguments = for_waits;
    ring.region = region;
    return 0;
}

}  // namespace ringside::engine
