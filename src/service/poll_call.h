// A thread that waits for a ring, and perhaps for other files, in a poll(2) of its own that the preload library sees.
// It sleeps in the ring's epoll set as a leader does (service/waiters.h). So an event there wakes this thread and no
// other, and the thread handles it itself, without the helper and without an eventfd.
//
// It may leave its sleep without notice: by a jump out of a signal handler, or because it is cancelled. So nothing of
// the call is on its stack. The call is ended by the thread's next call on the ring; or by the helper, when it finds
// events that nobody has handled for a while. But the thread may be asleep all the same, over a set that the helper has
// emptied: an eventfd beside the set wakes it then.
//
// One thread of a ring can do this. Others poll an eventfd that is raised for completions (service/readiness.h).
//
// All of it is under the ring's lock.
#pragma once

#include <stdint.h>

#include "state/waiting.h"

namespace ringside::engine {

struct Ring;

// Which of poll's `events` hold for the ring: POLLIN if there is something to reap, POLLOUT if there is room to submit.
short polled_events(Ring& ring, short events);

// Makes the calling thread the leader, in a call in which it waits until the ring's epoll set is ready. Returns whether
// it can lead; `limit_ns` is then the longest time to sleep.
bool begin_poll_call(Ring& ring, int64_t& limit_ns);

// Called by the helper for a call that seems to have been left: ends it.
void dethrone_poll_call(Ring& ring);

void close_poll_call(Ring& ring);

// Called when the call is over, however it ended. Another thread may lead now.
void end_poll_call(Ring& ring);

// The same if the calling thread made the call: it does something else now.
void end_own_poll_call(Ring& ring);

}  // namespace ringside::engine
