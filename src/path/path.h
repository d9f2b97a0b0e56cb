// The way of a request, stage by stage. Each stage is one file of this folder. docs/request.md describes the whole way.
//
// All of it runs under the ring's lock.
#pragma once

#include "service/path_face.h"
#include "state/operation.h"
#include "state/request.h"

namespace ringside::engine {

// --- fetch.cc -------------------------------------------------------------------------------------------------------

// The next SQE in the program's memory, or null if there is none. Good for a guess only: the program may change it
// before it is fetched.
const io_uring_sqe* peek_sqe(const Ring& ring);

// --- admit.cc -------------------------------------------------------------------------------------------------------

// Fills a fresh request from its SQE and lets the operation check its fields. Returns 0 or -errno.
int admit(Request& request, const io_uring_sqe& sqe);

// Has the request use the credentials that the calling thread, its submitter, has now, unless it names a personality.
void carry_credentials(Request& request);

// --- join.cc --------------------------------------------------------------------------------------------------------

// Whether the SQE continues where the requests that are being joined end.
bool continues_joined(const Ring& ring, const io_uring_sqe& sqe);

// Holds an admitted request back to be attempted together with its neighbours, if `sqe` has any. Returns whether it
// did.
bool join(Request& request, const io_uring_sqe& sqe);

// Attempts the requests that were held back.
void issue_joined(Ring& ring);

// --- carry.cc -------------------------------------------------------------------------------------------------------

// Holds an admitted request back, to be attempted in one call with others of its batch. Returns whether it did.
bool carry(Request& request);

// Attempts the requests that were held back, and issues each with the answer.
void issue_carried(Ring& ring);

// At the end of a batch that had a carrier: gives it back.
void end_carrying(Ring& ring);

// --- carry_polls.cc -------------------------------------------------------------------------------------------------

// The same as carry() and issue_carried(), for polls, whose `attempt` names the file and the events.
bool carry_poll(Request& request, const iocb& attempt);
void issue_polls(Ring& ring);

// --- chain.cc -------------------------------------------------------------------------------------------------------

// Takes a request that was admitted (0), or that was not (-errno). Collects chains, holds back requests that have to
// drain, and issues the others.
void route(Request& request, int admitted);

// Ends a chain that the batch left open.
void close_chain(Ring& ring);

// Called when the request begins to wait: starts its link timeout, if it has one.
void start_link_timeout(Request& request);

// Called when a request is finished: queues the next of its chain, or cancels the rest of the chain.
void advance_chain(Request& request);

// Releases the requests of the drain queue that need not wait any more.
void release_drained(Ring& ring);

// --- issue.cc -------------------------------------------------------------------------------------------------------

// Looks up the file and attempts the operation; the outcome decides where the request goes.
void issue(Request& request);

// Finds the descriptor for the request's system calls. Returns 0 or -errno; or 1 if it is in the engine's own table
// (service/keeper.h) while the calling thread has the program's.
int resolve_file(Request& request);

// Attempts a request again whose file is known already. Returns false if it still has to wait.
bool issue_again(Request& request);

// --- arm.cc ---------------------------------------------------------------------------------------------------------

// Like arm(), but behind the requests that wait for the file already.
void arm_behind_others(Request& request);

// For a request whose file is in the engine's own table: has the keeper attempt it.
void attempt_elsewhere(Request& request);

// --- punt.cc --------------------------------------------------------------------------------------------------------

// Whether the request's calls depend on who makes them, and the calling thread is not the one to make them: then
// punt() leaves the request to its crew (service/crew.h).
bool is_anothers(const Request& request);

// Like punt(), for several requests on one file, which the first of them has looked up. One worker executes them one
// after the other.
void punt_together(RequestQueue requests);

// The kernel's io-wq looks up a registered file or a buffer after the batch, because the submitter holds the lock on
// the ring's tables until then. So punt() puts such requests off, and punt_after_batch() hands them over at the end of
// the batch. issue() calls begins_after_batch() before it fails a request whose slot is still empty.
bool begins_after_batch(const Request& request);
void punt_after_batch(Ring& ring);

// For requests without IOSQE_ASYNC that the kernel's io-wq executes: the head of a chain that its batch left open, and
// the request that follows one which a worker has executed. Call it before the request is issued.
void leave_to_worker(Request& request);

// Decides whether an attempt with request_blocks waits in its call or returns -EAGAIN.
void settle_blocking(Request& request);

// --- finish.cc ------------------------------------------------------------------------------------------------------

// Like finish(request, result), for a request that was attempted, but whose attempt brought no result.
void finish_attempted(Request& request, long result);

// --- post.cc --------------------------------------------------------------------------------------------------------

// Writes an ordinary CQE if nothing else has to be checked for that. Returns whether it did.
bool post_at_once(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags);

// The same as post(), but writes nothing when there is no room.
bool post_unless_full(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags, const uint64_t* extra = nullptr);

// Moves overflowed CQEs into the ring as far as there is room now.
void flush_overflow(Ring& ring);

void drop_overflow(Ring& ring);

// --- impersonate.cc --------------------------------------------------------------------------------------------------

// Runs a step of a request with the credentials of its personality. If this thread may not take them, the request fails
// with -EPERM.
Outcome impersonate(Request& request, Outcome (*step)(Request&));

}  // namespace ringside::engine
