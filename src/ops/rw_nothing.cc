// Transfers of nothing. They are for the file to judge: an eventfd refuses to read nothing, a socket of records sends
// an empty one. preadv2 and pwritev2 would not ask the file, read and write do. Neither looks at the flags.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "abi/syscall.h"
#include "ops/one_call.h"
#include "ops/rw.h"
#include "os/fds.h"
#include "service/workers.h"

namespace ringside::engine {
namespace {

// The page cache of most file systems takes nothing without waiting.
bool waits_to_write(int fd) { return kind_of(fd) == S_IFREG && !(abi::syscall(__NR_fcntl, fd, F_GETFL) & O_DIRECT); }

// Some file systems do not even read nothing.
bool waits_for_nothing(Request& request) {
    if (request.as<Transfer>().writes) return waits_to_write(request.fd);
    return !knows_flag(request.fd, RWF_NOWAIT) && !is_nonblocking(request.fd);
}

}  // namespace

bool wants_nothing(Request& request) {
    const auto& transfer = request.as<Transfer>();
    if (!transfer.vectored || transfer.length == 0) return transfer.length == 0;
    return keep_iovecs(request) == 0 && wanted_bytes(transfer) == 0;
}

Outcome transfer_nothing(Request& request, bool may_block) {
    const auto& transfer = request.as<Transfer>();
    const int refused = transfer.flags != 0 ? judge_flags(request) : 0;
    if (refused < 0) return complete(request, refused);
    if (!may_block && transfer.writes && (transfer.flags & RWF_NOWAIT) && waits_to_write(request.fd)) {
        return complete(request, -EAGAIN);
    }
    const auto call = [&](long number, int64_t offset) {
        return may_block ? blocking_syscall(number, request.fd, 0, 0, offset)
                         : abi::syscall(number, request.fd, 0, 0, offset);
    };
    const long stream_call = transfer.writes ? __NR_write : __NR_read;
    long result = -ESPIPE;
    if (transfer.offset != current_position) {
        result = call(transfer.writes ? __NR_pwrite64 : __NR_pread64, transfer.offset);
    }
    if (result == -ESPIPE && transfer.offset != current_position) {
        const int fault = judge_position(request, transfer.offset);
        if (fault < 0) return complete(request, fault);
    }
    // A socket that has no room waits for it, unless it is asked in its own way.
    const bool sends = transfer.writes && !may_block && kind_of(request.fd) == S_IFSOCK;
    if (result == -ESPIPE) {
        result = sends ? abi::syscall(__NR_sendto, request.fd, 0, 0, MSG_DONTWAIT, 0, 0) : call(stream_call, 0);
    }
    if (sends && result == -EAGAIN) return put_off(request, result);
    if (waits_although_mute(request, result)) return request.wait(wanted_readiness(transfer));
    const bool was_asked = result == 0 || result == -EBADF || transfers_by_iterator(request);
    if (result == 0 || !was_asked) note_who_transfers(request);
    if (!was_asked) return complete(request, 0);
    return complete(request, result < 0 ? first_fault(request, result) : result);
}

// Files of unusual kinds may wait even then.
Outcome attempt_nothing(Request& request) {
    const mode_t kind = kind_of(request.fd);
    const auto& transfer = request.as<Transfer>();
    if (kind == S_IFREG && !(transfer.flags & RWF_NOWAIT) && waits_for_nothing(request)) {
        request.set(request_bounded);
        return Outcome::punt;
    }
    if (kind != 0 && kind != S_IFCHR) return transfer_nothing(request, false);
    if (abi::syscall(__NR_fcntl, request.fd, F_GETFD) < 0) return request.done(-EBADF);
    if (is_ready(request)) return transfer_nothing(request, false);
    // An eventfd, say, refuses to be read whether there is something in it or not.
    const bool answers = kind == 0 && !transfer.writes && knows_flag(request.fd, RWF_NOWAIT, current_position);
    return answers ? transfer_nothing(request, false) : Outcome::punt;
}

}  // namespace ringside::engine
