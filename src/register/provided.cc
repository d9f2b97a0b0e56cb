// IORING_REGISTER_PBUF_RING and what belongs to it: buffer rings (resource/provided_buffers.h).
#include "liburing/io_uring.h"

#include <errno.h>

#include "memory/user_memory.h"
#include "register/register.h"
#include "resource/provided_buffers.h"

namespace ringside::engine {
namespace {

// A full ring and an empty one could not be told apart by indices of 16 bits.
constexpr uint32_t most_entries = 32768;

template <typename T>
bool all_zero(const T& array) {
    for (const auto& element : array) {
        if (element != 0) return false;
    }
    return true;
}

// Returns 0, -ENOENT, or -EINVAL if the group is a classic one.
int find_buffer_ring(const Ring& ring, unsigned id, const BufferGroup*& group) {
    group = id < most_groups ? find_group(ring, id) : nullptr;
    if (group == nullptr) return -ENOENT;
    return is_buffer_ring(*group) ? 0 : -EINVAL;
}

}  // namespace

int register_pbuf_ring(Ring& ring, uint64_t address, unsigned) {
    io_uring_buf_reg wanted;
    if (read_user(wanted, address) < 0) return -EFAULT;
    if (!all_zero(wanted.resv)) return -EINVAL;
    if (wanted.flags & ~(IOU_PBUF_RING_MMAP | IOU_PBUF_RING_INC)) return -EINVAL;
    if (wanted.min_left != 0 && !(wanted.flags & IOU_PBUF_RING_INC)) return -EINVAL;
    if (wanted.ring_entries == 0 || (wanted.ring_entries & (wanted.ring_entries - 1)) != 0) return -EINVAL;
    if (wanted.ring_entries > most_entries) return -EINVAL;
    return make_buffer_ring(ring, wanted);
}

int unregister_pbuf_ring(Ring& ring, uint64_t address, unsigned) {
    io_uring_buf_reg wanted;
    if (read_user(wanted, address) < 0) return -EFAULT;
    if (!all_zero(wanted.resv) || wanted.flags != 0) return -EINVAL;
    const BufferGroup* group;
    const int result = find_buffer_ring(ring, wanted.bgid, group);
    if (result == 0) drop_group(ring, wanted.bgid);
    return result;
}

int register_pbuf_status(Ring& ring, uint64_t address, unsigned) {
    io_uring_buf_status status;
    if (read_user(status, address) < 0) return -EFAULT;
    if (!all_zero(status.resv)) return -EINVAL;
    const BufferGroup* group;
    const int result = find_buffer_ring(ring, status.buf_group, group);
    if (result < 0) return result;
    status.head = head_of(*group);
    return write_user(address, status);
}

}  // namespace ringside::engine
