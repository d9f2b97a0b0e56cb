// epoll and eventfd as the services use them. No errno; results are the kernel's.
#pragma once

#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>

namespace ringside::engine {

inline constexpr int events_per_wait = 64;

// A non-blocking eventfd at a high number, or -errno; and one's count made non-zero, and zero again.
int new_eventfd();
void raise_eventfd(int eventfd);
void lower_eventfd(int eventfd);

// An epoll set at a high number, or -errno.
int new_epoll_set();

// An epoll set with a bell in it, which wakes who sleeps in the set. It is rung by a call that fails where the program
// has put something else in the place of one of the two numbers, so that nothing of the program's is ever written to.
// A thread with another table rings it by raise_eventfd().
struct BelledSet {
    int set = -1;
    int bell = -1;
};
// Returns 0 or -errno.
int make_belled_set(BelledSet& belled, uint64_t cookie);
void ring_bell(int set, int bell, uint64_t cookie);
// Closes what is the engine's still.
void close_belled_set(int& set, int& bell, uint64_t cookie);

// Whether poll and epoll accept this file; false for every file on disk. True for a closed descriptor: the caller gets
// -EBADF from its next call.
bool can_be_polled(int fd);
// Whether epoll accepts this file. Files on disk are tried too, because some of /proc and /sys can be polled.
bool is_known_to_epoll(int fd);

int epoll_control(int epoll_fd, int operation, int fd, uint32_t events, uint64_t cookie);

// Waits for up to events_per_wait events, `timeout_ns` at most (no_deadline: for ever), under a signal mask if one is
// given. Returns their number or -errno.
int wait_in_set(int epoll_fd, epoll_event* events, int64_t timeout_ns, const sigset_t* mask);

// Whether something in the set is ready now; takes nothing out of it.
bool set_is_ready(int epoll_fd);

// Waits until an eventfd is raised, and lowers it. Without one (-1) it sleeps. Returns as ppoll does.
int wait_on_eventfd(int eventfd, int64_t timeout_ns, const sigset_t* mask);

}  // namespace ringside::engine
