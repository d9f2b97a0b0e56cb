// The engine's rings among this process's file descriptors, as the interposers ask for them.
//
// A process without an engine ring pays one load and a branch. And a descriptor counts as a ring only in the process
// that made it: a child of vfork() runs on its parent's memory, and closing its own descriptors must not close the
// parent's rings.
#pragma once

#include <sys/types.h>

#include <atomic>

#include "entry/engine.h"

namespace ringside::preload {

// The process that has rings, or 0. (A forked child has this from its parent, until it makes rings of its own.)
extern std::atomic<pid_t> process_with_rings;

inline bool may_have_rings() { return process_with_rings.load(std::memory_order_relaxed) != 0; }

// The ring behind a descriptor, or null. Only for a process that may have rings.
engine::Ring* find_own_ring(int fd);

inline engine::Ring* own_ring(int fd) { return may_have_rings() ? find_own_ring(fd) : nullptr; }

// Notes that `fd` is a ring's descriptor from now on, in this process.
void note_ring(int fd);

// Notes that a ring stands in an epoll set, and brings the descriptor that stands there for it in line with the ring,
// for each that was noted: the program reaps from memory without a word to us, and would find it ready for ever.
void note_ring_in_epoll(int fd);
void settle_rings_in_epoll();

// Closes each ring with a descriptor in [first, last].
void close_rings_between(unsigned first, unsigned last);

}  // namespace ringside::preload
