// Stage 7: completions. Nothing else writes CQEs or the CQ's tail.
//
//     engine (ring lock held)                     program
//     write CQE                                   tail = load_acquire(cq_tail)      (B)
//     store_release(cq_tail, tail)      (A)       read CQEs up to tail
//     head = load_acquire(cq_head)      (D)       store_release(cq_head, head)      (C)
//     write over CQEs before head
//
// A pairs with B: the program sees whole CQEs. C pairs with D: a slot is written again only when the program has read
// it. tests/model/completion_queue.cc checks all interleavings, also with overflow.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "os/epoll.h"
#include "path/path.h"
#include "service/readiness.h"
#include "service/sqpoll.h"
#include "service/waiters.h"

namespace ringside::engine {
namespace {

// The CQEs that are written and not published yet.
void copy_to_mirror(Ring& ring) {
    const RingMemory& memory = ring.memory;
    auto* copy = reinterpret_cast<unsigned char*>(memory.mirror) + cqes_offset;
    for (unsigned at = ring.completion.published; at != ring.completion.tail; ++at) {
        const size_t offset = static_cast<size_t>(at & (ring.cq_entries - 1)) << ring.cqe_shift;
        memcpy(copy + offset, memory.cqes + offset, size_t{1} << ring.cqe_shift);
    }
}

// The program's head, from the header that it uses. A program that maps the CQ ring apart from the SQ ring sees a copy
// (memory/ring_memory.cc), which publish() keeps up until the program advances one of the two heads and so shows which
// one it uses.
unsigned program_head(Ring& ring) {
    RingMemory& memory = ring.memory;
    if (__builtin_expect(memory.mirror != nullptr, 0)) {
        if (memory.mirror->cq_head.load(std::memory_order_acquire) != 0) {
            copy_to_mirror(ring);
            memory.cq = memory.mirror;
            memory.cqes = reinterpret_cast<unsigned char*>(memory.mirror) + cqes_offset;
            memory.mirror = nullptr;
        } else if (memory.cq->cq_head.load(std::memory_order_acquire) != 0) {
            memory.mirror = nullptr;
        }
    }
    return memory.cq->cq_head.load(std::memory_order_acquire);
}

// How many slots are free, by the program's head as it is now. It is never trusted beyond this: a head that makes no
// sense means a full ring.
unsigned free_slots(Ring& ring) {
    const unsigned used = ring.completion.tail - program_head(ring);
    return used > ring.cq_entries ? 0 : ring.cq_entries - used;
}

// Remembers how far ordinary CQEs may be written without another look at the head. Not at all while some have
// overflowed, since order is kept, nor on a ring of double-sized ones.
void remember_room(Ring& ring, unsigned slots) {
    Completion& completion = ring.completion;
    const bool plain = ring.cqe_shift == 4 && completion.overflow_first == nullptr;
    completion.plain_until = completion.tail + (plain ? slots : 0);
}

io_uring_cqe* slot(Ring& ring, unsigned index) {
    const size_t masked = index & (ring.cq_entries - 1);
    return reinterpret_cast<io_uring_cqe*>(ring.memory.cqes + (masked << ring.cqe_shift));
}

void write_cqe(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags) {
    io_uring_cqe* cqe = slot(ring, ring.completion.tail++);
    cqe->user_data = user_data;
    cqe->res = res;
    cqe->flags = flags;
}

// A 32-byte CQE: one slot where all are that large, two neighbouring ones on a ring that mixes sizes (with a filler
// when the first would be the last of the ring). On a ring of small CQEs the second half has nowhere to go.
bool write_big_cqe(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags, const uint64_t* extra) {
    if (ring.setup_flags & IORING_SETUP_CQE_MIXED) {
        const unsigned index = ring.completion.tail & (ring.cq_entries - 1);
        const bool wraps = index == ring.cq_entries - 1;
        if (free_slots(ring) < (wraps ? 3 : 2)) return false;
        if (wraps) write_cqe(ring, 0, 0, IORING_CQE_F_SKIP);
        flags |= IORING_CQE_F_32;
    }
    io_uring_cqe* cqe = slot(ring, ring.completion.tail);
    write_cqe(ring, user_data, res, flags);
    if (ring.setup_flags & (IORING_SETUP_CQE32 | IORING_SETUP_CQE_MIXED)) memcpy(cqe + 1, extra, 2 * sizeof(*extra));
    if (ring.setup_flags & IORING_SETUP_CQE_MIXED) ++ring.completion.tail;
    return true;
}

constexpr uint64_t no_extra[2] = {0, 0};

bool write(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags, const uint64_t* extra) {
    const unsigned slots = free_slots(ring);
    if (slots == 0) return false;
    bool written = true;
    if (extra != nullptr || ring.cqe_shift == 5) {
        // A 32-byte CQE without content of its own has zeroes there, not what stood in the slot before.
        written = write_big_cqe(ring, user_data, res, flags, extra != nullptr ? extra : no_extra);
    } else {
        write_cqe(ring, user_data, res, flags);
    }
    remember_room(ring, written ? slots - 1 : 0);
    return written;
}

void keep_overflow(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags, const uint64_t* extra) {
    auto* entry = static_cast<OverflowEntry*>(malloc(sizeof(OverflowEntry)));
    Completion& completion = ring.completion;
    if (entry == nullptr) {
        // Out of memory is the one way to lose a CQE; it is counted where the program can see it.
        auto& lost = ring.memory.cq->cq_overflow;
        lost.store(lost.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return;
    }
    *entry = {nullptr, user_data, res, flags, {}, extra != nullptr};
    if (extra != nullptr) memcpy(entry->extra, extra, sizeof(entry->extra));
    if (completion.overflow_last == nullptr) {
        completion.overflow_first = entry;
        set_sq_flag(ring, IORING_SQ_CQ_OVERFLOW);
    } else {
        completion.overflow_last->next = entry;
    }
    completion.overflow_last = entry;
    completion.plain_until = completion.tail;
}

OverflowEntry* pop_overflow(Completion& completion) {
    OverflowEntry* entry = completion.overflow_first;
    completion.overflow_first = entry->next;
    if (entry->next == nullptr) completion.overflow_last = nullptr;
    return entry;
}

void notify_eventfd(Ring& ring) {
    Notification& notification = ring.notification;
    const bool by_worker = notification.by_worker;
    notification.by_worker = false;
    if (notification.eventfd_async && !by_worker) return;
    if (ring.memory.cq->cq_flags.load(std::memory_order_relaxed) & IORING_CQ_EVENTFD_DISABLED) return;
    ++notification.raised;
    raise_eventfd(notification.eventfd);
}

void tell_program(Ring& ring) {
    if (ring.notification.eventfd >= 0) notify_eventfd(ring);
    if (ring.readiness.eventfd >= 0) raise_readiness(ring);
}

// Makes the CQEs written so far visible, and wakes those who wait for them.
inline void show_written(Ring& ring) {
    Completion& completion = ring.completion;
    const unsigned tail = completion.tail;
    if (tail == completion.published) return;
    if (__builtin_expect(ring.memory.mirror != nullptr, 0)) {
        copy_to_mirror(ring);
        ring.memory.mirror->cq_tail.store(tail, std::memory_order_release);
    }
    ring.memory.cq->cq_tail.store(tail, std::memory_order_release);
    completion.published = tail;
    tell_program(ring);
    if (!ring.waiters.all.empty()) wake_satisfied(ring);
    if (__builtin_expect(ring.sqpoll.asleep, 0)) wake_sqpoll_after_completion(ring);
}

// For rings with timeouts that count completions. A timeout whose time is up ends by its time, whatever has completed
// with it.
__attribute__((noinline)) void show_counted(Ring& ring) {
    ring.timers.expire();
    show_written(ring);
    ring.timers.expire_counted(ring.completion.published - ring.completion.timeouts_fired);
}

}  // namespace

bool post_at_once(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags) {
    if (__builtin_expect(ring.completion.tail == ring.completion.plain_until, 0)) return false;
    write_cqe(ring, user_data, res, flags);
    return true;
}

bool post(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags, const uint64_t* extra) {
    if (extra == nullptr && post_at_once(ring, user_data, res, flags)) return true;
    if (post_unless_full(ring, user_data, res, flags, extra)) return true;
    keep_overflow(ring, user_data, res, flags, extra);
    return false;
}

bool post_unless_full(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags, const uint64_t* extra) {
    // Once one CQE has overflowed, all do until it is flushed: order is kept.
    return ring.completion.overflow_first == nullptr && write(ring, user_data, res, flags, extra);
}

void publish(Ring& ring) {
    if (__builtin_expect(ring.timers.counted.empty(), 1)) {
        show_written(ring);
    } else {
        show_counted(ring);
    }
    if (__builtin_expect(ring.drain.active, 0)) release_drained(ring);
}

void flush_overflow(Ring& ring) {
    Completion& completion = ring.completion;
    while (completion.overflow_first != nullptr) {
        const OverflowEntry& entry = *completion.overflow_first;
        if (!write(ring, entry.user_data, entry.res, entry.flags, entry.big ? entry.extra : nullptr)) break;
        free(pop_overflow(completion));
    }
    if (completion.overflow_first == nullptr) clear_sq_flag(ring, IORING_SQ_CQ_OVERFLOW);
    publish(ring);
}

void announce_work(Ring& ring, bool by_worker) {
    if (ring.announced || ring.closing) return;
    ring.announced = true;
    ring.notification.by_worker = by_worker;
    if (ring.setup_flags & IORING_SETUP_TASKRUN_FLAG) set_sq_flag(ring, IORING_SQ_TASKRUN);
    tell_program(ring);
}

void withdraw_announcement(Ring& ring) {
    if (!ring.announced) return;
    ring.announced = false;
    clear_sq_flag(ring, IORING_SQ_TASKRUN);
}

unsigned completions_ready(Ring& ring) { return ring.completion.published - program_head(ring); }

void drop_overflow(Ring& ring) {
    while (ring.completion.overflow_first != nullptr) free(pop_overflow(ring.completion));
}

void set_sq_flag(Ring& ring, uint32_t flag) { ring.memory.header->sq_flags.fetch_or(flag, std::memory_order_seq_cst); }

void clear_sq_flag(Ring& ring, uint32_t flag) {
    ring.memory.header->sq_flags.fetch_and(~flag, std::memory_order_seq_cst);
}

}  // namespace ringside::engine
