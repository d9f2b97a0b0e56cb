// Has one call of the engine fail once, as it might on any machine: no descriptor left, no memory, no thread.
//
// A seccomp filter hands each system call that the engine makes to a supervisor, a thread of its own, which counts it
// and lets it pass or answers in the kernel's stead. The engine is told from the test by where the call is made: the
// engine's are in this program itself, the test's in the C library. Threads are what the C library starts in the
// engine's name. Requests for memory come by here because this program is linked that way (allocations.cc).
//
// A filter cannot be taken off again, so a child process is spent on each fault.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <array>
#include <atomic>

namespace ringside::test {

// What can fail: system calls by their numbers, and these.
enum Call : long { call_malloc = 500, call_calloc, call_realloc, call_aligned_alloc, call_count };

// The call to fail: the `nth` (from 1) of this number made at this place. No such call when the number is 0.
struct Fault {
    long number = 0;
    uintptr_t place = 0;
    unsigned nth = 0;
    int error = 0;  // an errno
};

// Where calls are made, and how many: in memory that the child shares with the test.
class Sightings {
  public:
    // Counts one more. Returns its number, from 1.
    unsigned note(long number, uintptr_t place);

    template <typename Visit>
    void for_each(Visit visit) const {
        for (const Site& site : sites_) {
            const uint64_t key = site.key.load();
            if (key != 0)
                visit(static_cast<long>(key >> place_bits), key & ((1UL << place_bits) - 1), site.calls.load());
        }
    }

    std::atomic<bool> injected = false;

  private:
    static constexpr int place_bits = 48;  // of an address in user space

    struct Site {
        std::atomic<uint64_t> key = 0;  // number and place
        std::atomic<unsigned> calls = 0;
    };
    std::array<Site, 1024> sites_;
};

// Empty ones, always at the same address.
Sightings& fresh_sightings();

// Has the calling thread, and the threads that it will start, watched from now on. Returns 0 or -errno.
int inject(const Fault& fault, Sightings& sightings);

// The same, but the call is made, only later: when `go_on` is true.
int hold_back(const Fault& call, Sightings& sightings, const std::atomic<bool>& go_on);

// Whether this request for memory, which is made at `place`, is to fail.
bool fails(Call call, const void* place);

}  // namespace ringside::test
