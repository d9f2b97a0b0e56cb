// IORING_OP_FSYNC and IORING_OP_STATX: only a worker can tell how long they take.
#include <errno.h>
#include <fcntl.h>

#include "ops/one_call.h"
#include "ops/ops.h"
#include "ops/user_data.h"

namespace ringside::engine {
namespace {

struct Fsync {
    uint32_t flags;
};

struct Statx {
    int32_t directory;
    uint32_t mask;
    uint32_t flags;
    uint64_t buffer;
};

}  // namespace

int fsync_prep(Request& request, const io_uring_sqe& sqe) {
    if (sqe.fsync_flags & ~IORING_FSYNC_DATASYNC) return -EINVAL;
    // The range is only checked: all of the file is synced.
    if (static_cast<int64_t>(sqe.off) < 0) return -EINVAL;
    request.as<Fsync>().flags = sqe.fsync_flags;
    request.set(request_bounded);
    return 0;
}

Outcome fsync_work(Request& request) {
    const bool data_only = request.as<Fsync>().flags & IORING_FSYNC_DATASYNC;
    return one_call(request, data_only ? __NR_fdatasync : __NR_fsync, request.fd);
}

int statx_prep(Request& request, const io_uring_sqe& sqe) {
    if (request.has(IOSQE_FIXED_FILE)) return -EBADF;
    auto& statx = request.as<Statx>();
    statx = {sqe.fd, sqe.len, sqe.statx_flags, sqe.addr2};
    request.set(request_bounded);
    return keep_path(request, sqe.addr, statx.flags & AT_EMPTY_PATH);
}

Outcome statx_work(Request& request) {
    const auto& statx = request.as<Statx>();
    return one_call(request, __NR_statx, statx.directory, first_path(request), statx.flags, statx.mask, statx.buffer);
}

}  // namespace ringside::engine
