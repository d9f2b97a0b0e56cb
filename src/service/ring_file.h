// The file behind a ring's descriptors: how a number is known to stand for the ring still, and how the engine learns
// that the last descriptor is gone.
//
// Of a descriptor that a program closes with an instruction of its own nobody tells the engine. Two things help:
//
//   Each ring of a raw program is a file with an inode of its own. A number in the registry that stands for another
//   file is not believed.
//
//   inotify reports when the last descriptor and the last mapping of an open file are gone, which is when the kernel
//   ends a ring, too. It reports nothing of a file that memfd_create() itself has opened (Linux 6.14), and everything
//   of one that is opened by way of /proc. So the program gets the second kind. The event is there before close() or
//   munmap() returns.
//
// Where inotify or /proc is not to be had, a ring is not watched: its numbers are looked at instead, whenever the
// helper thread wakes up and whenever a ring is set up (entry/gone.cc).
#pragma once

#include <stdint.h>
#include <atomic>

#include "state/ring_file.h"

namespace ringside::engine {

struct Ring;

// Opens the ring's memory `fd` once more, at the lowest free number, and closes `fd`. Says whether that could be done:
// else the descriptor is of the same open file as the engine's own mappings, whose end is no event. Returns the
// descriptor.
int reopen_ring_file(int fd, bool& reopened);

// Notes which file the ring's descriptor is, and watches it. Called before anybody else knows the ring.
void know_ring_file(Ring& ring, int fd, bool reopened);

// The ring is gone.
void forget_ring_file(Ring& ring);

// Whether the descriptor stands for the ring's file.
bool is_ring_file(const Ring& ring, int fd);

// The ring that `fd` names, or null: also where `fd` was a ring's number and is another file's by now.
Ring* ring_named(int fd);

// The same with what is needed to lock it later. Returns 0, -EBADF, or -EOPNOTSUPP of what is another file.
struct FoundRing;
int find_ring_named(int fd, FoundRing& found);

// Who looks at the files that were closed holds one of these until their rings have ended. One thread does at a time,
// and a second waits for it, with its signals blocked.
class ClosedFilesInHand {
  public:
    ClosedFilesInHand();
    ~ClosedFilesInHand();
    ClosedFilesInHand(const ClosedFilesInHand&) = delete;
    ClosedFilesInHand& operator=(const ClosedFilesInHand&) = delete;

    // The watch of a file that was closed since this was last asked; -1: none.
    int next();
};

// Whether some file was closed whose ring may not have ended yet. `inotify` is any descriptor of what watched_by() is.
bool are_some_closed(int inotify);

// Whether the ring's file may have been closed, of which end_gone_rings() knows more (entry/entry.h).
bool may_be_gone(const Ring& ring);

// Whether the end of some ring may go unreported. From then on all rings are looked at.
bool are_some_unwatched();

// What is readable when a file was closed, for the helper thread's epoll set; -1 where nothing is watched.
int watched_by();

// Requests of the ring outlive the call that submitted them: its end has to be noticed without a call.
void wait_for_end_of_file(Ring& ring);

// In a child after fork: its parent's watches are not its own.
void forget_watches();

}  // namespace ringside::engine
