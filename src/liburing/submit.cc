#include "liburing/publish.h"

namespace ringside::liburing {
namespace {

// Rings on which submitting is more than an enter: a thread takes the SQEs, the slots start anew each time, or
// completions are only found by looking.
constexpr unsigned uncommon = IORING_SETUP_SQPOLL | IORING_SETUP_SQ_REWIND | IORING_SETUP_IOPOLL;

__attribute__((noinline)) int submit_uncommon(io_uring& ring, unsigned wait_nr, bool get_events) {
    const unsigned to_submit = publish_sqes(ring);
    const bool reap = get_events || wait_nr != 0 || completions_need_enter(ring);
    unsigned flags = reap ? IORING_ENTER_GETEVENTS : 0;
    if (!submission_needs_enter(ring, to_submit, flags) && !reap) return static_cast<int>(to_submit);
    return enter_and_rewind(ring, to_submit, wait_nr, flags, nullptr, 0);
}

int submit_nothing(io_uring& ring) {
    note_idle(ring);
    return 0;
}

// The way of nearly all submissions, kept short: on the kernel's rings it must not cost more than the system call.
inline int submit(io_uring& ring, unsigned wait_nr, bool get_events) {
    if (uring_unlikely((ring.flags & uncommon) != 0)) return submit_uncommon(ring, wait_nr, get_events);
    const unsigned to_submit = publish_sqes(ring);
    unsigned flags = IORING_ENTER_GETEVENTS;
    if (wait_nr == 0 && !get_events && !completions_need_enter(ring)) {
        if (to_submit == 0) return submit_nothing(ring);
        flags = 0;
    }
    return enter(ring, to_submit, wait_nr, flags, nullptr, 0);
}

}  // namespace

void rewind_sqes(io_uring& ring, unsigned taken) {
    io_uring_sq& sq = ring.sq;
    const unsigned shift = io_uring_sqe_shift(&ring);
    const unsigned left = sq.sqe_tail - taken;
    if (left != 0) memmove(sq.sqes, sq.sqes + (size_t{taken} << shift), (left * sizeof(io_uring_sqe)) << shift);
    sq.sqe_tail = left;
}

}  // namespace ringside::liburing

using namespace ringside::liburing;

int io_uring_submit(io_uring* ring) { return submit(*ring, 0, false); }

int io_uring_submit_and_wait(io_uring* ring, unsigned wait_nr) { return submit(*ring, wait_nr, false); }

int io_uring_submit_and_get_events(io_uring* ring) { return submit(*ring, 0, true); }

int io_uring_get_events(io_uring* ring) { return enter(*ring, 0, 0, IORING_ENTER_GETEVENTS, nullptr, 0); }

int __io_uring_sqring_wait(io_uring* ring) { return enter(*ring, 0, 0, IORING_ENTER_SQ_WAIT, nullptr, 0); }
