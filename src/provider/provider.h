// The only place that knows that there are two: the kernel's io_uring and our engine, behind one set of calls.
//
// All calls return a value >= 0, or -errno.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "entry/engine.h"
#include "liburing/io_uring.h"

namespace ringside::provider {

enum class Kind : uint8_t { kernel, engine };

// What a program asked for: RINGSIDE_PROVIDER in the environment, or set_wish().
enum class Wish : uint8_t { automatic, kernel, engine };

// Which provider runs a ring, and why.
struct Choice {
    Kind kind;
    Wish wish;
    int refusal;         // errno with which the kernel refused io_uring_setup, 0 where it did not or was not asked
    const char* reason;  // one English sentence without a full stop, static storage
};

// The choice for the next ring. With Wish::automatic the kernel is asked once (by setting up a smallest ring) and a
// refusal for good (EPERM, ENOSYS, EACCES, EOPNOTSUPP) makes the process take the engine from then on.
// With Wish::engine no io_uring system call is ever made, since a policy may kill for it.
Choice choose();

// Overrides RINGSIDE_PROVIDER for the rings set up from now on.
void set_wish(Wish wish);

// io_uring_setup(2) on a given provider.
int setup(Kind kind, unsigned entries, io_uring_params* params, engine::Face face);

// io_uring_enter(2), io_uring_register(2), mmap(2) and close(2) on a ring of a given provider.
int enter(Kind kind, int fd, unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg,
          size_t arg_size);
int register_call(Kind kind, unsigned fd, unsigned opcode, void* arg, unsigned nr_args);
int close(Kind kind, int fd);

// The provider behind a ring's file descriptor: the engine's if the engine knows it, else the kernel.
Kind kind_of(int fd);

const char* name(Kind kind);

// What a system call costs this process, and what an attempt costs that the engine makes together with others by
// io_submit(2), in nanoseconds; 0 for the second if that call is refused. Measured anew by each call, in about 0.5 ms.
engine::CarryingCosts measure_costs();

// Whether the first ring is about to be set up and RINGSIDE_VERBOSE=1 asks who runs it: true at most once.
bool announcement_due();

// Tells it on stderr; `remark` ends the line.
void announce(const Choice& choice, const char* remark);

}  // namespace ringside::provider
