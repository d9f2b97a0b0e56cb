// The helper thread, one for each process. It handles the events of rings whose program does not call io_uring_enter. A
// thread that waits in io_uring_enter handles its ring's events itself. For a program that waits elsewhere, or only
// looks at the CQ's memory, the helper does.
//
// A program that does enter must not pay for the helper. So the helper does not take over at once. A ring that a call
// left with requests waiting is *watched*: the helper looks at it every millisecond. It becomes *hosted* when a whole
// millisecond has passed without a call, or as soon as its descriptor is known to be polled. The epoll set of a hosted
// ring is part of the helper's own set, so the helper gets its events without delay. When the program enters again to
// wait, the ring is only watched again. When the program then waits for long, the helper forgets the ring, and the
// program's call tells it when it leaves. A thread in a poll(2) of its own (service/poll_call.h) may leave without
// notice, so such a ring is hosted all the same.
//
// The helper also looks whether a program that polls has reaped the reported completions (service/readiness.h): soon at
// first, then after ever longer times. So a descriptor is readable in vain for no longer than its program took to reap.
#pragma once

#include <stdint.h>

#include "state/waiting.h"

namespace ringside::engine {

struct KeptFile;
struct Ring;

// Called when a thread leaves io_uring_enter while requests of the ring wait for time or readiness.
void leave_to_helper(Ring& ring);

// Called when the descriptor that a program polls was made readable: makes it unreadable once the program has reaped.
void await_reaping(Ring& ring);

// nudge_helper(): a thread with the engine's own table (service/keeper.h) has the helper go on with the requests that
// it has queued. prepare_helper_for_nudges(): beforehand, a thread with the program's table makes sure that there is a
// helper, and gives the keeper the eventfd that wakes it. Returns false if there is no helper.
void nudge_helper(Ring& ring);
bool prepare_helper_for_nudges(KeptFile* (*keep)(int eventfd));
// Keeps the helper running even if it has no ring to look at, so that it notices when a ring's file is closed. Returns
// whether it runs.
bool keep_helper();

// Called under the ring's lock when the ring is closed: the helper forgets it.
void withdraw_from_helper(Ring& ring);

// Ends the thread and waits until it is gone. Called when the last ring is closed.
void end_helper();

// Around a fork: while held, the data that the helper shares with its callers does not change.
void hold_helper();
void release_helper();

// Called in a child after fork, which has no helper. Closes the helper's descriptors if they are known to be ours
// still.
void forget_helper(bool closes_descriptors);

}  // namespace ringside::engine
