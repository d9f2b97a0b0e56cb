// Stage 1: from the SQ to a private copy of each SQE.
#include <errno.h>
#include <string.h>

#include "path/path.h"

namespace ringside::engine {
namespace {

// The next SQE in the program's memory. Null when the SQ array holds an index that is none: such an entry is dropped
// and counted, as the kernel does.
const unsigned char* next_sqe(Ring& ring) {
    const uint32_t mask = ring.sq_entries - 1;
    uint32_t index = ring.sq_head++ & mask;
    if (ring.memory.array != nullptr) {
        index = ring.memory.array[index].load(std::memory_order_relaxed);
        if (__builtin_expect(index >= ring.sq_entries, 0)) {
            auto& dropped = ring.memory.header->sq_dropped;
            dropped.store(dropped.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
            return nullptr;
        }
    }
    return ring.memory.sqes + (static_cast<size_t>(index) << ring.sqe_shift);
}

// The one and only read of the program's SQE: it may change it at any time.
io_uring_sqe copy_sqe(const unsigned char* shared) {
    io_uring_sqe copy;
    memcpy(&copy, shared, sizeof(copy));
    // Keeps the compiler from reading the original again later.
    asm volatile("" ::: "memory");
    return copy;
}

// One entry. Returns false when the batch ends with it.
bool submit_one(Ring& ring, Request& request, const unsigned char* shared) {
    const io_uring_sqe sqe = copy_sqe(shared);
    const int admitted = admit(request, sqe);
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

int submit(Ring& ring, unsigned to_submit) {
    const unsigned queued = queued_entries(ring);
    const unsigned entries = to_submit < queued ? to_submit : queued;
    if (entries == 0) return 0;

    ring.submitting_inline = true;
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
    close_chain(ring);
    publish(ring);
    // Pairs with the program's acquire load of the head: it may reuse the entries that we have read.
    ring.memory.header->sq_head.store(ring.sq_head, std::memory_order_release);
    ring.submitting_inline = false;
    if (consumed == 0 && out_of_memory) return -EAGAIN;
    return static_cast<int>(consumed);
}

}  // namespace ringside::engine
