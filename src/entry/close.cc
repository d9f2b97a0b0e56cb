// The end of a ring, and the functions by which liburing, the preload library and the C++ API follow its descriptors.
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "abi/syscall.h"
#include "entry/engine.h"
#include "entry/entry.h"
#include "memory/user_memory.h"
#include "os/epoll.h"
#include "os/fds.h"
#include "os/own_process.h"
#include "os/threads.h"
#include "path/path.h"
#include "process/callbacks.h"
#include "process/inside.h"
#include "process/registry.h"
#include "process/thread_end.h"
#include "register/register.h"
#include "resource/fixed_files.h"
#include "resource/provided_buffers.h"
#include "resource/registered_buffers.h"
#include "service/cancel.h"
#include "service/disk.h"
#include "service/helper.h"
#include "service/messages.h"
#include "service/poll_call.h"
#include "service/poller.h"
#include "service/readiness.h"
#include "service/registrations.h"
#include "service/ring_file.h"
#include "service/sqpoll.h"
#include "service/waiters.h"

namespace ringside::engine {
namespace {

bool anybody_inside(Ring& ring) {
    // Pairs with the release at the end of let_go_and_wake().
    const bool waking = ring.waiters.wakers.load(std::memory_order_acquire) != 0;
    return waking || ring.worker_jobs != 0 || ring.disk.in_flight != ring.disk.withdrawn || !ring.waiters.all.empty();
}

constexpr unsigned for_ever = ~0u;

// Waits until all workers have left their system calls, and all threads their wait in io_uring_enter. They have been
// told to. Looks at most `looks` times, ten thousand times a second. Returns whether all have left.
bool wait_until_left(Ring& ring, unsigned looks) {
    // After this time, a thread that still counts as waiting has jumped out of its wait: its wait is ended for it.
    constexpr int64_t patience_ns = 1'000'000'000;
    const int64_t begin_ns = now_ns(CLOCK_MONOTONIC);
    ring.lock.acquire();
    bool left = !anybody_inside(ring);
    for (; !left && looks > 0; left = !anybody_inside(ring)) {
        if (looks != for_ever) --looks;
        if (now_ns(CLOCK_MONOTONIC) - begin_ns > patience_ns) end_all_waits(ring);
        cancel_all(ring);
        wake_satisfied(ring);
        if (ring.disk.in_flight != 0) reap_transfers(ring);
        ring.lock.release();
        wait_on_eventfd(-1, 100'000, nullptr);
        ring.lock.acquire();
    }
    ring.lock.release();
    return left;
}

void reset(Ring& ring) {
    ring.chain = {};
    ring.carried = {};
    ring.has_collected = false;
    ring.rung = {};
    ring.write_order = {};
    ring.drain = {};
    ring.sq_head = 0;
    ring.completion = {};
    ring.notification = {};
    ring.emptied = {};
    ring.submitter = 0;
    ring.announced = ring.ready_announced = false;
    ring.restrictions = {};
    ring.wait_clock = CLOCK_MONOTONIC;
    ring.disabled = false;
    ring.closing = ring.inherited = false;
}

// Releases all that the ring holds. Called when all threads have left it.
void dismantle(Ring& ring) {
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

void* close_later(void* ring) {
    wait_until_left(*static_cast<Ring*>(ring), for_ever);
    dismantle(*static_cast<Ring*>(ring));
    return nullptr;
}

// Some system calls of workers cannot be interrupted and take long, for example on a file of a network server that is
// down. The kernel's close(2) does not wait for them. So a thread of its own waits for them and takes the ring apart.
bool leave_to_closer(Ring& ring) {
    pthread_t closer;
    if (start_thread(closer, "ringside-closer", close_later, &ring) < 0) return false;
    pthread_detach(closer);
    return true;
}

}  // namespace

void destroy_ring(Ring& ring) {
    // In a child of fork(): the ring's threads and requests are the parent's. The child has only the mapping.
    if (ring.inherited) return destroy_memory(ring.memory);
    ring.lock.acquire();
    ring.closing = true;
    end_waits_of(ring, this_thread_number());
    cancel_all(ring);
    wake_satisfied(ring);
    withdraw_from_helper(ring);
    // A thread that polls the ring's descriptor sleeps on, as in the kernel.
    end_poll_call(ring);
    ring.lock.release();
    end_sqpoll(ring);
    constexpr unsigned most_looks = 5'000;
    if (!wait_until_left(ring, most_looks)) {
        if (leave_to_closer(ring)) return;
        wait_until_left(ring, for_ever);
    }
    dismantle(ring);
}

void let_go_of_ring(Ring& ring) {
    if (ring.descriptors.fetch_sub(1) == 1) destroy_ring(ring);
}

Ring* find(int fd) { return ring_of(fd); }

int close(int fd) {
    come_in();
    const Ring* named = ring_of(fd);
    // A child that shares its parent's memory (vfork) closes only a descriptor of its own.
    if (named != nullptr && !is_own_process()) return static_cast<int>(abi::syscall(__NR_close, fd));
    if (named != nullptr && find_interrupted(*named) != nullptr) return -EDEADLK;
    Ring* ring = remove_descriptor(fd);
    if (ring == nullptr) return static_cast<int>(abi::syscall(__NR_close, fd));
    Inside inside(*ring);
    let_go_of_ring(*ring);
    return static_cast<int>(abi::syscall(__NR_close, fd));
}

void note_dup(int fd, int copy) {
    come_in();
    Ring* ring = ring_of(fd);
    if (ring == nullptr) return;
    // The kernel gave out this number, so a ring that it named before is closed.
    if (Ring* before = remove_descriptor(copy)) let_go_of_ring(*before);
    // This takes no lock, because an interrupted call of this thread may hold it. If the count is zero, the ring is
    // being closed.
    int names = ring->descriptors.load();
    while (names != 0 && !ring->descriptors.compare_exchange_weak(names, names + 1)) {
    }
    if (names == 0) return;
    const bool same = ring_of(fd) == ring;
    if (!same || enter_descriptor(copy, *ring) < 0) let_go_of_ring(*ring);
}

void* map(Ring& ring, uint64_t offset, size_t length) {
    come_in();
    if (find_interrupted(ring) != nullptr) return nullptr;
    Inside inside(ring);
    Guard guard(ring.lock);
    const RingMemory& memory = ring.memory;
    if (offset == region_offset) return ring.region.ours ? user_pointer(ring.region.address) : nullptr;
    if (offset == IORING_OFF_SQ_RING || offset == IORING_OFF_CQ_RING) return memory.header;
    if ((offset & IORING_OFF_MMAP_MASK) == IORING_OFF_PBUF_RING) {
        const auto group = static_cast<unsigned>((offset & ~IORING_OFF_MMAP_MASK) >> IORING_OFF_PBUF_SHIFT);
        return group < most_groups ? mapping_of(ring, group, length) : nullptr;
    }
    // The kernel maps the SQEs in full or not at all.
    constexpr size_t page = 4096;
    const bool in_full = (length + page - 1) / page * page >= memory.sqes_size;
    return offset == IORING_OFF_SQES && in_full ? memory.sqes : nullptr;
}

int readiness_fd(Ring& ring) {
    come_in();
    if (find_interrupted(ring) != nullptr) {
        // A signal handler cannot take the lock: a descriptor that exists already has to do.
        const Readiness& readiness = ring.readiness;
        if (readiness.own >= 0) return readiness.own;
        return readiness.eventfd >= 0 ? readiness.eventfd : -EDEADLK;
    }
    Inside inside(ring);
    Guard guard(ring.lock);
    return polled_descriptor(ring);
}

}  // namespace ringside::engine
