#include "resource/buffer_ring_memory.h"

#include <errno.h>

#include "memory/user_memory.h"
#include "resource/shared_memory.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr size_t page = 4096;

uint64_t offset_of(unsigned id) { return IORING_OFF_PBUF_RING | uint64_t{id} << IORING_OFF_PBUF_SHIFT; }

size_t size_for(const io_uring_buf_reg& wanted) {
    const size_t size = wanted.ring_entries * sizeof(io_uring_buf);
    return (size + page - 1) / page * page;
}

int map_own(Ring& ring, const io_uring_buf_reg& wanted, BufferRingMemory& memory) {
    void* address = make_shared_memory(ring, offset_of(wanted.bgid), memory.size);
    if (address == nullptr) return -ENOMEM;
    memory.shared = static_cast<io_uring_buf_ring*>(address);
    memory.owned = true;
    return 0;
}

int adopt(const io_uring_buf_reg& wanted, BufferRingMemory& memory) {
    if (wanted.ring_addr == 0) return -EFAULT;
    if (wanted.ring_addr % page != 0) return -EINVAL;
    const int result = make_present(wanted.ring_addr, memory.size);
    if (result < 0) return result;
    memory.shared = user_pointer<io_uring_buf_ring>(wanted.ring_addr);
    return 0;
}

}  // namespace

int open_buffer_ring_memory(Ring& ring, const io_uring_buf_reg& wanted, BufferRingMemory& memory) {
    memory = {nullptr, size_for(wanted), false};
    return wanted.flags & IOU_PBUF_RING_MMAP ? map_own(ring, wanted, memory) : adopt(wanted, memory);
}

void close_buffer_ring_memory(Ring& ring, unsigned id, BufferRingMemory& memory) {
    if (memory.owned) free_shared_memory(ring, offset_of(id), memory.shared, memory.size);
    memory = {};
}

}  // namespace ringside::engine
