// The functions of the path that the floors below it (services, resources, operations) call. They are declared here and
// implemented in path/, so that includes run downwards. path/path.h has what only path/ and entry/ call.
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

// Called when a link timeout has expired or is cancelled. Unties it from its request. Returns that request, or null if
// it is gone.
Request* untie_timeout(Request& timeout);

// Takes the first request out of the drain queue, for a ring that is being closed; null when there is none.
Request* take_drained(Ring& ring);

// --- issue.cc -------------------------------------------------------------------------------------------------------

// Publishes what completed and runs the queued work (the next requests of chains, results from elsewhere), until
// nothing of either is left. On a ring with IORING_SETUP_DEFER_TASKRUN settle_ring() does not run the work:
// settle_deferred() does, in the submitter's call.
void settle_ring(Ring& ring);
void settle_deferred(Ring& ring);

// Queues a request as such work: to be issued; to be finished with a result (a negative one is a failure); or to be
// finished with the result that it has. On a ring with IORING_SETUP_DEFER_TASKRUN this also announces the work. Nothing
// else adds to Ring::task_work.
void queue_issue(Request& request);
void queue_result(Request& request, long result);
void queue_finish(Request& request);

// Queues a request to be issued that has not waited for its file, or whose file is ready. From now on it holds its file
// and can be cancelled as if it were armed. Returns what its issue has to return.
Outcome queue_as_waiting(Request& request);

// For threads that come to the ring from elsewhere than the program's own io_uring_enter: a worker, another ring, a
// registration. Leaves the requests that wait after that to the helper, because the program may never enter again.
void settle_from_outside(Ring& ring);

// Whether requests wait for readiness, for a disk or for time. Some thread then has to attend to the ring.
inline bool something_waits(const Ring& ring) { return ring.poller.armed != 0 || !ring.timers.empty(); }

// --- carry.cc -------------------------------------------------------------------------------------------------------

// Issues a request that was to be carried, and could not be.
void issue_uncarried(Request& request);

// --- arm.cc ---------------------------------------------------------------------------------------------------------

// The operation would block until its file is ready: waits for that.
void arm(Request& request);

// Called by the poller when the file may be ready: tries again. Takes the request off the poller's list if it need not
// wait any more. Returns false if it still waits for the same events.
bool retry_armed(Request& request);

// --- punt.cc --------------------------------------------------------------------------------------------------------

// The operation may block: hands the request to a worker.
void punt(Request& request);

// The worker's side, called without the lock.
void run_in_worker(Request& request);

// Called without the lock when the event has happened for which another thread of the engine has waited in the
// request's place (service/stand_ins).
void finish_elsewhere(Request& request, long result);

// Has the request hold the file it works on, so that the program may close it or empty its slot: for a request that
// goes on after its first attempt. Returns 0 or -errno, -ENFILE for a file on disk that cannot be held; does nothing
// for one that holds its file already.
int pin_file(Request& request);

// Has the request hold its file in the engine's own table (service/keeper.h). Returns false if that is not possible.
bool hold_elsewhere(Request& request, const struct stat& status);
bool holds_file_elsewhere(const Request& request);

// Called when a request of the batch closes the program's number `fd`: the requests in Ring::put_off that use it hold
// their file from now on.
void hold_put_off(Ring& ring, int fd);

// Called when a worker is done with the request, or when the request is withdrawn: the next one that writes to its file
// goes to a worker.
void pass_turn(Request& request);

// --- finish.cc ------------------------------------------------------------------------------------------------------

// The operation is done (or failed, or was cancelled): posts its CQE, cleans up, advances its chain, and gives the
// request back. The request is gone afterwards.
void finish(Request& request);
void finish(Request& request, long result);

// The same without a CQE, for a ring that is being closed. Closes the descriptor if the result is one.
void finish_unheard(Request& request);

// Posts a CQE with IORING_CQE_F_MORE for a multishot request. Returns false if the CQ is full: the request then has to
// end.
bool post_more(Request& request, int32_t result, uint32_t flags);

// --- post.cc --------------------------------------------------------------------------------------------------------

// Writes a CQE, or keeps it as overflow. It is visible to the program with the next publish(). Returns false if it
// overflowed.
bool post(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags, const uint64_t* extra = nullptr);

// Makes the CQEs written so far visible and wakes the threads that wait for them.
void publish(Ring& ring);

// Called when a ring with IORING_SETUP_DEFER_TASKRUN has work for the program's next call and had none before.
// Announces it in the SQ's flags (if the program wants that), by the registered eventfd and by readiness. An eventfd
// that is registered for asynchronous completions only is raised if a worker made the work. The announcement is
// withdrawn when the work is taken.
void announce_work(Ring& ring, bool by_worker);
void withdraw_announcement(Ring& ring);

// CQEs that the program has not consumed yet, by the shared indices.
unsigned completions_ready(Ring& ring);

// Sets and clears flags in the SQ's flags word.
void set_sq_flag(Ring& ring, uint32_t flag);
void clear_sq_flag(Ring& ring, uint32_t flag);

}  // namespace ringside::engine
