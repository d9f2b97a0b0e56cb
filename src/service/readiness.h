// What a program polls to learn of completions.
//
// The kernel sees each poll of a ring, and looks into its CQ. An eventfd can only be made readable, and made unreadable
// again by whoever sees that the CQ is empty: a program that reaps from memory does not tell. So the helper thread
// looks (service/helper.h), but only at rings that are polled at all, since most are not, and those must cost nothing.
//
// Who polls can be found out. The descriptor that liburing's callers get is an epoll set, with the eventfd in it and,
// in front, a marker: an entry of which the set believes that it is ready and which is not. Whoever polls the set, or
// puts it into another, makes it look at its entries from the front, whereupon it drops the marker, which from then on
// comes last. Asking takes three system calls, so a ring that was not polled yet is asked now and then, when it
// completes something; meanwhile its eventfd stays raised, and a timer in the set gives those who wait for edges one
// that covers the completions that were not told.
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

// Completions have come, or there is work for the program's next call. Only for rings that have an eventfd.
void raise_readiness(Ring& ring);

// Makes the descriptor unreadable, if there is nothing to reap. What the two do at once with a program that reaps is
// gone through in tests/model/readiness.cc.
void lower_readiness(Ring& ring);

}  // namespace ringside::engine
