// IORING_OP_SPLICE and IORING_OP_TEE: from one file to another without a detour through the program. Either side may
// block, so a worker does it.
#include <errno.h>
#include <fcntl.h>

#include <atomic>

#include "abi/syscall.h"
#include "ops/one_call.h"
#include "ops/ops.h"
#include "ops/splice.h"
#include "os/fds.h"
#include "resource/fixed_files.h"
#include "service/keeper.h"
#include "service/path_face.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr uint32_t known_flags =
    SPLICE_F_MOVE | SPLICE_F_NONBLOCK | SPLICE_F_MORE | SPLICE_F_GIFT | SPLICE_F_FD_IN_FIXED;
constexpr int64_t current_position = -1;

std::atomic<bool> spliced{false};

struct Splice {
    int64_t offset_in;  // or current_position
    int64_t offset_out;
    uint32_t length;
    uint32_t flags;
    int32_t fd_in;  // as the program gave it, or an index of a registered file
};

int prepare(Request& request, const io_uring_sqe& sqe) {
    if (sqe.splice_flags & ~known_flags) return -EINVAL;
    request.as<Splice>() = {static_cast<int64_t>(sqe.splice_off_in), static_cast<int64_t>(sqe.off), sqe.len,
                            sqe.splice_flags, sqe.splice_fd_in};
    // The request goes to a worker anyway, but issue must find its second file first, under the ring's lock.
    request.set(request_takes_buffer);
    return 0;
}

// A file on disk is held in the engine's own table (path/punt.cc), and so is the other one then.
bool hold_both_elsewhere(Request& request, int fd) {
    struct stat in, out = {};
    if (file_status(fd, in) < 0) return false;
    const bool already = holds_file_elsewhere(request);
    if (!already && file_status(request.fd, out) < 0) return false;
    if (!already && !is_kind_on_disk(in.st_mode) && !is_kind_on_disk(out.st_mode)) return false;
    Ring& ring = *request.ring;
    KeptFile* second = share_kept(ring, fd, in);
    if (second == nullptr) return false;
    ++second->holders;
    if (!already && !hold_elsewhere(request, out)) {
        let_go(ring, *second);
        return false;
    }
    request.second_kept() = second;
    request.set(request_second_kept);
    // A registered file may leave its slot within the batch.
    hand_over_batch(ring);
    return true;
}

// Finds the file to read from and has the request hold it. Returns 0 or -EBADF.
int find_input(Request& request) {
    const auto& splice = request.as<Splice>();
    int fd = splice.fd_in;
    if (splice.flags & SPLICE_F_FD_IN_FIXED) {
        const FixedFile* file = request.ring->files.find(static_cast<uint32_t>(splice.fd_in));
        if (file == nullptr) return -EBADF;
        fd = file->fd;
    }
    request.second_fd = fd;
    if (hold_both_elsewhere(request, fd)) return 0;
    const int own = duplicate_high(fd);
    if (own == -EBADF) return -EBADF;
    // At the descriptor limit the file cannot be held, so the request uses the program's descriptor.
    if (own < 0) return 0;
    request.second_fd = own;
    request.set(request_pinned_too);
    return 0;
}

// A short transfer severs a chain, though it is no error.
Outcome complete(Request& request, Outcome outcome) {
    if (request.res != static_cast<int64_t>(request.as<Splice>().length)) request.fail();
    return outcome;
}

// Whether the input is open for reading and the output for writing.
bool are_open_for_it(const Request& request) {
    const long in = abi::syscall(__NR_fcntl, request.second_fd, F_GETFL);
    const long out = abi::syscall(__NR_fcntl, request.fd, F_GETFL);
    return has_mode(in, false) && has_mode(out, true);
}

}  // namespace

bool has_spliced() { return spliced.load(std::memory_order_relaxed); }

int splice_prep(Request& request, const io_uring_sqe& sqe) { return prepare(request, sqe); }

int tee_prep(Request& request, const io_uring_sqe& sqe) { return prepare(request, sqe); }

Outcome splice_issue(Request& request) {
    request.clear(IOSQE_ASYNC);
    // In the kernel a worker executes every splice, also one of no bytes or from a bad descriptor.
    request.set(request_at_work);
    const bool is_out = request.as<Splice>().length != 0 || is_file(request.fd);
    const int found = find_input(request);
    if (found < 0) return request.done(found);
    if (request.as<Splice>().length != 0) return Outcome::punt;
    // A transfer of no bytes always succeeds, and its files need not be pipes.
    return request.done(is_out && is_file(request.second_fd) ? 0 : -EBADF);
}

Outcome splice_work(Request& request) {
    auto& splice = request.as<Splice>();
    int64_t* offset_in = splice.offset_in == current_position ? nullptr : &splice.offset_in;
    int64_t* offset_out = splice.offset_out == current_position ? nullptr : &splice.offset_out;
    const uint32_t flags = splice.flags & ~SPLICE_F_FD_IN_FIXED;
    spliced.store(true, std::memory_order_relaxed);
    const Outcome outcome =
        one_call(request, __NR_splice, request.second_fd, offset_in, request.fd, offset_out, splice.length, flags);
    // The system call looks at the offsets before it looks at how the files are open.
    const bool mistaken = request.res == -ESPIPE && !are_open_for_it(request);
    return complete(request, mistaken ? request.ended(-EBADF) : outcome);
}

Outcome tee_work(Request& request) {
    const auto& splice = request.as<Splice>();
    const uint32_t flags = splice.flags & ~SPLICE_F_FD_IN_FIXED;
    return complete(request, one_call(request, __NR_tee, request.second_fd, request.fd, splice.length, flags));
}

}  // namespace ringside::engine
