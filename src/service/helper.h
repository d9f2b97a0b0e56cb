// The helper thread, one a process: stands in for programs that do not enter. A thread that waits in io_uring_enter
// handles its ring's events itself; for a program that waits elsewhere, or only looks at the CQ's memory, the helper
// does.
//
// It must not cost a program that does enter anything, so it does not jump in at once: a ring that was left with
// requests waiting is watched, a look every millisecond, and hosted when a whole millisecond has passed without a call,
// or as soon as its descriptor is known to be polled. A hosted ring's epoll set is part of the helper's own, so no
// event is late any more. When the program enters again to wait, the helper lets go; when it then waits for long, the
// helper forgets the ring, and is told when the program leaves. One that waits in a poll of its own
// (service/poll_call.h) may leave that without a word: such a ring is hosted all the same.
//
// It also looks whether a program that polls has reaped what it was told of (service/readiness.h): soon at first, then
// after ever longer times, so that a descriptor is readable in vain for no longer than its program took to reap.
#pragma once

#include <stdint.h>

#include "state/waiting.h"

namespace ringside::engine {

struct KeptFile;
struct Ring;

// A thread leaves io_uring_enter, and requests of the ring wait for time or readiness.
void leave_to_helper(Ring& ring);

// The descriptor that a program polls was made readable: sees that it does not stay so.
void await_reaping(Ring& ring);

// A thread with the engine's own table (service/keeper.h) leaves it to the helper to go on with what it has put in
// line. Beforehand, a thread with the program's table sees that there is a helper, and gives the eventfd that calls it
// to the keeper. Returns false when there is none to be had.
void nudge_helper(Ring& ring);
bool prepare_helper_for_nudges(KeptFile* (*keep)(int eventfd));
// Lets the thread run, which notices that a ring's file is closed, even if no ring is to be looked at. Returns whether
// it does.
bool keep_helper();

// The ring is closed: the helper lets go of it. Called under the ring's lock.
void withdraw_from_helper(Ring& ring);

// Ends the thread and waits until it is gone. Called when the last ring is closed.
void end_helper();

// A fork takes what the helper and its callers share between two steps.
void hold_helper();
void release_helper();

// In a child after fork: there is no helper there. Its descriptors are closed if they are known to be ours still.
void forget_helper(bool closes_descriptors);

}  // namespace ringside::engine
