#include "liburing/publish.h"

namespace ringside::liburing {
namespace {

int submit(io_uring& ring, unsigned to_submit, unsigned wait_nr, bool get_events) {
    unsigned flags = 0;
    const bool reap = get_events || wait_nr != 0 || completions_need_enter(ring);
    if (!submission_needs_enter(ring, to_submit, flags) && !reap) {
        if (to_submit == 0) note_idle(ring);
        return static_cast<int>(to_submit);
    }
    if (reap) flags |= IORING_ENTER_GETEVENTS;
    return enter_and_rewind(ring, to_submit, wait_nr, flags, nullptr, 0);
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

int io_uring_submit(io_uring* ring) { return submit(*ring, publish_sqes(*ring), 0, false); }

int io_uring_submit_and_wait(io_uring* ring, unsigned wait_nr) {
    return submit(*ring, publish_sqes(*ring), wait_nr, false);
}

int io_uring_submit_and_get_events(io_uring* ring) { return submit(*ring, publish_sqes(*ring), 0, true); }

int io_uring_get_events(io_uring* ring) { return enter(*ring, 0, 0, IORING_ENTER_GETEVENTS, nullptr, 0); }

int __io_uring_sqring_wait(io_uring* ring) { return enter(*ring, 0, 0, IORING_ENTER_SQ_WAIT, nullptr, 0); }
