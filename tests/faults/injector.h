// Has one system call of the engine fail once, as it might on any machine: no descriptor left, no memory, no thread.
//
// A seccomp filter hands each call that the engine makes to a supervisor, a thread of its own, which counts it and lets
// it pass or answers in the kernel's stead. The engine is told from the test by where the call is made: the engine's
// are in this program itself, the test's in the C library. Threads are what the C library starts in the engine's name.
//
// A filter cannot be taken off again, so a child process is spent on each fault.
#pragma once

#include <stddef.h>

#include <array>
#include <atomic>

namespace ringside::test {

constexpr long most_numbers = 512;

// The call to fail: the `nth` (from 1) of this number. No such call when it is 0.
struct Fault {
    long number = 0;
    unsigned nth = 0;
    int error = 0;  // an errno
};

// What the supervisor saw, in memory that the child shares with the test.
struct Sightings {
    std::array<std::atomic<unsigned>, most_numbers> calls;
    std::atomic<bool> injected;
};

// Has the supervisor watch the calling thread, and the threads that it will start, from now on. Returns 0 or -errno.
int inject(const Fault& fault, Sightings& sightings);

}  // namespace ringside::test
