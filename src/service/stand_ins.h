// Threads that wait in the kernel in a request's stead: for what happens to no file, so that nothing can be polled (a
// futex is woken, some child ends). One thread stands for one request.
//
// A worker would not do. What such a request waits for happens once, for one waiter, and must neither be lost nor told
// twice, so whoever cancels it has to know on the spot whether it has happened already:
//
//     stand-in                                    canceller, under the ring's lock
//     waits in a system call that either          interrupts it and waits for its answer:
//     happens or is interrupted                   - it came back with nothing: the request is the canceller's
//     says which                                  - it has what it waited for, and finishes the request itself
//                                                   as soon as it gets the lock
#pragma once

#include "state/request.h"

namespace ringside::engine {

struct StandIn;

// What a stand-in does, without the ring's lock: it waits in a blocking_syscall() and returns the request's result, or
// -EINTR when it was interrupted, after which it must not touch the request any more.
using Stand = long (*)(Request&);

// Parks the request (Place::parked) and has a thread stand for it. The thread finishes it with what `stand` returns.
// Returns null when there is no thread to be had, or none that could be called back: the request is where it was.
StandIn* send_stand_in(Request& request, Stand stand);

enum class CalledBack {
    with_nothing,  // the request is not parked any more and the caller's to finish
    with_result,   // the thread is about to finish the request
    not_yet,       // it could not be interrupted, or takes long: it finishes the request when it comes
};

// Calls the thread back, which returns soon: its caller holds the ring's lock. One that returns with nothing after its
// caller has stopped waiting finishes the request with `late_result`.
CalledBack call_back(StandIn& stand_in, int late_result);

// For cancellations: as Operation::unpark returns.
int unpark_from(StandIn& stand_in);

// Whether the thread has a result already.
bool has_result(const StandIn& stand_in);

// Lets a thread run that is about to begin to wait, and that may have a lower priority than the caller. `tries` says
// how often the caller has done so.
void let_begin(StandIn& stand_in, unsigned tries);

// Ends all of them and waits until they are gone, and allows new ones again. Called when the last ring is closed and
// when a first one is set up.
void end_stand_ins();
void allow_stand_ins();

// In a child after fork: there are none there.
void forget_stand_ins();

}  // namespace ringside::engine
