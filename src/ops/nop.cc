// IORING_OP_NOP
#include <errno.h>

#include "ops/ops.h"
#include "os/fds.h"
#include "service/path_face.h"

namespace ringside::engine {
namespace {

// Flags that the kernel knows beside the two that the ABI header names.
constexpr uint32_t nop_file = 1u << 1;          // look up `fd`
constexpr uint32_t nop_fixed_file = 1u << 2;    // which is an index of a registered file, as with IOSQE_FIXED_FILE
constexpr uint32_t nop_fixed_buffer = 1u << 3;  // look up `buf_index`
constexpr uint32_t nop_task_work = 1u << 4;     // complete by task work
constexpr uint32_t known_flags =
    IORING_NOP_INJECT_RESULT | nop_file | nop_fixed_file | nop_fixed_buffer | nop_task_work | IORING_NOP_CQE32;

struct Nop {
    uint32_t flags;
    int32_t result;
};
static_assert(sizeof(Nop) <= Request::args_with_big_cqe);

bool has_file(const Request& request, uint32_t flags) {
    if ((flags & nop_fixed_file) || request.has(IOSQE_FIXED_FILE))
        return request.ring->files.find(static_cast<uint32_t>(request.sqe_fd)) != nullptr;
    return is_file(request.sqe_fd);
}

int look_up(const Request& request, uint32_t flags) {
    if ((flags & nop_file) && !has_file(request, flags)) return -EBADF;
    if ((flags & nop_fixed_buffer) && request.ring->buffers.find(request.buf_index) == nullptr) return -EFAULT;
    return 0;
}

}  // namespace

int nop_prep(Request& request, const io_uring_sqe& sqe) {
    auto& nop = request.as<Nop>();
    nop.flags = sqe.nop_flags;
    if (__builtin_expect(nop.flags == 0, 1)) {
        nop.result = 0;
        return 0;
    }
    if (nop.flags & ~known_flags) return -EINVAL;
    nop.result = nop.flags & IORING_NOP_INJECT_RESULT ? static_cast<int32_t>(sqe.len) : 0;
    if (nop.flags & IORING_NOP_CQE32) {
        if (!(request.ring->setup_flags & (IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED))) return -EINVAL;
        request.second_half()[0] = sqe.off;
        request.second_half()[1] = sqe.addr;
        request.set(request_big_cqe);
    }
    return 0;
}

Outcome nop_issue(Request& request) {
    const auto& nop = request.as<Nop>();
    if (__builtin_expect(nop.flags == 0, 1)) return request.done(0);
    const int found = look_up(request, nop.flags);
    const int result = found < 0 ? found : nop.result;
    if (!(nop.flags & nop_task_work)) return request.done(result);
    queue_result(request, result);
    return Outcome::queued;
}

}  // namespace ringside::engine
