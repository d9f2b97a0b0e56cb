// IORING_OP_SYNC_FILE_RANGE, FALLOCATE, FTRUNCATE, FADVISE, MADVISE: the allocation, size and caching of a file or of
// memory.
#include <errno.h>
#include <fcntl.h>

#include "ops/one_call.h"
#include "ops/ops.h"
#include "ops/ring_files.h"
#include "os/fds.h"

namespace ringside::engine {
namespace {

struct Range {
    uint64_t start;
    uint64_t length;
    uint32_t how;  // flags, mode or advice
    bool of_ring;  // the file is a ring of the engine's, to which these operations do not apply
};

int keep_range(Request& request, uint64_t start, uint64_t length, uint32_t how) {
    request.as<Range>() = {start, length, how, is_about_ring(request)};
    request.set(request_bounded);
    return 0;
}

// At first the length of the advice was the 32-bit field `len`. If the 64-bit field is set, it counts instead.
uint64_t advised_length(uint64_t wide, uint32_t narrow) { return wide != 0 ? wide : narrow; }

}  // namespace

int sync_file_range_prep(Request& request, const io_uring_sqe& sqe) {
    return keep_range(request, sqe.off, sqe.len, sqe.sync_range_flags);
}

Outcome sync_file_range_work(Request& request) {
    const auto& range = request.as<Range>();
    if (range.of_ring) return request.ended(-ESPIPE);
    return one_call(request, __NR_sync_file_range, request.fd, range.start, range.length, range.how);
}

int fallocate_prep(Request& request, const io_uring_sqe& sqe) {
    return keep_range(request, sqe.off, sqe.addr, sqe.len);
}

Outcome fallocate_work(Request& request) {
    const auto& range = request.as<Range>();
    if (range.of_ring) return request.ended(-ENODEV);
    return one_call(request, __NR_fallocate, request.fd, range.how, range.start, range.length);
}

int ftruncate_prep(Request& request, const io_uring_sqe& sqe) { return keep_range(request, 0, sqe.off, 0); }

Outcome ftruncate_work(Request& request) {
    if (!is_file(request.fd)) return request.done(-EBADF);
    if (request.as<Range>().of_ring) return request.ended(-EINVAL);
    return one_call(request, __NR_ftruncate, request.fd, request.as<Range>().length);
}

int fadvise_prep(Request& request, const io_uring_sqe& sqe) {
    return keep_range(request, sqe.off, advised_length(sqe.addr, sqe.len), sqe.fadvise_advice);
}

// Three kinds of advice only set flags of the file. The others start to read or to write back, which may block.
Outcome fadvise_issue(Request& request) {
    switch (request.as<Range>().how) {
        case POSIX_FADV_NORMAL:
        case POSIX_FADV_RANDOM:
        case POSIX_FADV_SEQUENTIAL:
            return fadvise_work(request);
        default:
            request.set(request_at_work);
            return Outcome::punt;
    }
}

Outcome fadvise_work(Request& request) {
    const auto& range = request.as<Range>();
    return one_call_or_fail(request, __NR_fadvise64, request.fd, range.start, range.length, range.how);
}

int madvise_prep(Request& request, const io_uring_sqe& sqe) {
    return keep_range(request, sqe.addr, advised_length(sqe.off, sqe.len), sqe.fadvise_advice);
}

Outcome madvise_work(Request& request) {
    const auto& range = request.as<Range>();
    return one_call(request, __NR_madvise, range.start, range.length, range.how);
}

}  // namespace ringside::engine
