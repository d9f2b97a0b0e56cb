// Reads and writes on buffers that the program named beforehand: registered ones (IORING_OP_READ_FIXED, WRITE_FIXED,
// READV_FIXED, WRITEV_FIXED; resource/registered_buffers.h) and provided ones (IOSQE_BUFFER_SELECT and
// IORING_OP_READ_MULTISHOT; resource/provided_buffers.h).
//
// Once it has its buffer such a request is like any other (rw.cc). Which buffer that is can only be found out under the
// ring's lock, so the issue of a request with IOSQE_ASYNC finds it, and then hands over to a worker.
#include <errno.h>
#include <linux/fs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "memory/user_memory.h"
#include "ops/ops.h"
#include "ops/rw.h"
#include "ops/vectors.h"
#include "os/epoll.h"
#include "os/fds.h"
#include "resource/provided_buffers.h"
#include "resource/registered_buffers.h"
#include "service/path_face.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

// A file that can be waited for needs no worker, even if the program wished for one.
bool takes_worker(Request& request) {
    if (__builtin_expect(!request.has(IOSQE_ASYNC), 1)) return false;
    request.clear(IOSQE_ASYNC);
    if (!is_on_disk(request.fd)) return false;
    request.set(request_bounded);
    return true;
}

// More iovecs than this do not even get memory.
constexpr uint32_t most_iovecs_in_memory = 1u << 18;

// --- Registered buffers ---------------------------------------------------------------------------------------------

int prepare_fixed(Request& request, const io_uring_sqe& sqe, bool vectored, bool writes) {
    const int result = prepare_transfer(request, sqe, vectored, writes);
    if (result < 0) return result;
    request.set(request_takes_buffer);
    if (!vectored) return 0;
    if (sqe.len > most_iovecs) return sqe.len > most_iovecs_in_memory ? -ENOMEM : -EINVAL;
    request.as<Transfer>().array = sqe.addr;
    // They are looked at here, so they may not change until the system call reads them.
    return keep_iovecs(request);
}

int import(Request& request) {
    const auto& transfer = request.as<Transfer>();
    if (request.has(request_holds_buffer)) return 0;
    if (!transfer.vectored) return import_buffer(request, transfer.address, transfer.length);
    return import_vectors(request, user_pointer<iovec>(transfer.address), transfer.length);
}

// --- Provided buffers -----------------------------------------------------------------------------------------------

int select(Request& request) {
    if (request.has(request_holds_buffer)) return 0;
    auto& transfer = request.as<Transfer>();
    iovec buffer;
    const int selected = select_buffer(request, transfer.length, buffer);
    if (!request.has(request_holds_buffer)) return selected;
    transfer.address = reinterpret_cast<uintptr_t>(buffer.iov_base);
    transfer.length = static_cast<uint32_t>(buffer.iov_len);
    return selected;
}

bool has_peeked(const Request& request) {
    return request.has(request_holds_buffer) && request.buffer_use == BufferUse::peeked;
}

bool uses_buffer_up(int fd) {
    const mode_t kind = kind_of(fd);
    return kind == S_IFREG || kind == S_IFDIR || kind == S_IFBLK || (kind == S_IFCHR && !can_be_polled(fd));
}

// What a buffer ring has still, once the attempt is over. Whoever waits for readiness leaves it to others meanwhile,
// and so does who failed for want of it; whoever goes to a worker takes it along. A file that cannot be polled, on disk
// or not, uses its buffer up, however much of it was filled.
void settle_selection(Request& request, Outcome outcome, uint32_t length) {
    const bool in_full = outcome == Outcome::done && request.res >= 0 && static_cast<uint32_t>(request.res) == length;
    if (!has_peeked(request) || in_full) return;
    if (outcome == Outcome::wait) {
        recycle_buffer(request);
    } else if (outcome == Outcome::punt || uses_buffer_up(request.fd)) {
        commit_buffer(request, length);
    } else if (request.res < 0) {
        recycle_buffer(request);
    }
}

bool is_readable(int fd) {
    pollfd set = {fd, POLLIN, 0};
    const timespec at_once = {0, 0};
    return abi::syscall(__NR_ppoll, &set, 1, &at_once, nullptr, 0) != 0;
}

// Files that know no RWF_NOWAIT (terminals, inotify, a pipe that has a name or was spliced) are read by the plain call
// when they are ready: it will not wait. A file without an iterator the kernel reads only if that is non-blocking, and
// has any other wait for ever.
long read_at_once(Request& request) {
    auto& transfer = request.as<Transfer>();
    const long got = transfer_rest(request, RWF_NOWAIT, false);
    if (got != -EOPNOTSUPP) return got;
    if (request.has(request_nowait) && (kind_of(request.fd) != S_IFIFO || !was_spliced(request.fd))) return got;
    transfer.flags &= ~RWF_NOWAIT;
    if (!is_readable(request.fd)) return -EAGAIN;
    const bool reads = !request.has(request_multishot) || transfers_by_iterator(request) || is_nonblocking(request.fd);
    return reads ? transfer_rest(request, 0, false) : -EAGAIN;
}

bool is_terminal(int fd) {
    // As the kernel has it; larger than libc's.
    unsigned char settings[64];
    return abi::syscall(__NR_ioctl, fd, TCGETS, settings) == 0;
}

// A worker reads once from a file that has no way not to wait. Sockets, pipes and counters have one.
bool reads_once_in_worker(const Request& request) {
    const mode_t kind = kind_of(request.fd);
    if ((kind != 0 && kind != S_IFCHR) || is_nonblocking(request.fd)) return false;
    return !transfers_by_iterator(request) || (kind == S_IFCHR && is_terminal(request.fd));
}

}  // namespace

int read_fixed_prep(Request& request, const io_uring_sqe& sqe) { return prepare_fixed(request, sqe, false, false); }
int write_fixed_prep(Request& request, const io_uring_sqe& sqe) { return prepare_fixed(request, sqe, false, true); }
int readv_fixed_prep(Request& request, const io_uring_sqe& sqe) { return prepare_fixed(request, sqe, true, false); }
int writev_fixed_prep(Request& request, const io_uring_sqe& sqe) { return prepare_fixed(request, sqe, true, true); }

Outcome rw_fixed_issue(Request& request) {
    const int imported = import(request);
    if (__builtin_expect(imported < 0, 0)) return request.done(blame(request, imported));
    const Outcome outcome = takes_worker(request) ? Outcome::punt : attempt(request);
    if (outcome != Outcome::done) hold_buffer(request);
    return outcome;
}

// Of the array that comes with a selection, only the length of its one element counts.
int prepare_selection(Request& request) {
    auto& transfer = request.as<Transfer>();
    request.set(request_takes_buffer);
    if (!transfer.vectored) return 0;
    if (transfer.length != 1) return -EINVAL;
    iovec only;
    if (read_user(only, transfer.address) < 0) return -EFAULT;
    transfer.vectored = false;
    transfer.length = static_cast<uint32_t>(only.iov_len);
    return 0;
}

Outcome attempt_on_selected(Request& request) {
    const bool asynchronous = request.has(IOSQE_ASYNC | request_blocks);
    // No buffer is taken for what is no file; a worker would find that out too late.
    if (asynchronous && !is_file(request.fd)) return request.done(blame(request, -EBADF));
    const int selected = select(request);
    const uint32_t length = request.as<Transfer>().length;
    if (asynchronous) commit_buffer(request, length);
    const Outcome outcome = selected < 0            ? request.done(blame(request, selected))
                            : takes_worker(request) ? Outcome::punt
                                                    : attempt(request);
    if (outcome == Outcome::done && request.res == -EBADF && !is_file(request.fd)) recycle_buffer(request);
    settle_selection(request, outcome, length);
    return outcome;
}

int read_multishot_prep(Request& request, const io_uring_sqe& sqe) {
    if (!request.has(IOSQE_BUFFER_SELECT)) return -EINVAL;
    const int result = prepare_transfer(request, sqe, false, false);
    if (result < 0) return result;
    if (sqe.addr != 0 || sqe.len != 0) return -EINVAL;
    request.set(request_multishot | request_takes_buffer | request_poll_first);
    return 0;
}

// Reads as long as there is something to be read. That nothing is left to read into ends it only when something comes.
// One that must not wait (RWF_NOWAIT) reads once, for to go on would be to wait; a worker has it wait all the same.
Outcome read_multishot_issue(Request& request) {
    auto& transfer = request.as<Transfer>();
    const bool first = request.has(request_poll_first);
    request.clear(IOSQE_ASYNC | request_poll_first);
    if (first && !can_be_polled(request.fd)) {
        request.clear(request_at_work);
        return request.done(is_file(request.fd) ? -EBADFD : -EBADF);
    }
    if (first && request.has(request_at_work)) {
        if (reads_once_in_worker(request)) request.clear(request_multishot);
        return request.wait(POLLIN);
    }
    for (bool selected_before = !first;;) {
        transfer.length = 0;
        const int selected = select(request);
        if (selected < 0) recycle_buffer(request);
        if (selected < 0 && selected_before && !is_readable(request.fd)) return request.wait(POLLIN);
        if (selected < 0) return request.done(blame(request, selected));
        const int refused = transfer.flags != 0 ? check_file_and_flags(request) : 0;
        const long got = refused < 0 ? refused : read_at_once(request);
        if (got <= 0) recycle_buffer(request);
        if (got == -EINTR) continue;
        if (got == -EAGAIN && !request.has(request_nowait)) return request.wait(POLLIN);
        if (waits_although_mute(request, got)) return request.wait(POLLIN);
        if (got <= 0) return request.done(got);
        const uint32_t flags = consume_buffer(request, got);
        selected_before = true;
        if (!request.has(request_multishot) || !post_more(request, static_cast<int32_t>(got), flags)) {
            request.cqe_flags = flags;
            return request.done(got);
        }
        if (request.has(request_nowait)) return request.done(-EAGAIN);
    }
}

}  // namespace ringside::engine
