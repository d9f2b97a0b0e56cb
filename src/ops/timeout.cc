// IORING_OP_TIMEOUT, IORING_OP_TIMEOUT_REMOVE and IORING_OP_LINK_TIMEOUT
#include <errno.h>

#include "memory/user_memory.h"
#include "ops/ops.h"
#include "process/thread_end.h"
#include "service/cancel.h"
#include "service/path_face.h"
#include "service/waiters.h"
#include "state/timers.h"

namespace ringside::engine {
namespace {

struct Timeout {
    int64_t time_ns;  // relative or absolute, as the flags say
    uint32_t flags;
    uint32_t count;  // completions after which it ends, or repetitions of a multishot
};

struct TimeoutRemove {
    uint64_t target;
    int64_t time_ns;
    uint32_t flags;
};

bool more_than_one_clock(uint32_t flags) { return (flags & IORING_TIMEOUT_CLOCK_MASK) == IORING_TIMEOUT_CLOCK_MASK; }

clockid_t clock_of(uint32_t flags) {
    if (flags & IORING_TIMEOUT_BOOTTIME) return CLOCK_BOOTTIME;
    return flags & IORING_TIMEOUT_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
}

int read_time(uint64_t address, int64_t& time_ns) {
    __kernel_timespec time;
    if (read_user(time, address) < 0) return -EFAULT;
    if (time.tv_sec < 0 || time.tv_nsec < 0) return -EINVAL;
    time_ns = nanoseconds_of(time);
    return 0;
}

int64_t deadline(int64_t time_ns, uint32_t flags) {
    if (flags & IORING_TIMEOUT_ABS) return time_ns;
    return later(now_ns(clock_of(flags)), time_ns);
}

int set_timer(Request& request, int64_t time_ns, uint32_t flags, Expired expired) {
    Ring& ring = *request.ring;
    const int result = ring.timers.add(request, clock_of(flags), deadline(time_ns, flags), expired);
    if (result < 0) return result;
    request.place = Place::timer;
    ring.requests.table.insert(request);
    // The waiter that polls for the ring may sleep for longer than this timeout.
    wake_leader(ring);
    return 0;
}

bool repeats(Timeout& timeout) {
    if (!(timeout.flags & IORING_TIMEOUT_MULTISHOT)) return false;
    return timeout.count == 0 || --timeout.count != 0;
}

// The kernel subtracts a timeout that ends without a CQE from its count all the same. So the count goes back, which the
// kernel takes for more completions than any timeout waits for.
void note_success(const Request& request) {
    if (!request.has(IOSQE_CQE_SKIP_SUCCESS)) return;
    const Completion& completion = request.ring->completion;
    auto& list = request.ring->timers.counted;
    for (Request* at = list.first(); at != nullptr; at = list.after(*at)) {
        at->wait_events = completion.published - completion.timeouts_fired;
    }
}

// A link timeout of the same time was armed a moment later. It expires together with the timeout that it limits,
// before either posts a CQE, and finds nothing to cancel.
void expire_limit_too(Request& request) {
    Request* limit = request.timeout_link;
    if (limit == nullptr) return;
    constexpr uint32_t kind = IORING_TIMEOUT_ABS | IORING_TIMEOUT_CLOCK_MASK;
    const auto& own = request.as<Timeout>();
    const auto& limits = limit->as<Timeout>();
    if (limits.time_ns != own.time_ns || ((limits.flags ^ own.flags) & kind) != 0) return;
    request.ring->timers.take_out(*limit);
    untie_timeout(*limit);
    limit->res = -ENOENT;
    queue_finish(*limit);
}

// An expired timeout ends every wait. It may expire without posting a CQE that would wake the waiters, so wake them
// here.
void end_waits(Ring& ring) {
    ++ring.completion.timeouts_fired;
    wake_satisfied(ring);
}

void expired(Request& request) {
    auto& timeout = request.as<Timeout>();
    end_waits(*request.ring);
    if (repeats(timeout) && post_more(request, -ETIME, 0) &&
        set_timer(request, timeout.time_ns, timeout.flags, expired) == 0) {
        return;
    }
    expire_limit_too(request);
    // With ETIME_SUCCESS the expiry counts as success and severs no chain.
    request.res = -ETIME;
    timeout.flags& IORING_TIMEOUT_ETIME_SUCCESS ? note_success(request) : request.fail();
    finish(request);
}

void counted(Request& request) {
    end_waits(*request.ring);
    note_success(request);
    queue_result(request, 0);
}

// Keeps the list in the order in which the counts are reached.
void insert_counted(Ring& ring, Request& request) {
    auto& list = ring.timers.counted;
    Request* before = nullptr;
    for (Request* at = list.first(); at != nullptr; at = list.after(*at)) {
        if (static_cast<int>(at->wait_events - request.wait_events) > 0) break;
        before = at;
    }
    list.insert_after(request, before);
    request.set(request_counted);
    ring.timers.counted_expired = counted;
}

// The request did not complete in time, so the link timeout cancels it.
void link_expired(Request& timeout) {
    Request* request = untie_timeout(timeout);
    // An orphan has no request left to cancel.
    int result = is_orphan(timeout) ? -ECANCELED : 0;
    if (request != nullptr && result == 0) result = cancel_request(*request);
    timeout.res = result != 0 ? result : -ETIME;
    finish(timeout);
}

Outcome armed(Request& request, int result) { return result < 0 ? request.done(result) : Outcome::queued; }

// In the kernel an expired timeout has ended, even if its CQE is not posted yet.
Request* find_timer(Ring& ring, uint8_t opcode, uint64_t user_data) {
    return ring.requests.table.find(user_data, [&ring, opcode](const Request& request) {
        return request.opcode == opcode && request.place == Place::timer && !ring.timers.is_due(request);
    });
}

int update_timeout(Request& target, const TimeoutRemove& update) {
    auto& timeout = target.as<Timeout>();
    target.ring->timers.take_out(target);
    // An updated time-out keeps its clock and counts no completions any more.
    const uint32_t clock = timeout.flags & IORING_TIMEOUT_CLOCK_MASK;
    timeout.count = 0;
    timeout.time_ns = update.time_ns;
    timeout.flags = (timeout.flags & ~IORING_TIMEOUT_ABS) | (update.flags & IORING_TIMEOUT_ABS);
    const bool linked = target.opcode == IORING_OP_LINK_TIMEOUT;
    return set_timer(target, update.time_ns, clock | (update.flags & IORING_TIMEOUT_ABS),
                     linked ? link_expired : expired);
}

}  // namespace

int timeout_prep(Request& request, const io_uring_sqe& sqe) {
    constexpr uint32_t known =
        IORING_TIMEOUT_ABS | IORING_TIMEOUT_CLOCK_MASK | IORING_TIMEOUT_ETIME_SUCCESS | IORING_TIMEOUT_MULTISHOT;
    const uint32_t flags = sqe.timeout_flags;
    if (sqe.len != 1 || (flags & ~known) || more_than_one_clock(flags)) return -EINVAL;
    if ((flags & IORING_TIMEOUT_MULTISHOT) && (flags & IORING_TIMEOUT_ABS)) return -EINVAL;
    auto& timeout = request.as<Timeout>();
    timeout.flags = flags;
    timeout.count = static_cast<uint32_t>(sqe.off);
    // Counts are compared by their signed difference, so a timeout can wait for 2^31 - 1 completions at most.
    if (timeout.count > INT32_MAX) timeout.count = INT32_MAX;
    return read_time(sqe.addr, timeout.time_ns);
}

int link_timeout_prep(Request& request, const io_uring_sqe& sqe) {
    if (static_cast<uint32_t>(sqe.off) != 0) return -EINVAL;
    const int result = timeout_prep(request, sqe);
    if (result < 0) return result;
    const ChainHead& chain = request.ring->chain;
    if (chain.head == nullptr || chain.last->opcode == IORING_OP_LINK_TIMEOUT) return -EINVAL;
    chain.last->set(request_arms_timeout);
    return 0;
}

Outcome link_timeout_issue(Request& request) {
    const auto& timeout = request.as<Timeout>();
    return armed(request, set_timer(request, timeout.time_ns, timeout.flags, link_expired));
}

bool is_due_at_once(Request& link_timeout) {
    // A first attempt takes at least this long.
    constexpr int64_t shortest_attempt_ns = 1000;
    const auto& timeout = link_timeout.as<Timeout>();
    return deadline(timeout.time_ns, timeout.flags) <= now_ns(clock_of(timeout.flags)) + shortest_attempt_ns;
}

Outcome timeout_issue(Request& request) {
    const auto& timeout = request.as<Timeout>();
    Ring& ring = *request.ring;
    if (timeout.count != 0 && !(timeout.flags & IORING_TIMEOUT_MULTISHOT)) {
        request.wait_events = ring.completion.published - ring.completion.timeouts_fired + timeout.count;
        insert_counted(ring, request);
    }
    return armed(request, set_timer(request, timeout.time_ns, timeout.flags, expired));
}

int timeout_remove_prep(Request& request, const io_uring_sqe& sqe) {
    if (request.has(IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT)) return -EINVAL;
    auto& remove = request.as<TimeoutRemove>();
    remove.target = sqe.addr;
    remove.flags = sqe.timeout_flags;
    if (!(remove.flags & IORING_TIMEOUT_UPDATE_MASK)) return remove.flags != 0 ? -EINVAL : 0;
    if (remove.flags & ~(IORING_TIMEOUT_UPDATE_MASK | IORING_TIMEOUT_ABS)) return -EINVAL;
    return read_time(sqe.addr2, remove.time_ns);
}

Outcome timeout_remove_issue(Request& request) {
    const auto& remove = request.as<TimeoutRemove>();
    const bool update = remove.flags & IORING_TIMEOUT_UPDATE;
    const bool of_link = update && (remove.flags & IORING_LINK_TIMEOUT_UPDATE);
    const uint8_t opcode = of_link ? IORING_OP_LINK_TIMEOUT : IORING_OP_TIMEOUT;
    Request* target = find_timer(*request.ring, opcode, remove.target);
    if (target == nullptr) return request.done(-ENOENT);
    return request.done(update ? update_timeout(*target, remove) : cancel_request(*target));
}

}  // namespace ringside::engine
