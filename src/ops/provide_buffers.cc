// IORING_OP_PROVIDE_BUFFERS and IORING_OP_REMOVE_BUFFERS: classic groups of provided buffers.
#include <errno.h>

#include "ops/ops.h"
#include "ops/user_data.h"
#include "resource/provided_buffers.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

struct Provide {
    uint64_t address;
    uint32_t length;  // of each
    uint32_t count;
    uint16_t first_id;
};

struct Remove {
    uint32_t count;
};

// Both operations have the number of buffers in the SQE's `fd`.
bool is_count(int32_t number) { return number > 0 && static_cast<unsigned>(number) <= most_buffers_in_group; }

int provide_all(Ring& ring, BufferGroup& group, const Provide& provide) {
    for (uint32_t i = 0; i < provide.count; ++i) {
        const auto id = static_cast<uint16_t>(provide.first_id + i);
        const int result =
            provide_buffer(ring, group, provide.address + uint64_t{i} * provide.length, provide.length, id);
        if (result < 0) return i == 0 ? result : 0;
    }
    return 0;
}

}  // namespace

int provide_buffers_prep(Request& request, const io_uring_sqe& sqe) {
    if (!is_count(sqe.fd)) return -E2BIG;
    if (sqe.len == 0) return -EINVAL;
    const auto count = static_cast<uint32_t>(sqe.fd);
    const uint64_t size = uint64_t{sqe.len} * count;
    uint64_t end;
    if (__builtin_add_overflow(sqe.addr, size, &end)) return -EOVERFLOW;
    if (!is_user_range(sqe.addr, size)) return -EFAULT;
    if (sqe.off > UINT16_MAX) return -E2BIG;
    if (sqe.off + count > most_buffers_in_group) return -EINVAL;
    request.as<Provide>() = {sqe.addr, sqe.len, count, static_cast<uint16_t>(sqe.off)};
    return 0;
}

Outcome provide_buffers_issue(Request& request) {
    BufferGroup* group = need_group(*request.ring, request.buf_index);
    if (group == nullptr) return request.done(-ENOMEM);
    if (is_buffer_ring(*group)) return request.done(-EINVAL);
    return request.done(provide_all(*request.ring, *group, request.as<Provide>()));
}

int remove_buffers_prep(Request& request, const io_uring_sqe& sqe) {
    if (!is_count(sqe.fd)) return -EINVAL;
    request.as<Remove>().count = static_cast<uint32_t>(sqe.fd);
    return 0;
}

Outcome remove_buffers_issue(Request& request) {
    BufferGroup* group = find_group(*request.ring, request.buf_index);
    if (group == nullptr) return request.done(-ENOENT);
    if (is_buffer_ring(*group)) return request.done(-EINVAL);
    return request.done(remove_buffers(*request.ring, *group, request.as<Remove>().count));
}

}  // namespace ringside::engine
