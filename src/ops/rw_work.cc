// Transfers in a worker. A file on disk gets the plain call, which waits. Anything else comes here because it asked for
// a worker, or because it cannot be polled: it waits for readiness rather than in a thread, where it can.
#include <errno.h>
#include <linux/fs.h>
#include <unistd.h>

#include "abi/syscall.h"
#include "ops/ops.h"
#include "ops/rw.h"
#include "os/fds.h"

namespace ringside::engine {
namespace {

// The file's position before a write that may fail half-way: a write that appends changes it. -1 for other transfers.
long position_to_keep(const Request& request) {
    const auto& transfer = request.as<Transfer>();
    const bool may = transfer.writes && transfer.offset == current_position;
    return may && request.has(request_bounded) ? abi::syscall(__NR_lseek, request.fd, 0, SEEK_CUR) : -1;
}

}  // namespace

Outcome rw_work(Request& request) {
    auto& transfer = request.as<Transfer>();
    if (is_judged_first(request) || (transfer.flags & RWF_NOWAIT)) {
        const int refused = check_file_and_flags(request);
        if (refused < 0) return request.done(blame(request, refused));
        // In a worker a file on disk may wait all the same.
        if (is_on_disk(request.fd)) transfer.flags &= ~RWF_NOWAIT;
    }
    drop_nowait_if_spliced(request);
    if (wants_nothing(request)) return transfer_nothing(request, true);
    if (!request.has(request_bounded) && is_on_disk(request.fd)) request.set(request_bounded);
    if (!request.has(request_bounded)) {
        const long got = transfer_rest(request, RWF_NOWAIT, false);
        if (waits_although_mute(request, got)) return request.wait(wanted_readiness(transfer));
        if (got != -EAGAIN && got != -EOPNOTSUPP) return complete(request, got < 0 ? first_fault(request, got) : got);
        const int refused = got == -EOPNOTSUPP && transfer.flags != 0 ? judge_flags(request) : 0;
        if (refused < 0) return complete(request, refused);
        if (!is_ready(request)) {
            if (request.has(request_nowait)) return complete(request, -EAGAIN);
            return request.wait(wanted_readiness(transfer));
        }
        if (is_large_for_pipe(request)) return attempt_plainly(request);
    }
    if (has_parts(request)) take_array_for_parts(request);
    const long position = position_to_keep(request);
    for (;;) {
        const long got = transfer_rest(request, 0, true);
        if (got == -EOPNOTSUPP && transfer.flags != 0) {
            const int refused = judge_flags(request);
            if (refused < 0 || transfer.flags != 0) return complete(request, refused < 0 ? refused : got);
            continue;
        }
        if (got < 0) {
            const Outcome outcome = complete(request, first_fault(request, got));
            if (position >= 0 && transfer.done != 0) abi::syscall(__NR_lseek, request.fd, position, SEEK_SET);
            return outcome;
        }
        // As in the kernel, what is left of a write is tried once more, what is left of a read is not.
        if (!transfer.writes || !may_have_more(request, got)) return complete(request, got);
        transfer.done += static_cast<uint32_t>(got);
    }
}

}  // namespace ringside::engine
