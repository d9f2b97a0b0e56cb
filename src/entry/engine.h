// The engine's front door: the three io_uring system calls as functions, and what the faces (liburing, preload, the C++
// API) need beside them because a user-space ring has no kernel object behind its file descriptor.
//
// Nothing else enters the engine. Every function answers as the kernel does: a value >= 0, or -errno; errno itself is
// left alone.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "liburing/io_uring.h"
#include "service/carrier.h"
#include "state/face.h"

namespace ringside::engine {

struct Ring;

// io_uring_setup(2). Returns the ring's file descriptor (close-on-exec).
int setup(unsigned entries, io_uring_params* params, Face face);

// io_uring_enter(2) and io_uring_register(2) by file descriptor (or by registered index, as the flags say).
int enter(unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg, size_t arg_size);
int register_call(unsigned fd, unsigned opcode, void* arg, unsigned nr_args);

// The ring behind a file descriptor, or null. The pointer stays good until the ring is closed.
Ring* find(int fd);

// The same, for a number that the program may have closed without the engine's knowledge, and that may be another
// file's by now. If so, returns null, and ends the ring unless it has other names. Call it without a ring's lock.
Ring* find_named(int fd);

// For a face that sees the program set up the ring behind `fd` by an instruction of its own. The program will close it
// in the same way, so a thread has to watch for that while workers have requests of the ring.
void expect_unseen_close(int fd);

// As enter() above, without the look-up, for a face that keeps a pointer to the ring.
int enter(Ring& ring, unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg, size_t arg_size);

// The engine's own mapping of a ring's memory, for an mmap offset as the kernel knows them. Null where the kernel's
// mmap would fail. It goes with the ring: the caller does not unmap it.
void* map(Ring& ring, uint64_t offset, size_t length);

// Closes the ring: requests in flight are cancelled and gone, and no memory of the program is touched, when it returns.
// `fd` is one of the ring's descriptors; the ring goes with the last of them (see note_dup).
int close(int fd);

// For a face that sees the program duplicate a ring's descriptor: `copy` is another name of the ring behind `fd`.
void note_dup(int fd, int copy);

// A descriptor that is readable while the ring has completions to reap, for the program's poll and epoll calls. The
// same for each call; owned by the ring.
int readiness_fd(Ring& ring);

// A ring among the descriptors of a poll(2) or similar call of the program, for a face that sees the call.
struct RingInPoll {
    Ring* ring;
    unsigned generation;
    uint32_t serial;
    short events;      // the requested events, as in pollfd
    bool leads;        // the caller is the ring's leader meanwhile
    int fd;            // to be polled for POLLIN in the ring's place, or -1
    int nudge_fd;      // to be polled as well, or -1
    int64_t limit_ns;  // the longest time to sleep; INT64_MAX: for ever
};

// Fills `polled` if `fd` is a ring. Returns whether it is.
bool find_polled(int fd, short events, RingInPoll& polled);

// Call it before the thread sleeps. Returns which of the events hold already. Only if none does, the thread may sleep.
short begin_poll(RingInPoll& polled);

// Call it after each sleep. `happened` says whether `fd` was readable. Returns which events hold now. If none does, and
// neither another descriptor nor the program's timeout ended the wait, call begin_poll() again and sleep on.
short end_poll(RingInPoll& polled, bool happened);

}  // namespace ringside::engine
