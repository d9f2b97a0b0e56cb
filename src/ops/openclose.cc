// IORING_OP_OPENAT, IORING_OP_OPENAT2 and IORING_OP_CLOSE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/one_call.h"
#include "ops/ops.h"
#include "ops/user_data.h"
#include "resource/fixed_files.h"
#include "service/disk.h"
#include "service/keeper.h"
#include "service/path_face.h"
#include "service/ring_file.h"

namespace ringside::engine {
namespace {

struct Open {
    open_how how;
    Path path;
    int32_t directory;
    bool strict;  // openat2(2): an unknown flag is an error
};

struct Close {
    uint32_t slot;
};

// Whether the open needs more than the name cache, so that an attempt without blocking must fail.
bool needs_disk(const open_how& how) { return how.flags & (O_TRUNC | O_CREAT | (O_TMPFILE & ~O_DIRECTORY)); }

constexpr uint64_t path_only_flags = O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
constexpr uint64_t mode_bits = 07777;

// openat(2) ignores flags and modes that openat2(2) refuses.
open_how forgiving(uint64_t flags, uint64_t mode) {
    open_how how = {};
    how.flags = flags & (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NDELAY | O_NONBLOCK | O_SYNC |
                         O_DSYNC | O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC |
                         O_PATH | O_TMPFILE);
    if (how.flags & O_PATH) how.flags &= path_only_flags;
    if (how.flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY))) how.mode = mode & mode_bits;
    return how;
}

// Reads a struct open_how. The program's version of it may be shorter or longer than ours. Bytes beyond ours must be
// zero.
int read_how(open_how& how, uint64_t address, uint32_t size) {
    constexpr uint32_t first_size = 24;
    if (size < first_size) return -EINVAL;
    how = {};
    if (read_user(&how, address, size < sizeof(how) ? size : sizeof(how)) < 0) return -EFAULT;
    for (uint32_t at = sizeof(how); at < size; ++at) {
        unsigned char beyond;
        if (read_user(beyond, address + at) < 0) return -EFAULT;
        if (beyond != 0) return -E2BIG;
    }
    return 0;
}

// The rest of prep, which OPENAT and OPENAT2 share. The caller has filled in `how`.
int prepare_open(Request& request, const io_uring_sqe& sqe) {
    if (request.has(IOSQE_FIXED_FILE)) return -EBADF;
    auto& open = request.as<Open>();
    open.directory = sqe.fd;
    // An open of a file on disk ends by itself. But an open of a FIFO, which goes to a worker only with IOSQE_ASYNC,
    // waits for the FIFO's other end.
    if (!request.has(IOSQE_ASYNC)) request.set(request_bounded);
    const int result = prepare_path(request, open.path, sqe.addr);
    if (result < 0) return result;
    if (sqe.file_index == 0) return 0;
    if (open.how.flags & O_CLOEXEC) return -EINVAL;
    // On its way to the slot the descriptor is the program's for a moment.
    open.how.flags |= O_CLOEXEC;
    open_into_slot(request, sqe.file_index);
    return 0;
}

// Whether the kernel has openat2(2) and RESOLVE_CACHED; if so, a refusal was about the file that was to be opened. In
// this call only the path is wrong, so -EFAULT means that the kernel accepted all else.
bool looks_only_in_cache() {
    const open_how how = {.flags = 0, .mode = 0, .resolve = RESOLVE_CACHED};
    return abi::syscall(__NR_openat2, -1, nullptr, &how, sizeof(how)) == -EFAULT;
}

Outcome opened_at_once(Request& request, long fd) {
    const auto& open = request.as<Open>();
    if (!(open.how.flags & (O_NONBLOCK | O_PATH))) abi::syscall(__NR_fcntl, fd, F_SETFL, open.how.flags);
    return request.done(fd);
}

}  // namespace

int openat_prep(Request& request, const io_uring_sqe& sqe) {
    auto& open = request.as<Open>();
    open.how = forgiving(sqe.open_flags, sqe.len);
    open.strict = false;
    return prepare_open(request, sqe);
}

int openat2_prep(Request& request, const io_uring_sqe& sqe) {
    auto& open = request.as<Open>();
    const int result = read_how(open.how, sqe.addr2, sqe.len);
    if (result < 0) return result;
    open.strict = true;
    return has_refused_field(sqe, field_buf_index) ? -EINVAL : prepare_open(request, sqe);
}

// A file whose path is in the kernel's name cache opens at once. RESOLVE_CACHED (Linux 5.12) fails if it is not
// there. As in the kernel, the attempt sets O_NONBLOCK and removes it afterwards, so that a FIFO does not wait for
// its other end.
Outcome openat_issue(Request& request) {
    auto& open = request.as<Open>();
    if (needs_disk(open.how)) {
        request.set(request_at_work);
    } else {
        open_how how = open.how;
        how.resolve |= RESOLVE_CACHED;
        if (!(how.flags & O_PATH)) how.flags |= O_NONBLOCK;
        const long result = abi::syscall(__NR_openat2, open.directory, text_of(request, open.path), &how, sizeof(how));
        if (result >= 0) return opened_at_once(request, result);
        const bool refused = result == -ENOSYS || result == -EINVAL || result == -EPERM;
        const bool undecided = result == -EAGAIN || (refused && !looks_only_in_cache());
        // The system call looks at the flags first, io_uring at the path.
        const int bad_path = result == -EINVAL && !undecided ? keep_for_later(request, open.path) : 0;
        if (!undecided) return request.done(bad_path < 0 ? bad_path : blame_path(request, open.path, result));
    }
    const int kept = keep_for_later(request, open.path);
    return kept < 0 ? request.done(kept) : Outcome::punt;
}

Outcome openat_work(Request& request) {
    const auto& open = request.as<Open>();
    const char* path = text_of(request, open.path);
    if (open.strict) {
        return one_call_or_fail(request, __NR_openat2, open.directory, path, &open.how, sizeof(open.how));
    }
    return one_call_or_fail(request, __NR_openat, open.directory, path, open.how.flags, open.how.mode);
}

int close_prep(Request& request, const io_uring_sqe& sqe) {
    if (request.has(IOSQE_FIXED_FILE)) return -EBADF;
    request.as<Close>().slot = sqe.file_index;
    return sqe.file_index != 0 && sqe.fd != 0 ? -EINVAL : 0;
}

Outcome close_issue(Request& request) {
    const uint32_t slot = request.as<Close>().slot;
    if (slot != 0) return request.done(remove_direct(*request.ring, slot));
    // A ring is not closed through a ring.
    if (ring_named(request.sqe_fd) != nullptr) return request.done(-EBADF);
    // Requests of the batch that are on their way to the disk or to the keeper still use the number: hand them over
    // before it is closed.
    if (request.ring->disk.queued != 0) submit_transfers(*request.ring);
    hold_put_off(*request.ring, request.sqe_fd);
    hand_over_batch(*request.ring);
    end_holding_with_batch(*request.ring);
    return request.done(abi::syscall(__NR_close, request.sqe_fd));
}

}  // namespace ringside::engine
