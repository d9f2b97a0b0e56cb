// Requests whose file is a ring of the engine's. The descriptor of such a ring is that of an ordinary file or of an
// epoll set. The functions here give the answers that the kernel gives for a ring.
#pragma once

#include "state/request.h"

namespace ringside::engine {

struct Ring;

// The descriptor to be polled in the place of `fd`: `fd` itself if it is no ring. -EAGAIN if the other ring's lock is
// held. The request's own ring is locked here, so a worker, which holds no lock, has to wait for it.
int polled_in_place_of(const Request& request, int fd);

// The worker's wait.
Outcome wait_for_lock_of(Request& request, int fd);

// Whether the request is about a ring.
bool is_about_ring(const Request& request);

}  // namespace ringside::engine
