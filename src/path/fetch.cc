// Stage 1: takes a private copy of each SQE from the SQ. The SQ's indices work like those of the CQ with the sides
// swapped (tests/model/completion_queue.cc).
#include <errno.h>
#include <string.h>

#include "path/path.h"
#include "resource/fixed_files.h"
#include "service/carrier.h"
#include "service/disk.h"
#include "service/keeper.h"

namespace ringside::engine {
namespace {

// The SQE at a place in the queue, in the program's memory. Null if the SQ array holds an index that is out of range.
const unsigned char* sqe_at(const Ring& ring, uint32_t place) {
    uint32_t index = place & (ring.sq_entries - 1);
    if (ring.memory.array != nullptr) {
        index = ring.memory.array[index].load(std::memory_order_relaxed);
        if (__builtin_expect(index >= ring.sq_entries, 0)) return nullptr;
    }
    return ring.memory.sqes + (static_cast<size_t>(index) << ring.sqe_shift);
}

// The next SQE. Null if the entry has to be dropped, which is counted in sq_dropped, as in the kernel.
const unsigned char* next_sqe(Ring& ring) {
    const unsigned char* sqe = sqe_at(ring, ring.sq_head++);
    if (__builtin_expect(sqe == nullptr, 0)) {
        auto& dropped = ring.memory.header->sq_dropped;
        dropped.store(dropped.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    return sqe;
}

// The only read of the program's SQE. The program may change it at any time.
io_uring_sqe copy_sqe(const unsigned char* shared) {
    io_uring_sqe copy;
    memcpy(&copy, shared, sizeof(copy));
    // Keeps the compiler from reading the original again later.
    asm volatile("" ::: "memory");
    return copy;
}

// Attempts what was collected. At any time that is neighbours, carried attempts or polls, never two of them, so that
// the order of the batch is kept.
__attribute__((noinline)) void issue_collected(Ring& ring) {
    ring.has_collected = false;
    if (ring.joined.count != 0) issue_joined(ring);
    if (ring.carried.count != 0) issue_carried(ring);
    if (ring.carried.poll_count != 0) issue_polls(ring);
}

// Whether the process carries, or is to find out now whether that pays. A poll that waits in the kernel saves several
// calls.
bool carries(Ring& ring, const Operation& operation) {
    constexpr uint32_t saved_by_poll = 8;
    const Carrying decided = carrying.load(std::memory_order_relaxed);
    if (decided != Carrying::undecided) return decided == Carrying::pays;
    uint32_t& candidates = ring.carried.candidates;
    const bool is_first = candidates == 0;
    candidates += operation.flags & (op_poll_in | op_poll_out) ? 1 : saved_by_poll;
    return (is_first || candidates >= candidates_to_decide) && decide_carrying(is_first);
}

// Has an admitted request wait for others, to be attempted with them. Returns whether it does.
bool collect(Request& request, const io_uring_sqe& sqe, const Operation& operation) {
    Ring& ring = *request.ring;
    if (operation.together != nullptr && join(request, sqe)) return true;
    const bool unknown = (operation.flags & op_carried_by_slot) && !request.has(IOSQE_FIXED_FILE);
    if (unknown || !carries(ring, operation)) return false;
    if (__builtin_expect(ring.joined.count != 0, 0)) issue_joined(ring);
    return carry(request);
}

// Submits one entry. Returns false if the batch ends with it.
bool submit_one(Ring& ring, Request& request, const unsigned char* shared) {
    const io_uring_sqe sqe = copy_sqe(shared);
    if (__builtin_expect(ring.joined.count != 0, 0) && !continues_joined(ring, sqe)) issue_joined(ring);
    const int admitted = admit(request, sqe);
    const Operation& operation = operation_of(request);
    if (operation.carry != nullptr && admitted == 0 && collect(request, sqe, operation)) return true;
    if (__builtin_expect(ring.has_collected, 0)) issue_collected(ring);
    const bool stops_batch = admitted < 0 && !request.has(IOSQE_IO_LINK | IOSQE_IO_HARDLINK) &&
                             !(ring.setup_flags & IORING_SETUP_SUBMIT_ALL);
    route(request, admitted);
    if (__builtin_expect(ring.batch_failed, 0)) {
        ring.batch_failed = false;
        return ring.setup_flags & IORING_SETUP_SUBMIT_ALL;
    }
    return !stops_batch;
}

}  // namespace

unsigned queued_entries(const Ring& ring) {
    // Pairs with the program's release store of the tail: its SQEs are there when the tail says so.
    const unsigned queued = ring.memory.header->sq_tail.load(std::memory_order_acquire) - ring.sq_head;
    return queued < ring.sq_entries ? queued : ring.sq_entries;
}

const io_uring_sqe* peek_sqe(const Ring& ring) {
    // Entries behind the end of this batch are as good to guess from.
    const unsigned char* sqe = queued_entries(ring) != 0 ? sqe_at(ring, ring.sq_head) : nullptr;
    return reinterpret_cast<const io_uring_sqe*>(sqe);
}

int submit(Ring& ring, unsigned to_submit) {
    const unsigned queued = queued_entries(ring);
    const unsigned entries = to_submit < queued ? to_submit : queued;
    if (entries == 0) return 0;

    ring.submitting_inline = true;
    ++ring.batch;
    unsigned consumed = 0;
    bool out_of_memory = false;
    while (consumed < entries) {
        Request* request = ring.requests.take(ring);
        if (request == nullptr) {
            out_of_memory = true;
            break;
        }
        const unsigned char* shared = next_sqe(ring);
        if (shared == nullptr) {
            ring.requests.give_back(*request);
            break;
        }
        ++consumed;
        if (!submit_one(ring, *request, shared)) break;
    }
    if (__builtin_expect(ring.has_collected, 0)) issue_collected(ring);
    if (__builtin_expect(ring.carried.carrier != nullptr, 0)) end_carrying(ring);
    close_chain(ring);
    if (__builtin_expect(!ring.put_off.empty(), 0)) punt_after_batch(ring);
    if (__builtin_expect(ring.disk.queued != 0, 0)) submit_transfers(ring);
    if (__builtin_expect(!ring.kept.to_send.empty(), 0)) hand_over_batch(ring);
    if (__builtin_expect(ring.held_by_batch.fd >= 0, 0)) end_holding_with_batch(ring);
    publish(ring);
    // Pairs with the program's acquire load of the head: it may reuse the entries that we have read.
    ring.memory.header->sq_head.store(ring.sq_head, std::memory_order_release);
    ring.submitting_inline = false;
    if (consumed == 0 && out_of_memory) return -EAGAIN;
    return static_cast<int>(consumed);
}

}  // namespace ringside::engine
