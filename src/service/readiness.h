// The descriptor that a program polls to learn of completions.
//
// The kernel sees each poll of its own ring's descriptor, and looks into the CQ then. The engine has an eventfd, which
// it raises for completions. Somebody has to lower it again when the CQ is empty, but a program reaps from memory,
// without a call. So the helper thread looks (service/helper.h). It only looks at rings that are polled at all: most
// are not, and those must cost nothing.
//
// The engine can find out whether a ring is polled. The descriptor of liburing's callers is an epoll set with two
// entries: the eventfd and, before it, a marker. The set believes that the marker is ready, but it is not. If somebody
// polls the set, or puts it into another set, the kernel checks the entries from the front. It finds that the marker is
// not ready and drops it from the ready list, so from then on the marker comes last. To ask takes three system calls.
// So a ring that was not polled yet is asked only now and then, when it completes something. Between two questions its
// eventfd stays raised, and a timer in the set makes an edge for pollers that wait for edges, in place of the
// completions that were not reported.
#pragma once

#include <stdint.h>

#include "state/waiting.h"

namespace ringside::engine {

struct Ring;

// Makes a descriptor for a ring that is readable while completions wait. Returns it, or -errno.
int new_ring_descriptor(Readiness& readiness);

// Whether `fd` stands for what new_ring_descriptor() made.
bool is_own_descriptor(const Readiness& readiness, int fd);

// A descriptor to poll for a ring whose own descriptor cannot be polled. Made at the first call; -1 if no descriptor is
// left.
int polled_descriptor(Ring& ring);

// Called when completions have come, or when there is work for the program's next call. Only for rings that have an
// eventfd.
void raise_readiness(Ring& ring);

// Makes the descriptor unreadable if there is nothing to reap. tests/model/readiness.cc checks what happens when both
// functions run while the program reaps.
void lower_readiness(Ring& ring);

}  // namespace ringside::engine
