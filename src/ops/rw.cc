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
#include "ops/one_call.h"
#include "ops/ops.h"
#include "ops/rw.h"
#include "ops/user_data.h"
#include "ops/vectors.h"
#include "path/path.h"
#include "service/workers.h"
#include "state/fds.h"
#include "state/file_cache.h"
#include "state/file_facts.h"
#include "state/user_memory.h"

namespace ringside::engine {
namespace {

// Classes of ioprio_set(2), in the upper three bits of the value.
constexpr unsigned ioprio_none = 0, ioprio_realtime = 1, ioprio_best_effort = 2, ioprio_idle = 3;

// --- Preparation ----------------------------------------------------------------------------------------------------

int check_ioprio(uint16_t ioprio) {
    if (ioprio == 0) return 0;
    const unsigned level = ioprio & 7;
    switch (ioprio >> 13) {
        case ioprio_none:
            return level != 0 ? -EINVAL : 0;
        case ioprio_realtime:
            return abi::syscall(__NR_geteuid) == 0 ? 0 : -EPERM;
        case ioprio_best_effort:
        case ioprio_idle:
            return 0;
        default:
            return -EINVAL;
    }
}

// Protection information is the one attribute there is. The kernel looks at it before it finds that a file has none.
int check_attribute(const io_uring_sqe& sqe) {
    if (sqe.attr_type_mask != IORING_RW_ATTR_FLAG_PI) return -EINVAL;
    io_uring_attr_pi information;
    if (read_user(information, sqe.attr_ptr) < 0) return -EFAULT;
    if (information.rsvd != 0) return -EINVAL;
    return is_user_range(information.addr, information.len) ? 0 : -EFAULT;
}

// Memory that the program names in the entry itself.
int prepare(Request& request, const io_uring_sqe& sqe, bool vectored, bool writes) {
    const int result = prepare_transfer(request, sqe, vectored, writes);
    if (result < 0) return result;
    if (request.has(IOSQE_BUFFER_SELECT)) return prepare_selection(request);
    if (!vectored) return is_user_range(sqe.addr, sqe.len) ? 0 : -EFAULT;
    if (sqe.len > most_iovecs) return -EINVAL;
    return starts_later(request) ? keep_iovecs(request) : 0;
}

// --- The system call ------------------------------------------------------------------------------------------------

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

// Where the file stood before a write that may fail half-way: one that appends leaves it elsewhere. -1 for others.
long position_to_keep(const Request& request) {
    const auto& transfer = request.as<Transfer>();
    const bool may = transfer.writes && transfer.offset == current_position;
    return may && request.has(request_bounded) ? abi::syscall(__NR_lseek, request.fd, 0, SEEK_CUR) : -1;
}

// --- Attempts -------------------------------------------------------------------------------------------------------

FileFacts* facts_of(const Request& request) {
    return engine::facts_of(request.ring->known_files, request.fd, request.ring->batch);
}

void note_writes_wait(Request& request) {
    FileFacts* facts = facts_of(request);
    if (facts != nullptr) facts->writes_wait = true;
}

// A file on disk is read and written in full, as far as it goes: a short count from RWF_NOWAIT may only mean that the
// rest is not in memory.
bool may_have_more(Request& request, long got) {
    auto& transfer = request.as<Transfer>();
    if (got <= 0 || static_cast<uint64_t>(transfer.done + got) >= wanted_bytes(transfer)) return false;
    return (is_on_disk(request.fd) || blocks_in_write(request)) && keep_iovecs(request) == 0;
}

// The plain call, and once more for what it left, which in the kernel a worker does.
Outcome read_in_full(Request& request) {
    const long got = transfer_rest(request, 0, false);
    if (!may_have_more(request, got)) return complete(request, got);
    request.as<Transfer>().done += static_cast<uint32_t>(got);
    request.set(request_at_work);
    return complete(request, transfer_rest(request, 0, false));
}

// Nothing more goes without waiting: who waits, and for what?
Outcome put_off(Request& request, long reason) {
    if (reason == -EOPNOTSUPP && request.as<Transfer>().flags != 0) {
        const int refused = judge_flags(request);
        if (refused < 0) return complete(request, refused);
    }
    const bool was_nowait_lost = reason == -EOPNOTSUPP && drop_nowait_if_spliced(request);
    // A call that may wait is kept from waiting by O_NONBLOCK, which files know that do not know RWF_NOWAIT.
    const bool asks_plainly = request.has(request_blocks) && reason == -EOPNOTSUPP && !is_on_disk(request.fd);
    if (asks_plainly || (was_nowait_lost && request.has(request_nowait))) return attempt_plainly(request);
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

bool wants_nothing(Request& request) {
    const auto& transfer = request.as<Transfer>();
    if (!transfer.vectored || transfer.length == 0) return transfer.length == 0;
    return keep_iovecs(request) == 0 && wanted_bytes(transfer) == 0;
}

// The page cache of most file systems takes nothing without waiting.
bool waits_to_write(int fd) { return kind_of(fd) == S_IFREG && !(abi::syscall(__NR_fcntl, fd, F_GETFL) & O_DIRECT); }

// Some file systems do not even read nothing.
bool waits_for_nothing(Request& request) {
    if (request.as<Transfer>().writes) return waits_to_write(request.fd);
    return !knows_flag(request.fd, RWF_NOWAIT) && !is_nonblocking(request.fd);
}

// A transfer of nothing is for the file to judge: an eventfd refuses to read it, a socket of records sends an empty
// one. preadv2 and pwritev2 would not ask it, read and write do. Neither looks at the flags.
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

// Whether something other than the system call has to judge the request.
bool is_unusual(const Request& request, const Transfer& transfer) {
    return (request.ring->setup_flags & IORING_SETUP_IOPOLL) || (transfer.flags & RWF_HIPRI) || transfer.has_attribute;
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
    if (result < 0) request.clear(request_at_work);
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

int keep_iovecs(Request& request) {
    auto& transfer = request.as<Transfer>();
    if (!transfer.vectored || transfer.kept) return 0;
    const size_t size = transfer.length * sizeof(iovec);
    void* copy = malloc(size + 1);
    if (copy == nullptr) return -ENOMEM;
    auto* vectors = static_cast<iovec*>(copy);
    int result = copy_iovecs(vectors, transfer.address, transfer.length);
    // Those in a registered buffer are looked at when that is there.
    if (result == 0 && !request.has(request_takes_buffer)) result = check_ranges(vectors, transfer.length);
    if (result < 0) {
        free(copy);
        return result;
    }
    request.keep(copy);
    transfer.kept = true;
    transfer.address = reinterpret_cast<uintptr_t>(copy);
    return 0;
}

int prepare_transfer(Request& request, const io_uring_sqe& sqe, bool vectored, bool writes) {
    const int ioprio = check_ioprio(sqe.ioprio);
    if (ioprio < 0) return ioprio;
    auto& transfer = request.as<Transfer>();
    transfer.address = sqe.addr;
    transfer.offset = static_cast<int64_t>(sqe.off);
    transfer.length = sqe.len;
    transfer.done = 0;
    transfer.flags = sqe.rw_flags;
    transfer.vectored = vectored;
    transfer.writes = writes;
    transfer.kept = false;
    transfer.has_attribute = sqe.attr_type_mask != 0;
    if (sqe.rw_flags & RWF_NOWAIT) request.set(request_nowait);
    return __builtin_expect(transfer.has_attribute, 0) ? check_attribute(sqe) : 0;
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
    if (__builtin_expect(is_unusual(request, transfer), 0)) {
        const int refused = check_file_and_flags(request);
        if (refused < 0) return request.done(blame(request, refused));
    }
    FileFacts* facts = facts_of(request);
    if (__builtin_expect(bypasses_cache(transfer, facts), 0)) return attempt_direct(request);
    for (;;) {
        const long got = transfer_rest(request, RWF_NOWAIT, false);
        if (got == -EINTR) continue;
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

int read_prep(Request& request, const io_uring_sqe& sqe) { return prepare(request, sqe, false, false); }
int write_prep(Request& request, const io_uring_sqe& sqe) { return prepare(request, sqe, false, true); }
int readv_prep(Request& request, const io_uring_sqe& sqe) { return prepare(request, sqe, true, false); }
int writev_prep(Request& request, const io_uring_sqe& sqe) { return prepare(request, sqe, true, true); }

Outcome attempt(Request& request) { return read_from_memory(request) ? Outcome::done : attempt_in_full(request); }

Outcome rw_issue(Request& request) {
    if (read_from_memory(request)) return Outcome::done;
    return __builtin_expect(request.has(IOSQE_BUFFER_SELECT), 0) ? attempt_on_selected(request)
                                                                 : attempt_in_full(request);
}

// A file on disk: the plain call, which waits. Anything else comes here because it asked for a worker, or because it
// cannot be polled: it waits for readiness rather than in a thread, where it can.
Outcome rw_work(Request& request) {
    auto& transfer = request.as<Transfer>();
    if (is_unusual(request, transfer) || (transfer.flags & RWF_NOWAIT)) {
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
