// Between admit and issue: neighbours. A program that reads a file piece by piece, many pieces in one batch, asks for
// what one vectored system call does, so requests that go on where the one before them ends are held back until the
// last of them has been fetched, and are attempted together. Each gets the result that it would have had alone: those
// that the call did not do in full are issued again, one by one. Writes of one file that only a worker can do are held
// back too, wherever they go, so as to be handed over in one go.
//
// Nothing that the program can see happens in between: whatever else the batch has next comes after them.
#include "path/path.h"

namespace ringside::engine {
namespace {

// Nothing but a file and a place in it is asked for.
__attribute__((noinline)) bool is_plain(const io_uring_sqe& sqe) {
    return (sqe.flags & ~IOSQE_FIXED_FILE) == 0 && sqe.rw_flags == 0 && sqe.ioprio == 0 && sqe.personality == 0 &&
           sqe.attr_type_mask == 0 && sqe.len != 0 && static_cast<int64_t>(sqe.off) >= 0;
}

bool is_like(const Request& request, const io_uring_sqe& sqe) {
    return sqe.opcode == request.opcode && sqe.fd == request.sqe_fd && sqe.flags == (request.flags & 0xff);
}

// What most often says no is asked first.
bool goes_on(const Request& request, uint64_t end, const io_uring_sqe& sqe) {
    return (sqe.off == end || operation_of(request).flags & op_joins_any) && is_like(request, sqe) && is_plain(sqe);
}

// Only a guess, since the SQE is the program's still; if it is wrong, the request was held back for nothing.
bool has_neighbour(const Ring& ring, const Request& request, const io_uring_sqe& sqe) {
    const io_uring_sqe* next = peek_sqe(ring);
    return next != nullptr && goes_on(request, sqe.off + sqe.len, *next);
}

}  // namespace

bool continues_joined(const Ring& ring, const io_uring_sqe& sqe) {
    const Joined& joined = ring.joined;
    return joined.count < most_together && goes_on(*joined.last, joined.next_offset, sqe);
}

bool join(Request& request, const io_uring_sqe& sqe) {
    Ring& ring = *request.ring;
    Joined& joined = ring.joined;
    if (joined.count == 0) {
        const bool alone = !has_neighbour(ring, request, sqe) || !is_plain(sqe) || request.has(request_ordered) ||
                           ring.chain.head != nullptr || (ring.setup_flags & IORING_SETUP_IOPOLL);
        if (alone) return false;
        if (ring.carried.count != 0) issue_carried(ring);
    }
    joined.requests.push(request);
    joined.last = &request;
    joined.next_offset = sqe.off + sqe.len;
    ++joined.count;
    ring.has_collected = true;
    return true;
}

void issue_joined(Ring& ring) {
    Joined& joined = ring.joined;
    const unsigned count = joined.count;
    RequestQueue requests = joined.requests.take_all();
    joined.count = 0;
    Request& first = *requests.front();
    Share share = {};
    if (count > 1 && resolve_file(first) == 0) share = operation_of(first).together(first, count);
    RequestQueue punted;
    for (unsigned i = 0; Request* request = requests.pop(); ++i) {
        if (i >= share.count) {
            issue(*request);
        } else if (share.outcome == Outcome::punt) {
            punted.push(*request);
        } else {
            finish(*request);
        }
    }
    if (!punted.empty()) punt_together(punted);
}

}  // namespace ringside::engine
