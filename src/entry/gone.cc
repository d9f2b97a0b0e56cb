// Rings that are gone: the program closed the last descriptor by a system call that the engine did not see, with an
// instruction of its own or through a library that calls the kernel itself (service/ring_file.h says how the engine
// finds out).
#include <pthread.h>

#include "entry/engine.h"
#include "entry/entry.h"
#include "os/signals_wait.h"
#include "os/threads.h"
#include "path/path.h"
#include "process/registry.h"
#include "service/cancel.h"
#include "service/ring_file.h"

namespace ringside::engine {
namespace {

constexpr int every_file = -1;

// Rings without a name that wait to be taken apart. The thread that takes one off the list does it.
std::atomic<Ring*> ended{nullptr};

void push_ended(Ring& ring) {
    Ring* first = ended.load(std::memory_order_relaxed);
    do ring.file.next_ended = first;
    while (!ended.compare_exchange_weak(first, &ring, std::memory_order_release, std::memory_order_relaxed));
}

// Called for a number that is closed or another file's by now: it names the ring no more. If it was the ring's last
// name, the ring's requests end.
void drop_name(int fd, Ring& ring) {
    if (!remove_descriptor_of(fd, ring)) return;
    bool last;
    {
        Guard guard(ring.lock);
        last = --ring.descriptors == 0;
        if (last) {
            ring.closing = true;
            cancel_all(ring);
        }
    }
    if (last) push_ended(ring);
}

void drop_unless_named(int fd, Ring& ring, int watch) {
    if (watch != every_file && ring.file.watch.load(std::memory_order_acquire) != watch) return;
    if (!is_ring_file(ring, fd)) drop_name(fd, ring);
}

void drop_gone_names() {
    ClosedFilesInHand closed;
    for (int watch = closed.next(); watch >= 0; watch = closed.next()) for_each_descriptor(drop_unless_named, watch);
    if (are_some_unwatched()) for_each_descriptor(drop_unless_named, every_file);
}

void destroy_ended() {
    Ring* ring = ended.exchange(nullptr, std::memory_order_acquire);
    while (ring != nullptr) {
        Ring* next = ring->file.next_ended;
        destroy_ring(*ring);
        ring = next;
    }
}

void* ending_body(void*) {
    destroy_ended();
    return nullptr;
}

}  // namespace

void end_gone_rings() {
    {
        const SignalsWait signals;
        drop_gone_names();
    }
    destroy_ended();
}

void leave_gone_rings() {
    drop_gone_names();
    if (ended.load(std::memory_order_relaxed) == nullptr) return;
    pthread_t thread;
    // If no thread can be started, the rings stay on the list until the next ring is set up.
    if (start_thread(thread, "ringside-close", ending_body, nullptr) == 0) pthread_detach(thread);
}

void forget_ended_rings() { ended.store(nullptr, std::memory_order_relaxed); }

void expect_unseen_close(int fd) {
    Ring* ring = ring_of(fd);
    if (ring == nullptr) return;
    Guard guard(ring->lock);
    ring->file.ends_unseen = true;
}

Ring* find_named(int fd) {
    Ring* ring = ring_of(fd);
    if (ring == nullptr || is_ring_file(*ring, fd)) return ring;
    drop_name(fd, *ring);
    destroy_ended();
    return nullptr;
}

}  // namespace ringside::engine
