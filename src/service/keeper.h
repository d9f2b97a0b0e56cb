// The engine's own table of descriptors, and the thread that keeps it.
//
// A request that outlives the program's call holds its file. A duplicate in the program's table would be the wrong way
// to hold it: closing the duplicate drops the record locks (fcntl(2)) that the program has on the file, it counts
// against the program's limit, and closefrom(3) or dup2(2) may take it away. So the file is handed over to threads of
// the engine that have a table of their own: the keeper, which waits for readiness there, and workers that the keeper
// starts. Closing a descriptor in that table touches nothing of the program's.
//
// The program's threads pass files to the keeper through a pair of sockets (SCM_RIGHTS); the one end is the only
// descriptor that this takes of the program's table.
//
// A thread with the own table must not use a number of the program's, nor a number of the engine's that was made in the
// program's table. So it makes attempts and nothing else: what follows from a result (CQEs, the next request of a
// chain, eventfds) is left to a thread with the program's table, which it nudges.
//
// Where there is no such thread to be had (close_range(2) came with Linux 5.9), nothing is kept, and callers hold files
// by duplicates in the program's table.
//
// Lock order: a ring's lock first, then the keeper's.
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <sys/stat.h>
#include <atomic>

#include "state/keeper.h"
#include "state/list.h"
#include "state/request.h"
#include "state/tables.h"

namespace ringside::engine {

inline KeptFile& kept(FixedFile& file) { return static_cast<KeptFile&>(file); }
inline const KeptFile& kept(const FixedFile& file) { return static_cast<const KeptFile&>(file); }

// Whether a descriptor of the program's stands for the file, as far as that can be told.
bool is_kept_file(const KeptFile& file, int fd, const struct stat& status);

// Whether the calling thread has the engine's own table. One that the keeper has started says so itself.
bool has_own_table();
void note_own_table();

// --- Called with the program's table, under the ring's lock ---------------------------------------------------------

// A first ring is made: takes the descriptors that the keeper will need, as long as there are some.
void reserve_keeper();

// A descriptor of the engine's own, by which threads with its table wake others. Null when there is no keeper.
KeptFile* keep_eventfd(int eventfd);

// The ring's leader has an eventfd now: the keeper gets it too, if there is a keeper.
void keep_wake(Ring& ring);

// Hands a file of the program's over. Within a batch that happens at its end, by hand_over_batch(). Null when it cannot
// be kept.
KeptFile* keep_file(Ring& ring, int fd, const struct stat& status);

// Hands over what the batch had kept, before the program may close it.
void hand_over_batch(Ring& ring);

// Nobody holds the file any more: it is closed in the own table, and its memory goes.
void drop_kept(KeptFile& file);

// Has the keeper report the file's readiness to the requests in `waiting`, beginning with what is ready now. Called by
// any thread.
void await_readiness(KeptFile& file);

// The program's call asks for the completions of a ring with IORING_SETUP_DEFER_TASKRUN: the keeper attempts now what
// it has put off until such a call. Returns when it has; lets go of the ring's lock meanwhile.
void attempt_deferred(Ring& ring);

// The program's call looks for what is ready now and does not wait for it: returns when the keeper has handled all
// that. Lets go of the ring's lock meanwhile.
void look_at_kept(Ring& ring);

// --- Called with the own table --------------------------------------------------------------------------------------

// The file's number, as soon as it is there; -errno when it was lost on its way.
int number_of(KeptFile& file);

// A thread with the program's table is to go on with what the caller has put in line (Place::task_work). Under the
// ring's lock.
void nudge(Ring& ring);

// --- Threads --------------------------------------------------------------------------------------------------------

// Has `start(argument)` called by the keeper, so that a thread which that starts has the own table too. Returns false
// when there is no keeper.
struct ThreadWanted {
    void (*start)(void* argument);
    void* argument;
    ThreadWanted* next;
};
bool start_with_own_table(ThreadWanted& wanted);

// Ends the keeper and waits until it is gone. Called when the last ring is closed and the workers are gone.
void end_keeper();

// A fork takes the keeper's lists and descriptors between two steps. The rings' locks come first.
void hold_keeper();
void release_keeper();

// In a child after fork: there is no keeper there. Closes what the child has inherited, if its numbers are sure to be
// the engine's still.
void forget_keeper(bool closes);

}  // namespace ringside::engine
