// A copy of a program's poll set that contains rings. In the place of a ring's descriptor it has the descriptor to
// poll for that ring.
//
// While it waits, the thread also does the work of its rings (entry/engine.h), so one wait may consist of several
// sleeps.
#pragma once

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "entry/engine.h"

namespace ringside::preload {

inline constexpr int64_t nanoseconds_per_second = 1'000'000'000;
inline constexpr int64_t for_ever = INT64_MAX;

// Of CLOCK_MONOTONIC, by which polls are timed.
int64_t now_ns();

// Whether the kernel takes it for a time-out, and how long that is.
bool is_valid(const timespec& time);
int64_t nanoseconds_of(const timespec& time);

// Room for poll entries: of a usual number on the stack, of more in pages of their own, since poll() may be called
// where malloc() may not.
class PollEntries {
  public:
    explicit PollEntries(nfds_t count);
    ~PollEntries();
    PollEntries(const PollEntries&) = delete;
    PollEntries& operator=(const PollEntries&) = delete;

    // Null where there was no memory.
    pollfd* get() const { return entries_; }

  private:
    static constexpr nfds_t small = 64;
    pollfd on_stack_[small];
    pollfd* entries_ = on_stack_;
    size_t mapped_ = 0;
};

class TranslatedPoll {
  public:
    // Translates the program's `count` entries. The program's array is not changed before store_answers().
    TranslatedPoll(const pollfd* program, nfds_t count);

    // Whether there was memory.
    bool is_loaded() const { return entries_ != nullptr; }

    // Whether a ring of this process is among the entries.
    static bool needed(const pollfd* entries, nfds_t count);

    // As ppoll(2).
    int wait(int64_t timeout_ns, const sigset_t* mask);

    // The answers, for the program's array.
    void store_answers(pollfd* program) const;

  private:
    // The thread polls rings beyond these without doing their work.
    static constexpr unsigned most_rings = 8;

    void load(const pollfd* program);
    bool begin(int64_t& limit_ns);
    bool would_wait_for_itself() const;
    void end(bool slept);
    int wait_in_sleeps(int64_t timeout_ns, const sigset_t* mask);
    int sleep(int64_t limit_ns, const sigset_t* mask);
    int count_ready() const;

    nfds_t count_;
    PollEntries room_;
    pollfd* entries_;
    engine::RingInPoll rings_[most_rings];
    nfds_t ring_at_[most_rings];
    unsigned ring_count_ = 0;
};

// The descriptor to poll in place of `fd`: `fd` itself where it is no ring.
int pollable(int fd);

}  // namespace ringside::preload
