// The way of a request, stage by stage. Each stage is one file of this folder; docs/request.md tells the story.
//
// All of it runs under the ring's lock.
#pragma once

#include "service/path_face.h"
#include "state/operation.h"
#include "state/request.h"

namespace ringside::engine {

// --- fetch.cc -------------------------------------------------------------------------------------------------------

// The SQE that comes next in the program's memory, to guess from: it may change before it is fetched. Null when there
// is none.
const io_uring_sqe* peek_sqe(const Ring& ring);

// --- admit.cc -------------------------------------------------------------------------------------------------------

// Fills a fresh request from its SQE and lets the operation check its fields. Returns 0 or -errno.
int admit(Request& request, const io_uring_sqe& sqe);

// --- join.cc --------------------------------------------------------------------------------------------------------

// Whether the SQE goes on where the requests that are being joined end.
bool continues_joined(const Ring& ring, const io_uring_sqe& sqe);

// Holds an admitted request back to be attempted together with its neighbours, if `sqe` has any. Returns whether it
// did.
bool join(Request& request, const io_uring_sqe& sqe);

// Attempts what was held back.
void issue_joined(Ring& ring);

// The request will be done with the credentials that the calling thread, its submitter, has now, unless it names
// others.
void carry_credentials(Request& request);

// --- chain.cc -------------------------------------------------------------------------------------------------------

// Takes an admitted request (or one that failed to be admitted, with the error): collects chains, holds back what has
// to drain, and issues what may go.
void route(Request& request, int admitted);

// Ends a chain that the batch left open.
void close_chain(Ring& ring);

// The request goes to wait somewhere: its link timeout, if it has one, begins to run.
void start_link_timeout(Request& request);

// What follows a finished request: the next of its chain is made ready, or the rest of the chain is cancelled.
void advance_chain(Request& request);

// Lets drained requests go whose time has come.
void release_drained(Ring& ring);

// --- issue.cc -------------------------------------------------------------------------------------------------------

// Looks up the file and attempts the operation; the outcome decides where the request goes.
void issue(Request& request);

// Finds what the request's system calls will be made on. Returns 0 or -errno; 1 where that is in the engine's own table
// (service/keeper.h), and the calling thread has the program's.
int resolve_file(Request& request);

// A further attempt of a request whose file is known already. Returns false if it still has to wait.
bool issue_again(Request& request);

// --- arm.cc ---------------------------------------------------------------------------------------------------------

// The same for one that lets those go first that wait for its file already.
void arm_behind_others(Request& request);

// The request's file is in the engine's own table: the keeper attempts it there.
void attempt_elsewhere(Request& request);

// --- punt.cc --------------------------------------------------------------------------------------------------------

// The same for some on one file, which the first of them has looked up. One worker does them one after the other.
void punt_together(RequestQueue requests);

// A registered file or a buffer that a worker is to look up is looked up after the batch, as in the kernel, where the
// submitter has the lock on the ring's tables until then. punt() puts such requests off; issue() asks before it fails
// one whose slot is still empty; the end of the batch hands them over.
bool begins_after_batch(const Request& request);
void punt_after_batch(Ring& ring);

// Nobody asked for it, but the kernel has this request done by a worker: the head of a chain that its submission left
// open, and what follows in a chain behind a request that a worker has done. To be called before it is issued.
void leave_to_worker(Request& request);

// Settles whether an attempt with request_blocks will wait or answer.
void settle_blocking(Request& request);

// --- finish.cc ------------------------------------------------------------------------------------------------------

// The second after an attempt that has told nothing.
void finish_attempted(Request& request, long result);

// --- post.cc --------------------------------------------------------------------------------------------------------

// Writes an ordinary CQE if that is known to be possible without looking at anything else. Returns whether it was.
bool post_at_once(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags);

// The same as post(), but writes nothing when there is no room.
bool post_unless_full(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags, const uint64_t* extra = nullptr);

// Moves overflowed CQEs into the ring as far as there is room now.
void flush_overflow(Ring& ring);

void drop_overflow(Ring& ring);

// --- impersonate.cc --------------------------------------------------------------------------------------------------

// Takes a step of a request as the personality that it names. Where this thread may not become that, the request fails
// with -EPERM.
Outcome impersonate(Request& request, Outcome (*step)(Request&));

}  // namespace ringside::engine
