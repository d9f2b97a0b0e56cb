// The face of the path to the floors below it: what services, resources and operations call there. It is declared here
// and implemented in path/, so that includes run downwards. What only path/ and entry/ call is in path/path.h.
//
// All of it runs under the ring's lock.
#pragma once

#include "state/ring.h"

namespace ringside::engine {

// --- fetch.cc -------------------------------------------------------------------------------------------------------

// Takes up to `to_submit` entries from the SQ through admit, chain and issue, and publishes what completed. Returns how
// many entries were consumed, or -errno when it could not begin.
int submit(Ring& ring, unsigned to_submit);

// How many entries the program has queued: its tail against our head, bounded by the size of the SQ.
unsigned queued_entries(const Ring& ring);

// --- chain.cc -------------------------------------------------------------------------------------------------------

// A link timeout has expired or is cancelled: it has nothing to do with its request any more. Returns that request, or
// null if it is gone.
Request* untie_timeout(Request& timeout);

// Takes the first request out of the drain queue, for a ring that is being closed; null when there is none.
Request* take_drained(Ring& ring);

// --- issue.cc -------------------------------------------------------------------------------------------------------

// Publishes what completed and does the work that was put off (chains' next requests, results from elsewhere), until
// nothing of either is left. On a ring with IORING_SETUP_DEFER_TASKRUN the second is the waiting submitter's alone.
void settle_ring(Ring& ring);
void settle_deferred(Ring& ring);

// Puts a request in line for that: to be issued, or to be finished with a result (a negative one is a failure) or with
// the result that it has (which is none). On a ring with IORING_SETUP_DEFER_TASKRUN this announces the work, whoever
// makes it; nothing else adds to Ring::task_work.
void queue_issue(Request& request);
void queue_result(Request& request, long result);
void queue_finish(Request& request);

// Puts a request in line to be issued, one that has not waited for its file, or has it ready: it holds its file from
// now on, and can be cancelled as if it waited for that. Returns what its issue returns then.
Outcome queue_as_waiting(Request& request);

// For whoever comes to the ring from elsewhere than the program's own io_uring_enter: a worker, another ring, a
// registration. What waits after that is the helper's to look after, since the program may never enter again.
void settle_from_outside(Ring& ring);

// Whether requests wait for readiness, for a disk or for time, which somebody has to look after.
inline bool something_waits(const Ring& ring) { return ring.poller.armed != 0 || !ring.timers.empty(); }

// --- arm.cc ---------------------------------------------------------------------------------------------------------

// The operation would block until its file is ready: wait for that.
void arm(Request& request);

// The file may be ready: try again. Called by the poller; takes the request off its list if it is done waiting.
bool retry_armed(Request& request);

// --- punt.cc --------------------------------------------------------------------------------------------------------

// Only a thread can do it: hand it to a worker.
void punt(Request& request);

// The worker's side, called without the lock.
void run_in_worker(Request& request);

// What a thread of our own has waited for in a request's stead (service/stand_ins) has happened. Called without the
// lock.
void finish_elsewhere(Request& request, long result);

// Has the request hold the file it works on, so that the program may close it or empty its slot: for a request that
// goes on after its first attempt. Returns 0 or -errno, -ENFILE for a file on disk that cannot be held; does nothing
// for one that holds its file already.
int pin_file(Request& request);

// Has it hold its file in the engine's own table (service/keeper.h). Returns false where that cannot be.
bool hold_elsewhere(Request& request, const struct stat& status);
bool holds_file_elsewhere(const Request& request);

// The batch closes a number of the program's: requests that were put off hold their file from now on.
void hold_put_off(Ring& ring, int fd);

// A worker is done with the request, or it was withdrawn: the next that changes its file is handed to a worker.
void pass_turn(Request& request);

// --- finish.cc ------------------------------------------------------------------------------------------------------

// The operation is done (or failed, or was cancelled): posts its CQE, cleans up, advances its chain, and gives the
// request back. The request is gone afterwards.
void finish(Request& request);
void finish(Request& request, long result);

// The same without a CQE, since the ring is being closed. If its result is a descriptor, nobody will close that.
void finish_unheard(Request& request);

// Posts a CQE with IORING_CQE_F_MORE of a request that goes on. Returns false if the CQ was full: the request then has
// to end.
bool post_more(Request& request, int32_t result, uint32_t flags);

// --- post.cc --------------------------------------------------------------------------------------------------------

// Writes a CQE, or keeps it as overflow. It is visible to the program with the next publish(). Returns false if it
// overflowed.
bool post(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags, const uint64_t* extra = nullptr);

// Makes the CQEs written so far visible and tells those who wait for them.
void publish(Ring& ring);

// A ring with IORING_SETUP_DEFER_TASKRUN has work for the program's next call, where it had none: says so in the SQ's
// flags (if that was asked for), by eventfd and by readiness. An eventfd for what workers complete is raised if a
// worker made the work. The announcement is withdrawn when the work is taken.
void announce_work(Ring& ring, bool by_worker);
void withdraw_announcement(Ring& ring);

// CQEs that the program has not consumed yet, by the shared indices.
unsigned completions_ready(Ring& ring);

// Sets and clears flags in the SQ's flags word.
void set_sq_flag(Ring& ring, uint32_t flag);
void clear_sq_flag(Ring& ring, uint32_t flag);

}  // namespace ringside::engine
