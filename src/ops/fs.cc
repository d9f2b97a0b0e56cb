// IORING_OP_RENAMEAT, UNLINKAT, MKDIRAT, SYMLINKAT, LINKAT: names in directories. Looking one up may need the disk at
// every step, so a worker does it.
#include <errno.h>
#include <fcntl.h>

#include "ops/one_call.h"
#include "ops/ops.h"
#include "ops/user_data.h"

namespace ringside::engine {
namespace {

// The arguments that the five operations share. Their paths are in the request's memory.
struct Names {
    int32_t directory;
    int32_t other_directory;
    uint32_t flags;  // or the mode of a new directory
};

int prepare(Request& request, int32_t directory, uint32_t other_directory, uint32_t flags) {
    if (request.has(IOSQE_FIXED_FILE)) return -EBADF;
    request.as<Names>() = {directory, static_cast<int32_t>(other_directory), flags};
    request.set(request_bounded);
    return 0;
}

}  // namespace

int renameat_prep(Request& request, const io_uring_sqe& sqe) {
    const int result = prepare(request, sqe.fd, sqe.len, sqe.rename_flags);
    return result < 0 ? result : keep_two_paths(request, sqe.addr, sqe.addr2);
}

Outcome renameat_work(Request& request) {
    const auto& names = request.as<Names>();
    return one_call(request, __NR_renameat2, names.directory, first_path(request), names.other_directory,
                    second_path(request), names.flags);
}

int unlinkat_prep(Request& request, const io_uring_sqe& sqe) {
    const int result = prepare(request, sqe.fd, 0, sqe.unlink_flags);
    if (result < 0) return result;
    return sqe.unlink_flags & ~AT_REMOVEDIR ? -EINVAL : keep_path(request, sqe.addr);
}

Outcome unlinkat_work(Request& request) {
    const auto& names = request.as<Names>();
    return one_call(request, __NR_unlinkat, names.directory, first_path(request), names.flags);
}

int mkdirat_prep(Request& request, const io_uring_sqe& sqe) {
    const int result = prepare(request, sqe.fd, 0, sqe.len);
    return result < 0 ? result : keep_path(request, sqe.addr);
}

Outcome mkdirat_work(Request& request) {
    const auto& names = request.as<Names>();
    return one_call(request, __NR_mkdirat, names.directory, first_path(request), names.flags);
}

int symlinkat_prep(Request& request, const io_uring_sqe& sqe) {
    const int result = prepare(request, sqe.fd, 0, 0);
    return result < 0 ? result : keep_two_paths(request, sqe.addr, sqe.addr2);
}

Outcome symlinkat_work(Request& request) {
    const auto& names = request.as<Names>();
    return one_call(request, __NR_symlinkat, first_path(request), names.directory, second_path(request));
}

int linkat_prep(Request& request, const io_uring_sqe& sqe) {
    const int result = prepare(request, sqe.fd, sqe.len, sqe.hardlink_flags);
    if (result < 0) return result;
    return keep_two_paths(request, sqe.addr, sqe.addr2, sqe.hardlink_flags & AT_EMPTY_PATH);
}

Outcome linkat_work(Request& request) {
    const auto& names = request.as<Names>();
    return one_call(request, __NR_linkat, names.directory, first_path(request), names.other_directory,
                    second_path(request), names.flags);
}

}  // namespace ringside::engine
