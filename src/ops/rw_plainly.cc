// Transfers on files that do not know RWF_NOWAIT and are not on disk: a terminal, inotify, an eventfd that is written
// to, a named pipe. If such a file is ready, the plain call will not wait, unless somebody else was faster.
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/rw.h"
#include "ops/splice.h"
#include "ops/vectors.h"
#include "os/fds.h"

namespace ringside::engine {
namespace {

long write_page_of(int fd, iovec* vectors, unsigned count) {
    size_t sum = 0;
    for (unsigned i = 0; i < count; ++i) {
        iovec& last = vectors[i];
        sum += last.iov_len;
        if (sum < PIPE_BUF) continue;
        const iovec whole = last;
        last.iov_len -= sum - PIPE_BUF;
        const long got = abi::syscall(__NR_writev, fd, vectors, i + 1);
        last = whole;
        return got;
    }
    return abi::syscall(__NR_writev, fd, vectors, count);
}

long write_next_page(const Request& request, const Transfer& transfer) {
    if (!transfer.vectored) {
        iovec rest = {user_pointer(transfer.address + transfer.done), transfer.length - transfer.done};
        return write_page_of(request.fd, &rest, 1);
    }
    const RestOfVectors rest(user_pointer<iovec>(transfer.address), transfer.length, transfer.done);
    return write_page_of(request.fd, rest.vectors(), rest.count());
}

// A pipe that is ready has room for a page. Returns 0, or what went wrong before anything was written.
long write_what_fits(Request& request) {
    auto& transfer = request.as<Transfer>();
    const uint32_t before = transfer.done;
    const int kept = keep_iovecs(request);
    if (kept < 0) return kept;
    const uint64_t wanted = wanted_bytes(transfer);
    while (transfer.done < wanted && is_ready(request)) {
        const long got = write_next_page(request, transfer);
        if (got < 0) return transfer.done != before ? 0 : got;
        transfer.done += static_cast<uint32_t>(got);
    }
    return transfer.done != before ? 0 : -EAGAIN;
}

// A counter takes a value when it can hold it. That it is ready says that it can take 1.
bool may_wait_though_ready(Request& request) {
    const auto& transfer = request.as<Transfer>();
    if (!transfer.writes) return false;
    uint64_t value;
    const bool is_value = !transfer.vectored && transfer.length == sizeof(value);
    if (is_value && read_user(value, transfer.address) == 0 && value <= 1) return false;
    return kind_of(request.fd) == 0 && !is_nonblocking(request.fd);
}

}  // namespace

void take_array_for_parts(Request& request) {
    auto& transfer = request.as<Transfer>();
    if (transfers_by_iterator(request)) return;
    transfer.address = transfer.array;
    transfer.vectored = transfer.kept = false;
}

bool is_large_for_pipe(Request& request) {
    const auto& transfer = request.as<Transfer>();
    return transfer.writes && wanted_bytes(transfer) - transfer.done > PIPE_BUF && kind_of(request.fd) == S_IFIFO;
}

bool was_spliced(int fd) {
    struct statfs system;
    return has_spliced() && kind_of(fd) == S_IFIFO && abi::syscall(__NR_fstatfs, fd, &system) == 0 &&
           system.f_type == PIPEFS_MAGIC;
}

bool drop_nowait_if_spliced(Request& request) {
    auto& transfer = request.as<Transfer>();
    if (!was_spliced(request.fd)) return false;
    transfer.flags &= ~RWF_NOWAIT;
    return true;
}

// io_uring transfers to and from a file that has the older way alone, and may block, in a worker.
void note_who_transfers(Request& request) {
    if (!request.has(IOSQE_IO_LINK | IOSQE_IO_HARDLINK) || is_nonblocking(request.fd)) return;
    if (!transfers_by_iterator(request)) request.set(request_at_work);
}

Outcome attempt_plainly(Request& request) {
    auto& transfer = request.as<Transfer>();
    if (has_parts(request)) take_array_for_parts(request);
    const bool is_large = is_large_for_pipe(request);
    if (may_wait_though_ready(request) && is_ready(request)) {
        const int kept = keep_iovecs(request);
        if (kept < 0) return complete(request, kept);
        note_who_transfers(request);
        return Outcome::punt;
    }
    long got = -EAGAIN;
    // A non-blocking file need not be ready for an attempt: fanotify accepts answers and never reports that it does.
    if (is_ready(request) || is_nonblocking(request.fd))
        got = is_large ? write_what_fits(request) : transfer_rest(request, 0, false);
    const bool has_rest = is_large && got == 0 && transfer.done < wanted_bytes(transfer);
    if (has_rest && blocks_in_write(request)) {
        request.set(request_ends_itself);
        return request.wait(POLLOUT);
    }
    // A file that is non-blocking by itself says so.
    if (got == -EAGAIN && !request.has(request_nowait)) return request.wait(wanted_readiness(transfer));
    if (got >= 0) note_who_transfers(request);
    return complete(request, got);
}

}  // namespace ringside::engine
