// What the helper (service/helper.h) does about one of its rings: it watches whether the program is around, hosts the
// ring where it is not, and stands in for it.
//
//     forgotten -> watched    it was left with requests waiting (leave_to_helper)
//     watched   -> hosted     a look later nobody has called, and nobody leads
//     hosted    -> watched    somebody leads again
//     watched   -> forgotten  who leads sleeps on in one and the same call
//     hosted    -> forgotten  nothing waits any more, or its program was told to enter
//
// All of it is under the ring's lock.
#pragma once

#include <stdint.h>

namespace ringside::engine {

struct Ring;

// Between looks at a watched ring.
inline constexpr int64_t look_interval_ns = 1'000'000;

// Does what is to be done about the ring now. Returns how long until it is to be attended to again.
int64_t attend(Ring& ring);

// --- What that asks of the helper (service/helper.cc) ---------------------------------------------------------------

// The ring's epoll set joins the helper's own (EPOLL_CTL_ADD) or goes on there (EPOLL_CTL_MOD), for one event at a
// time: a ring whose program is back is not looked at again. Returns false where that cannot be.
bool host(Ring& ring, int operation);

// From now on it is only watched.
void unhost(Ring& ring);

// It is not watched any more; or not looked at any more whether its program has reaped. The helper drops a ring of
// which both is so.
void forget(Ring& ring);
void forget_reaping(Ring& ring);
void forget_nudge(Ring& ring);

// Whether it has not been dropped.
bool is_looked_at(const Ring& ring);

}  // namespace ringside::engine
