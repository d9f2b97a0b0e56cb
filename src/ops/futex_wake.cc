// IORING_OP_FUTEX_WAKE
#include <errno.h>

#include "ops/futex.h"
#include "ops/ops.h"

namespace ringside::engine {
namespace {

struct Wake {
    uint64_t address;
    uint32_t flags;
    uint32_t count;
    uint32_t mask;
};

}  // namespace

int futex_wake_prep(Request& request, const io_uring_sqe& sqe) {
    const auto kind = static_cast<uint32_t>(sqe.fd);
    if (!is_futex_kind(kind) || !fits_futex(sqe.addr2) || !fits_futex(sqe.addr3)) return -EINVAL;
    request.as<Wake>() = {sqe.addr, kind, static_cast<uint32_t>(sqe.addr2), static_cast<uint32_t>(sqe.addr3)};
    return 0;
}

Outcome futex_wake_issue(Request& request) {
    const auto& args = request.as<Wake>();
    return request.done(wake(args.address, args.flags, static_cast<int>(args.count), args.mask));
}

}  // namespace ringside::engine
