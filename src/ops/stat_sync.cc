// IORING_OP_FSYNC and IORING_OP_STATX. Either may block for any time, so a worker executes them. STATX of a file that
// is in the kernel's caches, on a local disk, completes inline.
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stddef.h>

#include "memory/user_memory.h"
#include "ops/one_call.h"
#include "ops/ops.h"
#include "ops/ring_files.h"
#include "ops/user_data.h"
#include "os/fds.h"

namespace ringside::engine {
namespace {

struct Fsync {
    uint32_t flags;
    bool of_ring;  // of one of ours, which has no device
};

struct Statx {
    int32_t directory;
    uint32_t mask;
    uint32_t flags;
    uint64_t buffer;
    Path path;
};

// Flags with which the attempt below does the same as statx(2). With any other flag a worker calls statx.
constexpr uint32_t simple_flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
bool is_simple(const Statx& statx) { return (statx.flags & ~simple_flags) == 0 && (statx.mask & STATX__RESERVED) == 0; }

// Returns an O_PATH descriptor of the file if all names of its path are in the cache, else -errno.
long find_at_once(const Request& request, const Statx& statx) {
    open_how how = {};
    how.flags = O_PATH | O_CLOEXEC | (statx.flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0);
    how.resolve = RESOLVE_CACHED;
    return abi::syscall(__NR_openat2, statx.directory, text_of(request, statx.path), &how, sizeof(how));
}

// Calls statx without going to a server for the answer. Returns whether the answer stands. Only file systems on local
// disks, whose answer is never out of date, report a device. For others a worker writes over the answer.
bool told_at_once(const Statx& statx, int fd) {
    constexpr uint32_t flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
    if (abi::syscall(__NR_statx, fd, "", flags, statx.mask, statx.buffer) < 0) return false;
    uint32_t device;
    read_touched(&device, statx.buffer + offsetof(struct statx, stx_dev_major), sizeof(device));
    return device != 0;
}

// For AT_EMPTY_PATH. Most likely the path is empty, so the descriptor is the file itself. Then try to complete
// inline.
Outcome statx_of_descriptor(Request& request) {
    auto& statx = request.as<Statx>();
    const int kept = keep_for_later(request, statx.path);
    if (kept < 0) return request.done(kept);
    const bool is_empty = *text_of(request, statx.path) == '\0';
    return is_empty && told_at_once(statx, statx.directory) ? request.ended(0) : Outcome::punt;
}

bool says_no_such_file(long error) {
    return error == -ENOENT || error == -ENOTDIR || error == -EACCES || error == -ELOOP;
}

}  // namespace

int fsync_prep(Request& request, const io_uring_sqe& sqe) {
    if (sqe.fsync_flags & ~IORING_FSYNC_DATASYNC) return -EINVAL;
    // The range is only checked: all of the file is synced.
    if (static_cast<int64_t>(sqe.off) < 0) return -EINVAL;
    request.as<Fsync>() = {sqe.fsync_flags, is_about_ring(request)};
    request.set(request_bounded);
    return 0;
}

Outcome fsync_work(Request& request) {
    if (request.as<Fsync>().of_ring) return request.ended(-EINVAL);
    const bool data_only = request.as<Fsync>().flags & IORING_FSYNC_DATASYNC;
    return one_call(request, data_only ? __NR_fdatasync : __NR_fsync, request.fd);
}

int statx_prep(Request& request, const io_uring_sqe& sqe) {
    if (request.has(IOSQE_FIXED_FILE)) return -EBADF;
    auto& statx = request.as<Statx>();
    statx = {sqe.fd, sqe.len, sqe.statx_flags, sqe.addr2, {}};
    request.set(request_bounded);
    return prepare_path(request, statx.path, sqe.addr, statx.flags & AT_EMPTY_PATH);
}

Outcome statx_issue(Request& request) {
    auto& statx = request.as<Statx>();
    // In the kernel a worker always executes it, and the rest of its chain too.
    request.set(request_at_work);
    if (is_simple(statx)) {
        if (statx.flags & AT_EMPTY_PATH) return statx_of_descriptor(request);
        const long fd = find_at_once(request, statx);
        // An invalid path is an error of the submission: no lookup was made.
        const int kept = fd == -ENOENT ? keep_for_later(request, statx.path) : 0;
        if (kept < 0) return request.done(kept);
        if (says_no_such_file(fd)) return request.ended(fd);
        const bool told = fd >= 0 && told_at_once(statx, static_cast<int>(fd));
        if (fd >= 0) close_fd(static_cast<int>(fd));
        if (told) return request.ended(0);
    }
    const int kept = keep_for_later(request, statx.path);
    return kept < 0 ? request.done(kept) : Outcome::punt;
}

Outcome statx_work(Request& request) {
    const auto& statx = request.as<Statx>();
    return one_call(request, __NR_statx, statx.directory, text_of(request, statx.path), statx.flags, statx.mask,
                    statx.buffer);
}

}  // namespace ringside::engine
