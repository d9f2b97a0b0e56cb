// The engine's own table of descriptors, and its owner, the keeper thread.
//
// A request that outlives the program's call holds its file. A duplicate in the program's table would be the wrong way
// to hold it: closing the duplicate drops the record locks (fcntl(2)) that the program has on the file, the duplicate
// counts against the program's limit, and closefrom(3) or dup2(2) may take it away. So the engine hands the file over
// to threads of its own that have a table of their own: the keeper, which waits for readiness there, and the workers
// that the keeper starts. Closing a descriptor in that table does not affect the program.
//
// The program's threads pass files to the keeper through a pair of sockets (SCM_RIGHTS). The engine keeps one end of
// the pair in the program's table, and no other descriptor for this.
//
// A thread with the own table must not use a number of the program's table, be it the program's or the engine's. So
// such a thread makes attempts and nothing else. It leaves what follows from a result (CQEs, the next request of a
// chain, eventfds) to a thread with the program's table, which it nudges.
//
// If the kernel cannot give a thread its own table (close_range(2) came with Linux 5.9), nothing is kept, and callers
// hold files by duplicates in the program's table.
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

// Whether `fd` in the program's table stands for the file, judged by its inode and, except for sockets, by its number.
bool is_kept_file(const KeptFile& file, int fd, const struct stat& status);

// Whether the calling thread has the engine's own table. A thread that the keeper starts calls note_own_table() first.
bool has_own_table();
void note_own_table();

// --- Called with the program's table, under the ring's lock ---------------------------------------------------------

// Called when the first ring is set up. Takes the descriptors that the keeper will need, while the program still has
// some left.
void reserve_keeper();

// Gives the keeper an eventfd of the engine, so that threads with the own table can raise it. Null if there is no
// keeper.
KeptFile* keep_eventfd(int eventfd);

// Called when the ring's leader has made its eventfd. Gives it to the keeper too, if there is one.
void keep_wake(Ring& ring);

// Queues a file of the program for the keeper; hand_over_batch() sends it. Returns null if the file cannot be kept.
KeptFile* keep_file(Ring& ring, int fd, const struct stat& status);

// Sends the queued files to the keeper, before the program may close them.
void hand_over_batch(Ring& ring);

// Called when the last holder has let go of the file: the keeper closes it and frees its memory.
void drop_kept(KeptFile& file);

// Has the keeper report the file's readiness to the requests in `waiting`, beginning with what is ready now. Any thread
// may call it.
void await_readiness(KeptFile& file);

// Called by a program's call that collects completions on a ring with IORING_SETUP_DEFER_TASKRUN. The keeper now makes
// the attempts that it has put off until such a call. Returns when it has made them. Releases the ring's lock
// meanwhile.
void attempt_deferred(Ring& ring);

// Called by a program's call that looks for what is ready and does not wait. Returns when the keeper has handled all
// that was ready. Releases the ring's lock meanwhile.
void look_at_kept(Ring& ring);

// --- Called with the own table --------------------------------------------------------------------------------------

// Waits until the file has arrived. Returns its number in the own table, or -errno if it was lost on its way.
int number_of(KeptFile& file);

// Has a thread with the program's table go on with the requests that the caller has queued (Place::task_work). Called
// under the ring's lock.
void nudge(Ring& ring);

// --- Threads --------------------------------------------------------------------------------------------------------

// Has the keeper call `start(argument)`. A thread that `start` creates there has the own table too. Returns false if
// there is no keeper.
struct ThreadWanted {
    void (*start)(void* argument);
    void* argument;
    ThreadWanted* next;
};
bool start_with_own_table(ThreadWanted& wanted);

// Ends the keeper and waits for its end. Called when the last ring is closed and the workers have ended.
void end_keeper();

// Around a fork: while held, the keeper's lists and descriptors do not change. Take the rings' locks first.
void hold_keeper();
void release_keeper();

// Called in a child after fork, which has no keeper thread. If `closes`, it closes the inherited descriptors: their
// numbers are then sure to be the engine's still.
void forget_keeper(bool closes);

}  // namespace ringside::engine
