// The engine's own rings as the files that requests are about. A ring's descriptor is one of an ordinary file, or of an
// epoll set: what the kernel says of a ring is said here.
#pragma once

#include "state/request.h"

namespace ringside::engine {

struct Ring;

// What is to be polled in place of `fd`: that itself where it is no ring. -EAGAIN when the ring's lock is not to be had
// at once: the request's own ring is locked, so a worker, which holds no lock, has to wait for it.
int polled_in_place_of(const Request& request, int fd);

// The worker's wait.
Outcome wait_for_lock_of(Request& request, int fd);

// Whether the request is about a ring.
bool is_about_ring(const Request& request);

}  // namespace ringside::engine
