#include "ops/ring_files.h"

#include <errno.h>

#include "process/registry.h"
#include "service/readiness.h"
#include "service/ring_file.h"
#include "service/workers.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

// The ring was found without its lock, so it may have been closed since. Check it under the lock.
int polled_if_open(Ring& ring, int fd) {
    return ring_of(fd) == &ring && ring.open && !ring.closing && !ring.inherited ? polled_descriptor(ring) : fd;
}

}  // namespace

int polled_in_place_of(const Request& request, int fd) {
    Ring* ring = ring_named(fd);
    if (__builtin_expect(ring == nullptr, 1)) return fd;
    if (ring == request.ring) return polled_if_open(*ring, fd);
    if (!ring->lock.acquire_soon()) return -EAGAIN;
    const int polled = polled_if_open(*ring, fd);
    ring->lock.release();
    return polled;
}

Outcome wait_for_lock_of(Request& request, int fd) {
    Ring* ring = ring_named(fd);
    if (ring == nullptr) return Outcome::queued;
    // No thread can be started, and our own ring's lock is still held.
    if (!in_worker()) return request.done(-EAGAIN);
    const Guard guard(ring->lock);
    return Outcome::queued;
}

bool is_about_ring(const Request& request) {
    return !request.has(IOSQE_FIXED_FILE) && ring_named(request.sqe_fd) != nullptr;
}

}  // namespace ringside::engine
