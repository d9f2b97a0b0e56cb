// IORING_REGISTER_BUFFERS and what belongs to it: the table of registered buffers (resource/registered_buffers.h).
#include "liburing/io_uring.h"

#include <errno.h>

#include "memory/user_memory.h"
#include "register/register.h"
#include "resource/registered_buffers.h"
#include "resource/updates.h"

namespace ringside::engine {
namespace {

constexpr uint64_t largest_buffer = uint64_t{1} << 30;

// What a slot is to become: empty, if there is no address.
struct Input {
    iovec range = {};
    uint64_t tag = 0;

    bool is_empty() const { return range.iov_base == nullptr; }
};

// Whether this can be a buffer, and its memory is there to be written. Nothing at all is fine: an empty slot.
int check_range(const iovec& range) {
    const auto address = reinterpret_cast<uintptr_t>(range.iov_base);
    if (address == 0) return range.iov_len != 0 ? -EFAULT : 0;
    if (range.iov_len == 0 || range.iov_len > largest_buffer) return -EFAULT;
    return make_present(address, range.iov_len);
}

// One element of the program's arrays, either of which may be missing.
int read_input(uint64_t ranges, uint64_t tags, uint32_t at, Input& input) {
    if (ranges != 0 && read_user(input.range, ranges + at * sizeof(input.range)) < 0) return -EFAULT;
    if (static_cast<int64_t>(input.range.iov_len) < 0) return -EINVAL;
    if (tags != 0 && read_user(input.tag, tags + at * sizeof(input.tag)) < 0) return -EFAULT;
    const int result = check_range(input.range);
    if (result < 0) return result;
    return input.is_empty() && input.tag != 0 ? -EINVAL : 0;
}

int fill(Ring& ring, uint32_t index, const Input& input) {
    if (!input.is_empty()) return put_buffer(ring, ring.buffers, index, input.range, input.tag);
    empty_buffer_slot(ring, ring.buffers, index);
    return 0;
}

int fill_all(Ring& ring, uint64_t ranges, uint64_t tags) {
    for (uint32_t index = 0; index < ring.buffers.count; ++index) {
        Input input;
        int result = read_input(ranges, tags, index, input);
        if (result == 0) result = fill(ring, index, input);
        if (result < 0) return result;
    }
    return 0;
}

int register_table(Ring& ring, uint64_t ranges, uint64_t tags, uint32_t count) {
    if (ring.buffers.count != 0) return -EBUSY;
    if (count == 0 || count > most_registered_buffers) return -EINVAL;
    int result = make_buffer_table(ring.buffers, count);
    if (result < 0) return result;
    result = fill_all(ring, ranges, tags);
    if (result < 0) {
        forget_tags(ring.buffers);
        drop_buffers(ring);
    }
    return result;
}

int update_table(Ring& ring, const io_uring_rsrc_update2& update) {
    return update_slots(ring.buffers.count, update.offset, update.nr, update.data, [&](uint32_t nth) {
        Input input;
        const int result = read_input(update.data, update.tags, nth, input);
        return result < 0 ? result : fill(ring, update.offset + nth, input);
    });
}

}  // namespace

int register_buffers(Ring& ring, uint64_t ranges, unsigned count) { return register_table(ring, ranges, 0, count); }

int unregister_buffers(Ring& ring, uint64_t, unsigned) {
    if (ring.buffers.count == 0) return -ENXIO;
    drop_buffers(ring);
    return 0;
}

int register_buffers2(Ring& ring, uint64_t address, unsigned size) {
    io_uring_rsrc_register wanted;
    const int result = read_table(wanted, address, size);
    return result < 0 ? result : register_table(ring, wanted.data, wanted.tags, wanted.nr);
}

int register_buffers_update(Ring& ring, uint64_t address, unsigned size) {
    io_uring_rsrc_update2 update;
    const int result = read_table_update(update, address, size);
    return result < 0 ? result : update_table(ring, update);
}

}  // namespace ringside::engine
