#include "process/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <new>

#include "abi/return_stack.h"
#include "abi/syscall.h"
#include "memory/locked_memory.h"
#include "os/fds.h"
#include "os/own_process.h"
#include "os/thread_id.h"
#include "process/callbacks.h"
#include "process/inside.h"
#include "process/registered_rings.h"
#include "process/thread_end.h"

namespace ringside::engine {
namespace {

// Descriptor numbers map to rings through a table of pages, so that a look-up takes no lock: pages are added and never
// moved or freed.
constexpr unsigned numbers_per_page = 1024;
constexpr unsigned most_pages = 1024;
using Page = std::atomic<Ring*>[numbers_per_page];

struct PooledRing {
    Ring ring;
    PooledRing* next_free;
    PooledRing* next;    // of all that were ever made
    bool held_for_fork;  // by the thread that is about to fork
};

struct Registry {
    Lock lock;
    std::atomic<Page*> pages[most_pages];
    PooledRing* free_rings RINGSIDE_GUARDED_BY(lock) = nullptr;
    std::atomic<PooledRing*> all_rings{nullptr};  // written under the lock; only ever added to
    unsigned open RINGSIDE_GUARDED_BY(lock) = 0;
    bool fork_watched RINGSIDE_GUARDED_BY(lock) = false;
};

Registry registry;
bool services_held_for_fork = false;

std::atomic<Ring*>* entry_of(int fd) {
    const auto number = static_cast<unsigned>(fd);
    if (fd < 0 || number >= numbers_per_page * most_pages) return nullptr;
    Page* page = registry.pages[number / numbers_per_page].load(std::memory_order_acquire);
    return page == nullptr ? nullptr : &(*page)[number % numbers_per_page];
}

// The descriptors by which requests hold their files.
void close_inherited_pins(Ring& ring) {
    ring.requests.table.find_any([](Request& request) {
        if (request.has(request_pinned)) close_fd(request.fd);
        if (request.has(request_pinned_too)) close_fd(request.second_fd);
        // It may have left its slot, or never had one.
        if (request.has(request_holds_slot)) drop_fd(request.fixed_file->fd);
        request.clear(request_pinned | request_pinned_too);
        return false;
    });
}

void close_inherited_files(FixedFiles& files) {
    for (uint32_t index = 0; index < files.count; ++index) {
        if (files.slots[index] != nullptr) drop_fd(files.slots[index]->fd);
    }
}

// The descriptors that the engine has for the ring alone.
void close_own_descriptors(Ring& ring) {
    close_inherited_pins(ring);
    drop_fd(ring.poller.epoll_fd);
    drop_fd(ring.poller.wake_fd);
    drop_fd(ring.waiters.spare_wake_fd);
    drop_fd(ring.poll_call.nudge_fd);
    drop_fd(ring.disk.eventfd);
    drop_fd(ring.notification.eventfd);
    drop_readiness(ring.readiness);
    close_inherited_files(ring.files);
}

// A fork takes the rings between two steps: the child then finds them whole, and can let go of what is not its own. The
// registry comes first and the rings after it; nobody asks for the registry while holding a ring. A handler may fork in
// the middle of a call on a ring, which goes on in both processes: that ring is left as it is.
void hold_rings() RINGSIDE_UNCHECKED {
    come_in();
    registry.lock.acquire();
    for (PooledRing* at = registry.all_rings; at != nullptr; at = at->next) {
        at->held_for_fork = find_interrupted(at->ring) == nullptr;
        if (at->held_for_fork) at->ring.lock.acquire();
    }
    // A call of this thread's that a signal has interrupted may have it.
    services_held_for_fork = innermost == nullptr;
    if (!services_held_for_fork) return;
    hold_services();
}

void release_rings() RINGSIDE_UNCHECKED {
    if (services_held_for_fork) release_services();
    for (PooledRing* at = registry.all_rings; at != nullptr; at = at->next) {
        if (at->held_for_fork) at->ring.lock.release();
    }
    registry.lock.release();
}

void watch_fork() RINGSIDE_REQUIRES(registry.lock) {
    if (registry.fork_watched) return;
    registry.fork_watched = true;
    pthread_atfork(hold_rings, release_rings, settle_after_fork);
}

}  // namespace

Ring* take_ring() {
    Guard guard(registry.lock);
    PooledRing* pooled = registry.free_rings;
    if (pooled != nullptr) {
        registry.free_rings = pooled->next_free;
    } else {
        void* memory = malloc(sizeof(PooledRing));
        if (memory == nullptr) return nullptr;
        pooled = new (memory) PooledRing{};
        pooled->next = registry.all_rings;
        registry.all_rings.store(pooled, std::memory_order_release);
    }
    pooled->ring.inherited = false;
    watch_fork();
    if (registry.open++ == 0) {
        allow_services();
        abi::look_at_processor();
    }
    return &pooled->ring;
}

void give_back_ring(Ring& ring) {
    // Under the lock to the end, so that nobody sets up a ring while the threads of the last one are on their way out.
    Guard guard(registry.lock);
    auto& pooled = reinterpret_cast<PooledRing&>(ring);
    pooled.next_free = registry.free_rings;
    registry.free_rings = &pooled;
    if (--registry.open != 0) return;
    end_services();
}

// A child has our memory but none of our threads, and shares our descriptors' files with its parent. Its rings are
// gone: a request of the parent is not for the child to complete. What it inherited of private descriptors is closed,
// so that it keeps no file of the parent's open; but not where the child has run without the engine's knowledge, since
// their numbers may mean something else by then.
void leave_rings_to_parent(Inheritance noticed) RINGSIDE_UNCHECKED {
    const bool at_once = noticed == Inheritance::of_fork;
    registry.lock.reset();
    registry.open = 0;
    forget_thread_id();
    forget_locked_memory();
    forget_services(at_once);
    forget_ended_rings();
    forget_registered_rings();
    forget_other_threads();
    for (PooledRing* at = registry.all_rings.load(std::memory_order_acquire); at != nullptr; at = at->next) {
        Ring& ring = at->ring;
        if (ring.open && !ring.inherited && at_once && at->held_for_fork) close_own_descriptors(ring);
        ring.lock.reset();
        // One that a thread of the parent's is setting up, too.
        ring.inherited = true;
    }
}

int enter_descriptor(int fd, Ring& ring) {
    std::atomic<Ring*>* entry = entry_of(fd);
    if (entry == nullptr) {
        const auto number = static_cast<unsigned>(fd);
        if (number >= numbers_per_page * most_pages) return -ENFILE;
        Guard guard(registry.lock);
        std::atomic<Page*>& page = registry.pages[number / numbers_per_page];
        if (page.load(std::memory_order_relaxed) == nullptr) {
            auto* fresh = static_cast<Page*>(calloc(1, sizeof(Page)));
            if (fresh == nullptr) return -ENOMEM;
            page.store(fresh, std::memory_order_release);
        }
        entry = entry_of(fd);
    }
    entry->store(&ring, std::memory_order_release);
    return 0;
}

Ring* remove_descriptor(int fd) {
    std::atomic<Ring*>* entry = entry_of(fd);
    return entry == nullptr ? nullptr : entry->exchange(nullptr, std::memory_order_acq_rel);
}

bool remove_descriptor_of(int fd, Ring& ring) {
    std::atomic<Ring*>* entry = entry_of(fd);
    Ring* expected = &ring;
    return entry != nullptr && entry->compare_exchange_strong(expected, nullptr, std::memory_order_acq_rel);
}

void for_each_descriptor(void (*visit)(int fd, Ring& ring, int argument), int argument) {
    for (unsigned page = 0; page < most_pages; ++page) {
        if (registry.pages[page].load(std::memory_order_acquire) == nullptr) continue;
        for (unsigned i = 0; i < numbers_per_page; ++i) {
            const int fd = static_cast<int>(page * numbers_per_page + i);
            if (Ring* ring = ring_of(fd)) visit(fd, *ring, argument);
        }
    }
}

Ring* ring_of(int fd) {
    const std::atomic<Ring*>* entry = entry_of(fd);
    return entry == nullptr ? nullptr : entry->load(std::memory_order_acquire);
}

int find_ring(int fd, FoundRing& found) {
    found.ring = ring_of(fd);
    if (found.ring == nullptr) return abi::syscall(__NR_fcntl, fd, F_GETFD) < 0 ? -EBADF : -EOPNOTSUPP;
    found.generation = found.ring->generation.load();
    return ring_of(fd) == found.ring ? 0 : -EBADF;
}

int duplicate_descriptor_of(const Ring& ring) {
    for (unsigned page = 0; page < most_pages; ++page) {
        if (registry.pages[page].load(std::memory_order_acquire) == nullptr) continue;
        for (unsigned i = 0; i < numbers_per_page; ++i) {
            const int fd = static_cast<int>(page * numbers_per_page + i);
            if (ring_of(fd) != &ring) continue;
            const int own = duplicate_high(fd);
            // Forgetting a descriptor comes before closing it: one that is entered still was the ring's.
            if (own >= 0 && ring_of(fd) == &ring) return own;
            if (own >= 0) close_fd(own);
        }
    }
    return -EBADF;
}

void for_each_open_ring(void (*visit)(Ring& ring, uint32_t argument), uint32_t argument) {
    PooledRing* at = registry.all_rings.load(std::memory_order_acquire);
    // None ever leaves this list.
    for (; at != nullptr; at = at->next) {
        Guard guard(at->ring.lock);
        if (at->ring.open && !at->ring.closing && !at->ring.inherited) visit(at->ring, argument);
    }
}

unsigned open_rings() {
    Guard guard(registry.lock);
    return registry.open;
}

}  // namespace ringside::engine
