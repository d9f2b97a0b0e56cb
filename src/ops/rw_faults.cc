// What a transfer is told that went wrong. The system call that was tried finds faults in another order than io_uring
// does, was given RWF_NOWAIT on top of the program's flags, and knows no request that waits; so once it has refused,
// the engine looks again.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "abi/syscall.h"
#include "ops/rw.h"
#include "ops/socket.h"
#include "os/fds.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

// Neither to be read nor to be written, whatever its mode says: an epoll set, a pidfd. A transfer of nothing by no
// iovecs finds that out and does nothing else.
bool is_mute(int fd) {
    return abi::syscall(__NR_preadv2, fd, 0, 0, -1, 0, 0) == -EINVAL &&
           abi::syscall(__NR_pwritev2, fd, 0, 0, -1, 0, 0) == -EINVAL;
}

// Whether the range ends beyond what an offset can say.
bool is_beyond_all_offsets(const Request& request, int64_t offset) {
    constexpr int64_t far_enough = INT64_MAX - UINT32_MAX * int64_t{UIO_MAXIOV};
    auto& ours = const_cast<Request&>(request);
    if (offset < far_enough || keep_iovecs(ours) < 0) return false;
    return wanted_bytes(ours.as<Transfer>()) > static_cast<uint64_t>(INT64_MAX - offset);
}

}  // namespace

bool is_nonblocking(int fd) { return abi::syscall(__NR_fcntl, fd, F_GETFL) & O_NONBLOCK; }

int judge_flags(Request& request) {
    auto& transfer = request.as<Transfer>();
    const int refused = check_file_and_flags(request);
    if (refused < 0 || transfers_by_iterator(request)) return refused;
    if (transfer.flags & RWF_NOWAIT) {
        if (!knows_flag(request.fd, RWF_NOWAIT, current_position)) return -EOPNOTSUPP;
        if (!is_nonblocking(request.fd)) return -EAGAIN;
    }
    transfer.flags = 0;
    return 0;
}

int judge_position(const Request& request, int64_t offset) {
    if (is_beyond_all_offsets(request, offset)) return -EINVAL;
    return offset == 0 || kind_of(request.fd) != S_IFSOCK ? 0 : -ESPIPE;
}

bool waits_although_mute(Request& request, long fault) {
    if (fault != -EINVAL || !is_mute(request.fd)) return false;
    if (request.has(request_nowait | request_blocks) || check_file_and_flags(request) < 0) return false;
    return !is_nonblocking(request.fd) && !is_ready(request) && keep_iovecs(request) == 0;
}

long first_fault(const Request& request, long fault) {
    const int flags = request.as<Transfer>().flags;
    if (fault == -EPIPE) return reason_of_blocked(request, fault);
    if (flags == 0 && fault != -EINVAL) return fault;
    const int refused = check_file_and_flags(request);
    if (refused < 0) return refused;
    if (!(flags & RWF_NOWAIT) || fault != -EINVAL) return fault;
    const bool is_anonymous = kind_of(request.fd) == 0;
    const bool knows_no_flags =
        is_mute(request.fd) || (is_anonymous && !knows_flag(request.fd, RWF_NOWAIT, current_position));
    return knows_no_flags ? -EOPNOTSUPP : fault;
}

long blame(Request& request, long error) {
    request.clear(request_at_work);
    auto& transfer = request.as<Transfer>();
    if (transfer.vectored && !transfer.kept) {
        const int kept = keep_iovecs(request);
        if (kept < 0) {
            request.ring->batch_failed = true;
            return kept;
        }
    }
    return is_file(request.fd) ? error : -EBADF;
}

}  // namespace ringside::engine
