// The file behind a ring's descriptors: how the engine knows that a number still stands for the ring, and how it learns
// that the last descriptor is closed.
//
// The engine does not see a descriptor that the program closes by a system call of its own. Two things help:
//
//   Each ring of a raw program is a file with an inode of its own. If a number in the registry stands for another file,
//   it is not the ring's any more.
//
//   inotify reports when the last descriptor and the last mapping of an open file are gone, which is also when the
//   kernel ends a ring. It reports nothing about a file that memfd_create() itself has opened (Linux 6.14), but it does
//   report about one that is opened by way of /proc. So the program gets one of the second kind. inotify has the event
//   before close() or munmap() returns.
//
// Without inotify or /proc, a ring is not watched. Then its numbers are checked whenever the helper thread wakes up and
// whenever a ring is set up (entry/gone.cc).
#pragma once

#include <stdint.h>
#include <atomic>

#include "state/ring_file.h"

namespace ringside::engine {

struct Ring;

// Opens the ring's memory `fd` once more, at the lowest free number, and closes `fd`. Returns the new descriptor.
// `reopened` is false if it had to be a duplicate: it then shares the open file with the engine's own mappings, so its
// closing is no event.
int reopen_ring_file(int fd, bool& reopened);

// Notes which file the ring's descriptor is, and watches it. Called before any other thread knows the ring.
void know_ring_file(Ring& ring, int fd, bool reopened);

// Called when the ring is gone: ends the watch.
void forget_ring_file(Ring& ring);

// Whether the descriptor stands for the ring's file.
bool is_ring_file(const Ring& ring, int fd);

// The ring that `fd` names. Null also if `fd` was a ring's number and is another file's by now.
Ring* ring_named(int fd);

// The same, with what the caller needs to lock the ring later. Returns 0; -EBADF; or -EOPNOTSUPP if `fd` is another
// file.
struct FoundRing;
int find_ring_named(int fd, FoundRing& found);

// A thread that looks at the closed files holds one of these until it has ended their rings. A second thread waits for
// it meanwhile. The caller blocks its signals.
class ClosedFilesInHand {
  public:
    ClosedFilesInHand();
    ~ClosedFilesInHand();
    ClosedFilesInHand(const ClosedFilesInHand&) = delete;
    ClosedFilesInHand& operator=(const ClosedFilesInHand&) = delete;

    // Returns the watch of the next closed file, or -1 if there is none.
    int next();
};

// Whether a file was closed whose ring may not have ended yet. `inotify` is the descriptor of watched_by(), or a copy.
bool are_some_closed(int inotify);

// Whether the ring's file may have been closed. end_gone_rings() finds out (entry/entry.h).
bool may_be_gone(const Ring& ring);

// Whether inotify may miss the end of some ring. From then on all rings are checked.
bool are_some_unwatched();

// The inotify descriptor, readable when a file was closed, for the helper thread's epoll set; -1 if nothing is watched.
int watched_by();

// Called when requests of the ring outlive the call that submitted them: the helper thread then notices the ring's end.
void wait_for_end_of_file(Ring& ring);

// Called in a child after fork: the watches are its parent's.
void forget_watches();

}  // namespace ringside::engine
