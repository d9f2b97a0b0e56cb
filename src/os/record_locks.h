// Closing descriptors of ours without dropping the program's record locks (fcntl(2), F_SETLK).
//
// Whoever closes a descriptor in a process's table drops all record locks that the process has on the file, whatever
// descriptor they were set by. What the kernel's io_uring has of a file is no descriptor, so emptying the slot of a
// registered file drops none. Here a slot has a descriptor in the program's table, by which requests are made.
//
// So before such a descriptor is closed, the kernel is asked whether the process has record locks on the file. If it
// has, the descriptor is *parked*: it stays open. Somebody looks at the parked ones from time to time, and closes those
// of files on which no lock is left. A file is parked only while the program has it open too: its locks would be gone
// otherwise. A program that registers the same open file again gets the parked descriptor.
//
// A lock that another thread sets between the question and the closing is lost.
//
// All this is for threads with the program's table of descriptors. The lock in here comes after all others.
#pragma once

namespace ringside::engine {

// Whether the process has record locks on the file, which is on a disk. True as well where nobody tells.
bool has_record_locks(int fd);

// Closes a descriptor of ours of a file of the program's, or parks it. Returns whether it is closed.
bool close_or_park(int fd);

// A parked descriptor of the same open file, which is the caller's from then on; -1 when there is none.
int take_parked(int fd);

// Closes those that may be closed. Returns whether some are left.
bool look_at_parked();

// A fork takes what is parked between two steps.
void hold_parked();
void release_parked();

// In a child after fork, which has no record locks. Closes what it has inherited, if its numbers are sure to be ours.
void forget_parked(bool closes);

}  // namespace ringside::engine
