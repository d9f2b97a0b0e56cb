// IORING_OP_READ, WRITE, READV, WRITEV
//
// Inline it is one preadv2 or pwritev2 with RWF_NOWAIT. What that answers decides: a file on disk whose data is not in
// memory goes to a worker, as does one that cannot tell (most file systems' buffered writes); a pipe, a socket or a
// terminal that is not ready waits for readiness.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/one_call.h"
#include "ops/ops.h"
#include "ops/rw.h"
#include "ops/socket.h"
#include "ops/user_data.h"
#include "ops/vectors.h"
#include "os/fds.h"
#include "os/sigpipe.h"
#include "service/path_face.h"
#include "service/workers.h"
#include "service/write_order.h"
#include "state/file_cache.h"
#include "state/file_facts.h"

namespace ringside::engine {
namespace {

// In the kernel a worker makes this write, so it must not raise SIGPIPE in the program's thread.
__attribute__((noinline)) long write_in_place_of_worker(int fd, const iovec* vectors, unsigned count, int64_t offset,
                                                        int flags) {
    SigpipeHeld held;
    const long result = abi::syscall(__NR_pwritev2, fd, vectors, count, offset, 0, flags);
    if (result == -EPIPE) held.take_back();
    return result;
}

long transfer_once(const Request& request, const Transfer& transfer, const iovec* vectors, unsigned count, int flags,
                   bool may_block) {
    const int64_t offset =
        transfer.offset == current_position ? current_position : transfer.offset + int64_t{transfer.done};
    const long call = transfer.writes ? __NR_pwritev2 : __NR_preadv2;
    const auto address = reinterpret_cast<long>(vectors);
    const auto make = [&](int64_t at) {
        if (may_block && flags == 0 && !transfer.vectored && at != current_position) {
            // The plain call costs less than the vectored one.
            const long plain = transfer.writes ? __NR_pwrite64 : __NR_pread64;
            return call_in_worker(request, plain, request.fd, vectors->iov_base, vectors->iov_len, at);
        }
        const bool in_place_of_worker = request.has(request_at_work) && transfer.writes && !may_block;
        if (__builtin_expect(in_place_of_worker, 0) && !in_worker()) {
            return write_in_place_of_worker(request.fd, vectors, count, at, flags);
        }
        // The kernel takes the offset in two halves, of which on 64 bits the first is the whole.
        return may_block ? call_in_worker(request, call, request.fd, address, count, at, 0, flags)
                         : abi::syscall(call, request.fd, address, count, at, 0, flags);
    };
    const long result = make(offset);
    if (result != -ESPIPE || offset == current_position) return result;
    const int fault = judge_position(request, transfer.offset);
    return fault == 0 ? make(current_position) : fault;
}

// A part of it went before the rest failed with `error`. The file position stays where it was then, as in the kernel,
// but for a read in a worker, which does not go on there.
long partial_result(Request& request, long error) {
    const auto& transfer = request.as<Transfer>();
    if (transfer.done == 0) return error;
    const bool read_in_worker = !transfer.writes && request.has(request_blocks | request_ordered);
    if (transfer.offset == current_position && !read_in_worker && is_on_disk(request.fd)) {
        abi::syscall(__NR_lseek, request.fd, -int64_t{transfer.done}, SEEK_CUR);
    }
    return transfer.done;
}

FileFacts* facts_of(const Request& request) {
    return engine::facts_of(request.ring->known_files, request.fd, request.ring->batch);
}

void note_writes_wait(Request& request) {
    FileFacts* facts = facts_of(request);
    if (facts != nullptr) facts->writes_wait = true;
}

// The plain call, and once more for what it left, which in the kernel a worker does.
Outcome read_in_full(Request& request) {
    const long got = transfer_rest(request, 0, false);
    if (!may_have_more(request, got)) return complete(request, got);
    request.as<Transfer>().done += static_cast<uint32_t>(got);
    request.set(request_at_work);
    return complete(request, transfer_rest(request, 0, false));
}

// Once its flags are judged, such a file has none left (rw_faults.cc).
bool is_counter_for_older_way(const Request& request) {
    const auto& transfer = request.as<Transfer>();
    return transfer.writes && transfer.flags == 0 && kind_of(request.fd) == 0;
}

}  // namespace

uint64_t wanted_bytes(const Transfer& transfer) {
    uint64_t sum = 0;
    if (!transfer.vectored) sum = transfer.length;
    if (transfer.kept) sum = total_length(user_pointer<const iovec>(transfer.address), transfer.length);
    for (uint32_t i = 0; transfer.vectored && !transfer.kept && i < transfer.length; ++i) {
        iovec vector;
        read_touched(&vector, transfer.address + i * sizeof(vector), sizeof(vector));
        sum += vector.iov_len;
    }
    return sum < most_at_once ? sum : most_at_once;
}

uint32_t wanted_readiness(const Transfer& transfer) { return transfer.writes ? POLLOUT : POLLIN; }

bool blocks_in_write(Request& request) {
    return request.has(request_blocks) && !request.has(request_nowait) && request.as<Transfer>().writes;
}

bool is_ready(Request& request) {
    pollfd set = {request.fd, static_cast<short>(wanted_readiness(request.as<Transfer>())), 0};
    const timespec at_once = {0, 0};
    return abi::syscall(__NR_ppoll, &set, 1, &at_once, nullptr, 0) != 0;
}

// Less than was asked for severs a chain, though it is no error.
Outcome complete(Request& request, long last) {
    auto& transfer = request.as<Transfer>();
    const long result = last < 0 ? partial_result(request, last) : last + transfer.done;
    // What a last attempt has failed to add to, too, the kernel's worker does not tell itself.
    if (last < 0) request.clear(request_at_work);
    if (result >= 0 && request.has(IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_CQE_SKIP_SUCCESS)) {
        if (static_cast<uint64_t>(result) != wanted_bytes(transfer)) request.fail();
    }
    return request.done(result);
}

// The fact may be an old one, and a pipe must not be taken for a disk.
bool writes_would_wait(Request& request) {
    FileFacts* facts = facts_of(request);
    if (facts == nullptr || !facts->writes_wait) return false;
    facts->writes_wait = is_on_disk(request.fd);
    return facts->writes_wait;
}

bool may_have_more(Request& request, long got) {
    auto& transfer = request.as<Transfer>();
    if (got <= 0 || static_cast<uint64_t>(transfer.done + got) >= wanted_bytes(transfer)) return false;
    return (is_on_disk(request.fd) || blocks_in_write(request)) && keep_iovecs(request) == 0;
}

long transfer_rest(Request& request, int extra_flags, bool may_block) {
    auto& transfer = request.as<Transfer>();
    const int flags = transfer.flags | extra_flags;
    if (!transfer.vectored) {
        const iovec rest = {user_pointer(transfer.address + transfer.done), transfer.length - transfer.done};
        return transfer_once(request, transfer, &rest, 1, flags, may_block);
    }
    if (transfer.done == 0) {
        return transfer_once(request, transfer, user_pointer<iovec>(transfer.address), transfer.length, flags,
                             may_block);
    }
    // Only a request that holds its own copy of the iovecs gets this far, so the first may be shortened in place.
    const RestOfVectors rest(user_pointer<iovec>(transfer.address), transfer.length, transfer.done);
    if (rest.count() == 0) return 0;
    return transfer_once(request, transfer, rest.vectors(), rest.count(), flags, may_block);
}

bool is_judged_first(const Request& request) {
    const auto& transfer = request.as<Transfer>();
    return (request.ring->setup_flags & IORING_SETUP_IOPOLL) || (transfer.flags & RWF_HIPRI) || transfer.has_attribute;
}

Outcome put_off(Request& request, long reason) {
    if (reason == -EOPNOTSUPP && request.as<Transfer>().flags != 0) {
        const int refused = judge_flags(request);
        if (refused < 0) return complete(request, refused);
    }
    const bool was_nowait_lost = reason == -EOPNOTSUPP && drop_nowait_if_spliced(request);
    // A call that may wait is kept from waiting by O_NONBLOCK, which files know that do not know RWF_NOWAIT. So does a
    // counter, which does know that, but not for the older way, which is its only one to be written to.
    const bool asks_plainly = request.has(request_blocks) && reason == -EOPNOTSUPP && !is_on_disk(request.fd);
    const bool keeps_itself = request.has(request_nowait) && (was_nowait_lost || is_counter_for_older_way(request));
    if (asks_plainly || keeps_itself) return attempt_plainly(request);
    // A file system that knows RWF_NOWAIT and cannot write without waiting says -EOPNOTSUPP too.
    if (request.has(request_nowait)) return complete(request, is_on_disk(request.fd) ? -EAGAIN : reason);
    const int kept = keep_iovecs(request);
    if (kept < 0) return complete(request, kept);
    if (is_on_disk(request.fd)) {
        // As in the kernel, one that is non-blocking is read by the submitter, though it may wait (for what was swapped
        // out: it is in memory otherwise).
        const bool plainly = reason == -EOPNOTSUPP && !request.as<Transfer>().writes && is_nonblocking(request.fd);
        if (plainly) return read_in_full(request);
        request.set(request_bounded);
        if (reason == -EOPNOTSUPP && request.as<Transfer>().writes) note_writes_wait(request);
        return Outcome::punt;
    }
    return reason == -EOPNOTSUPP ? attempt_plainly(request) : request.wait(wanted_readiness(request.as<Transfer>()));
}

namespace {

// The plain call, which costs less than one with RWF_NOWAIT, where the file is known to be in memory. Whether that was
// all; if not, or if there is more to the request, it is attempted in full.
bool read_from_memory(Request& request) {
    const auto& transfer = request.as<Transfer>();
    const Ring& ring = *request.ring;
    if (request.has(IOSQE_BUFFER_SELECT | request_cancelled) ||
        !is_in_memory(ring.known_files, request.fd, ring.batch)) {
        return false;
    }
    if (transfer.writes || transfer.vectored || transfer.has_attribute) return false;
    if (transfer.flags != 0 || transfer.offset < 0 || transfer.done != 0) return false;
    const long got = abi::syscall(__NR_pread64, request.fd, transfer.address, transfer.length, transfer.offset);
    if (__builtin_expect(got != transfer.length || got == 0, 0)) return false;
    request.done(got);
    return true;
}

Outcome attempt_in_full(Request& request) {
    auto& transfer = request.as<Transfer>();
    if (__builtin_expect(request.has(request_cancelled), 0)) return complete(request, -ECANCELED);
    FileFacts* facts = facts_of(request);
    if (__builtin_expect(!request.has(request_answered), 1)) {
        if (__builtin_expect(is_judged_first(request), 0)) {
            const int refused = check_file_and_flags(request);
            if (refused < 0) return request.done(blame(request, refused));
        }
        if (__builtin_expect(bypasses_cache(transfer, facts), 0)) return attempt_direct(request);
        const bool may_overtake = transfer.writes && request.ring->write_order.taken != 0;
        if (__builtin_expect(may_overtake, 0) && has_to_line_up(request)) return put_off(request, -EAGAIN);
    }
    for (;;) {
        const bool answered = request.has(request_answered);
        const long got = answered ? request.take_answer() : transfer_rest(request, RWF_NOWAIT, false);
        // A carried attempt names an offset even to a stream, which may mind it.
        if (got == -EINTR || (answered && got == -ESPIPE)) continue;
        if (got == -EAGAIN || got == -EOPNOTSUPP) return put_off(request, got);
        if (__builtin_expect(got < 0, 0)) {
            if (waits_although_mute(request, got)) return request.wait(wanted_readiness(transfer));
            return complete(request, blame(request, first_fault(request, got)));
        }
        if (__builtin_expect(got == 0, 0) && wants_nothing(request)) return attempt_nothing(request);
        if (__builtin_expect(static_cast<uint64_t>(got) != transfer.length, 0) && may_have_more(request, got)) {
            transfer.done += static_cast<uint32_t>(got);
            if (blocks_in_write(request)) request.set(request_ends_itself);
            continue;
        }
        if (facts != nullptr && !transfer.writes && !facts->direct) note_read_at_once(*facts, request.ring->batch);
        return complete(request, got);
    }
}

}  // namespace

Outcome attempt(Request& request) {
    return !request.has(request_answered) && read_from_memory(request) ? Outcome::done : attempt_in_full(request);
}

// The current position and iovecs are not expressed; writes only to sockets, since a file that is written by
// io_submit(2) does not tell inotify.
bool rw_carry(Request& request, iocb& attempt) {
    const auto& transfer = request.as<Transfer>();
    if (transfer.vectored || transfer.offset < 0 || transfer.length == 0 || transfer.done != 0) return false;
    if (request.has(IOSQE_BUFFER_SELECT | request_cancelled) || is_judged_first(request)) return false;
    if (transfer.writes && (transfer.offset != 0 || registered_socket_type(request) == 0)) return false;
    const FileFacts* facts = transfer.writes ? nullptr : facts_of(request);
    if (!transfer.writes && (facts == nullptr || facts->direct || facts->is_refused)) return false;
    attempt.aio_lio_opcode = transfer.writes ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
    attempt.aio_buf = transfer.address;
    attempt.aio_nbytes = transfer.length;
    attempt.aio_offset = transfer.offset;
    attempt.aio_rw_flags = transfer.flags | RWF_NOWAIT;
    return true;
}

bool rw_fixed_carry(Request& request, iocb& attempt) {
    const auto& transfer = request.as<Transfer>();
    return !transfer.vectored && import_buffer(request, transfer.address, transfer.length) == 0 &&
           rw_carry(request, attempt);
}

Outcome rw_issue(Request& request) {
    return __builtin_expect(request.has(IOSQE_BUFFER_SELECT), 0) ? attempt_on_selected(request) : attempt(request);
}

}  // namespace ringside::engine
