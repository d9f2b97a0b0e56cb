// A thread that waits for a ring in a poll(2) of its own, among other things, where that call is seen (src/preload): it
// sleeps in the ring's epoll set as its leader would (service/waiters.h), so that what happens there wakes this thread
// and no other, and handles it itself. Neither the helper has a part in that, nor an eventfd.
//
// Unlike one that waits in io_uring_enter, it may leave its sleep without a word: by a jump out of a signal's handler,
// or cancelled. So nothing of it is on its stack; its call is ended by the next that the thread makes on the ring, or
// by the helper, when it finds something to be done that was not done for a while. The thread may sleep there all the
// same, over a set that has been emptied: an eventfd beside the set tells it to look.
//
// One thread a ring can do this; others poll an eventfd that tells of completions (service/readiness.h).
//
// All of it is under the ring's lock.
#pragma once

#include <stdint.h>

#include "state/waiting.h"

namespace ringside::engine {

struct Ring;

// What of poll's `events` holds for the ring: there is something to reap, or room to submit.
short polled_events(Ring& ring, short events);

// The calling thread begins to lead in a call of its own, in which it waits until the ring's epoll set is ready.
// Returns whether it can; then says for how long at most.
bool begin_poll_call(Ring& ring, int64_t& limit_ns);

// The helper ends a call that seems to have been left.
void dethrone_poll_call(Ring& ring);

void close_poll_call(Ring& ring);

// The call is over, however it ended; somebody else may lead.
void end_poll_call(Ring& ring);

// The same if it is a call of the calling thread's, which does something else now.
void end_own_poll_call(Ring& ring);

}  // namespace ringside::engine
