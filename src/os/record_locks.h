// Closes the engine's duplicates of the program's files without dropping the program's record locks (fcntl(2),
// F_SETLK).
//
// When a process closes any descriptor of a file, it loses all record locks that it has on the file, whichever
// descriptor they were set by. The kernel's io_uring holds registered files without descriptors, so emptying a slot
// drops no lock. Here a slot holds a descriptor in the program's table, because requests are made with it.
//
// So before it closes such a descriptor, the engine asks the kernel whether the process has record locks on the file.
// If it has, the descriptor is *parked*: it stays open. The engine checks the parked descriptors from time to time, and
// closes those of files that have no lock any more. A file stays parked only while the program has it open too, because
// the program's own close drops the locks. If the program registers the same open file again, it gets the parked
// descriptor.
//
// A lock that another thread sets between the question and the closing is lost.
//
// Only threads with the program's table call these functions. The lock in here comes after all others.
#pragma once

namespace ringside::engine {

// Whether the process has record locks on the file. Also true if the file is on disk and the kernel does not tell.
bool has_record_locks(int fd);

// Closes the engine's duplicate of a file of the program, or parks it. Returns whether it is closed.
bool close_or_park(int fd);

// Returns a parked descriptor of the same open file, which the caller then owns; -1 if there is none.
int take_parked(int fd);

// Closes the parked descriptors whose files have no lock any more. Returns whether some are left.
bool look_at_parked();

// Around a fork: while held, the list of parked descriptors does not change.
void hold_parked();
void release_parked();

// Called in a child after fork, which has no record locks. If `closes`, it closes the inherited descriptors: their
// numbers are then sure to be ours.
void forget_parked(bool closes);

}  // namespace ringside::engine
