// The engine's front door: the three io_uring system calls as functions, and what the faces (liburing, preload, the C++
// API) need beside them because a user-space ring has no kernel object behind its file descriptor.
//
// Nothing else enters the engine. Every function answers as the kernel does: a value >= 0, or -errno; errno itself is
// left alone.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "liburing/io_uring.h"
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

// The same where a number must not be believed too easily: the program may have closed it without our knowledge and
// have another file there. Then the ring is ended, unless it has other names. For callers without a ring's lock.
Ring* find_named(int fd);

// For whoever sees that the program has set up the ring behind `fd` by an instruction of its own: it will close it so,
// and a thread has to wait for that while a worker has requests of the ring.
void expect_unseen_close(int fd);

// As enter() above, without the look-up: for a face that keeps the ring at hand.
int enter(Ring& ring, unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg, size_t arg_size);

// The engine's own mapping of a ring's memory, for an mmap offset as the kernel knows them. Null where the kernel's
// mmap would fail. It goes with the ring: the caller does not unmap it.
void* map(Ring& ring, uint64_t offset, size_t length);

// Closes the ring: requests in flight are cancelled and gone, and no memory of the program is touched, when it returns.
// `fd` is one of the ring's descriptors; the ring goes with the last of them (see note_dup).
int close(int fd);

// For whoever sees the program duplicate a ring's descriptor: `copy` is another name of the ring behind `fd`.
void note_dup(int fd, int copy);

// A descriptor that is readable while the ring has completions to reap, for the program's poll and epoll calls. The
// same for each call; owned by the ring.
int readiness_fd(Ring& ring);

// For whoever sees the program wait for a ring in poll(2) or the like: a ring among what is polled.
struct RingInPoll {
    Ring* ring;
    unsigned generation;
    uint32_t serial;
    short events;      // that are asked for, as poll has them
    bool leads;        // the caller handles what happens to the ring meanwhile
    int fd;            // to be polled for POLLIN in the ring's place, or -1
    int nudge_fd;      // to be polled as well, or -1
    int64_t limit_ns;  // for so long at most; INT64_MAX: for ever
};

// Fills it for a ring behind a descriptor. Returns whether that is one.
bool find_polled(int fd, short events, RingInPoll& polled);

// To be called before the thread sleeps. Returns what holds of the events; only if nothing does, it is to sleep.
short begin_poll(RingInPoll& polled);

// To be called behind each sleep: `happened` says whether `fd` was readable. Returns what holds now. If nothing does,
// and neither anything else nor the program's time-out ended the wait, it goes on with begin_poll().
short end_poll(RingInPoll& polled, bool happened);

}  // namespace ringside::engine
