// The end of a ring, and what the faces need to know of its descriptors.
#include <errno.h>
#include <time.h>

#include "abi/syscall.h"
#include "entry/engine.h"
#include "entry/entry.h"
#include "path/path.h"
#include "register/register.h"
#include "service/cancel.h"
#include "service/epoll.h"
#include "service/helper.h"
#include "service/poll_call.h"
#include "service/readiness.h"
#include "service/ring_file.h"
#include "service/sqpoll.h"
#include "state/fds.h"
#include "state/inside.h"
#include "state/registry.h"
#include "state/user_memory.h"

namespace ringside::engine {
namespace {

bool anybody_inside(Ring& ring) {
    // Pairs with the release by which a waker has done (let_go_and_wake).
    const bool waking = ring.waiters.wakers.load(std::memory_order_acquire) != 0;
    return waking || ring.worker_jobs != 0 || ring.disk.in_flight != 0 || !ring.waiters.all.empty();
}

// Waits for workers that are inside a system call and for threads that wait in io_uring_enter; both have been told.
void wait_until_left(Ring& ring) {
    ring.lock.acquire();
    while (anybody_inside(ring)) {
        cancel_all(ring);
        wake_satisfied(ring);
        if (ring.disk.in_flight != 0) reap_transfers(ring);
        ring.lock.release();
        wait_on_eventfd(-1, 100'000, nullptr);
        ring.lock.acquire();
    }
    ring.lock.release();
}

void reset(Ring& ring) {
    ring.chain = {};
    ring.rung = {};
    ring.drain = {};
    ring.sq_head = 0;
    ring.completion = {};
    ring.notification = {};
    ring.emptied = {};
    ring.submitter = 0;
    ring.announced = false;
    ring.restrictions = {};
    ring.wait_clock = CLOCK_MONOTONIC;
    ring.disabled = false;
    ring.closing = ring.inherited = false;
}

}  // namespace

void destroy_ring(Ring& ring) {
    // A parent's ring: its threads and its requests are not here, and its private descriptors are closed already.
    if (ring.inherited) return;
    ring.lock.acquire();
    ring.closing = true;
    cancel_all(ring);
    wake_satisfied(ring);
    withdraw_from_helper(ring);
    // Whoever polls it sleeps on, as in the kernel.
    end_poll_call(ring);
    ring.lock.release();
    end_sqpoll(ring);
    wait_until_left(ring);

    ring.lock.acquire();
    ring.open = false;
    forget_ring_file(ring);
    cancel_all(ring);
    ++ring.generation;
    drop_messages(ring);
    drop_table(ring);
    drop_buffers(ring);
    drop_groups(ring);
    drop_personalities(ring.personalities);
    if (ring.submitters != nullptr) let_go(*ring.submitters);
    ring.submitters = nullptr;
    drop_region(ring, ring.region);
    drop_napi(ring.napi);
    drop_overflow(ring);
    close_disk(ring);
    forget_facts(ring.known_files);
    close_poll_call(ring);
    close_waiters(ring.waiters);
    close_registrations(ring.registrations);
    close_poller(ring);
    ring.timers.destroy();
    ring.requests.destroy();
    drop_readiness(ring.readiness);
    drop_fd(ring.notification.eventfd);
    destroy_memory(ring.memory);
    reset(ring);
    ring.lock.release();
    give_back_ring(ring);
}

void let_go_of_ring(Ring& ring) {
    bool last;
    {
        Guard guard(ring.lock);
        last = --ring.descriptors == 0;
    }
    if (last) destroy_ring(ring);
}

Ring* find(int fd) { return ring_of(fd); }

int close(int fd) {
    const Ring* named = ring_of(fd);
    if (named != nullptr && find_interrupted(*named) != nullptr) return -EDEADLK;
    Ring* ring = remove_descriptor(fd);
    if (ring == nullptr) return static_cast<int>(abi::syscall(__NR_close, fd));
    Inside inside(*ring);
    let_go_of_ring(*ring);
    return static_cast<int>(abi::syscall(__NR_close, fd));
}

void note_dup(int fd, int copy) {
    Ring* ring = ring_of(fd);
    if (ring == nullptr) return;
    // The kernel has handed the number out, so what it named before is closed.
    if (Ring* before = remove_descriptor(copy)) let_go_of_ring(*before);
    if (enter_descriptor(copy, *ring) < 0) return;
    Inside inside(*ring);
    Guard guard(ring->lock);
    ++ring->descriptors;
}

void* map(Ring& ring, uint64_t offset, size_t length) {
    Inside inside(ring);
    Guard guard(ring.lock);
    const RingMemory& memory = ring.memory;
    if (offset == region_offset) return ring.region.ours ? user_pointer(ring.region.address) : nullptr;
    if (offset == IORING_OFF_SQ_RING || offset == IORING_OFF_CQ_RING) return memory.header;
    if ((offset & IORING_OFF_MMAP_MASK) == IORING_OFF_PBUF_RING) {
        const auto group = static_cast<unsigned>((offset & ~IORING_OFF_MMAP_MASK) >> IORING_OFF_PBUF_SHIFT);
        return group < most_groups ? mapping_of(ring, group, length) : nullptr;
    }
    // The kernel maps the entries in full or not at all.
    constexpr size_t page = 4096;
    const bool in_full = (length + page - 1) / page * page >= memory.sqes_size;
    return offset == IORING_OFF_SQES && in_full ? memory.sqes : nullptr;
}

int readiness_fd(Ring& ring) {
    Inside inside(ring);
    Guard guard(ring.lock);
    return polled_descriptor(ring);
}

}  // namespace ringside::engine
