#include "os/epoll.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <atomic>

#include "abi/syscall.h"
#include "os/clock.h"
#include "os/fds.h"

#ifndef __NR_epoll_pwait2
#define __NR_epoll_pwait2 441
#endif

namespace ringside::engine {
namespace {

constexpr size_t kernel_sigset_size = 8;

// A time-out as the system calls take it: null for none.
struct Limit {
    explicit Limit(int64_t ns)
        : time{static_cast<time_t>(ns / nanoseconds_per_second), static_cast<long>(ns % nanoseconds_per_second)},
          endless(ns == no_deadline) {}
    timespec* get() { return endless ? nullptr : &time; }

    timespec time;
    bool endless;
};

int poll_one(int fd, int64_t timeout_ns, const sigset_t* mask) {
    Limit limit(timeout_ns);
    pollfd set = {fd, POLLIN, 0};
    return static_cast<int>(abi::syscall(__NR_ppoll, &set, 1, limit.get(), mask, kernel_sigset_size));
}

}  // namespace

int new_eventfd() { return move_high(static_cast<int>(abi::syscall(__NR_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK))); }

void raise_eventfd(int eventfd) {
    const uint64_t one = 1;
    abi::syscall(__NR_write, eventfd, &one, sizeof(one));
}

void lower_eventfd(int eventfd) {
    uint64_t count;
    abi::syscall(__NR_read, eventfd, &count, sizeof(count));
}

int new_epoll_set() { return move_high(static_cast<int>(abi::syscall(__NR_epoll_create1, EPOLL_CLOEXEC))); }

int make_belled_set(BelledSet& belled, uint64_t cookie) {
    belled.set = new_epoll_set();
    if (belled.set < 0) return belled.set;
    // Always readable: to change its entry in the set is an event then.
    belled.bell = move_high(static_cast<int>(abi::syscall(__NR_eventfd2, 1, EFD_CLOEXEC | EFD_NONBLOCK)));
    const int added = belled.bell < 0
                          ? belled.bell
                          : epoll_control(belled.set, EPOLL_CTL_ADD, belled.bell, EPOLLIN | EPOLLET, cookie);
    if (added < 0) {
        drop_fd(belled.bell);
        drop_fd(belled.set);
        return added;
    }
    // To be added was one, too.
    epoll_event first[events_per_wait];
    wait_in_set(belled.set, first, 0, nullptr);
    return 0;
}

void ring_bell(int set, int bell, uint64_t cookie) {
    const int result = epoll_control(set, EPOLL_CTL_MOD, bell, EPOLLIN | EPOLLET, cookie);
    const bool is_lost = result == -EBADF || result == -EINVAL || result == -ENOENT || result == -EPERM;
    if (result < 0 && !is_lost) epoll_control(set, EPOLL_CTL_MOD, bell, EPOLLIN | EPOLLET, cookie);
}

void close_belled_set(int& set, int& bell, uint64_t cookie) {
    if (set >= 0 && epoll_control(set, EPOLL_CTL_MOD, bell, EPOLLIN | EPOLLET, cookie) == 0) {
        close_fd(bell);
        close_fd(set);
    }
    set = bell = -1;
}

int epoll_control(int epoll_fd, int operation, int fd, uint32_t events, uint64_t cookie) {
    epoll_event event = {};
    event.events = events;
    event.data.u64 = cookie;
    return static_cast<int>(abi::syscall(__NR_epoll_ctl, epoll_fd, operation, fd, &event));
}

bool can_be_polled(int fd) { return !is_on_disk(fd) && is_known_to_epoll(fd); }

bool is_known_to_epoll(int fd) {
    const int set = new_epoll_set();
    if (set < 0) return true;
    const int result = epoll_control(set, EPOLL_CTL_ADD, fd, EPOLLIN, 0);
    close_fd(set);
    return result != -EPERM;
}

int wait_in_set(int epoll_fd, epoll_event* events, int64_t timeout_ns, const sigset_t* mask) {
    static std::atomic<bool> has_pwait2{true};  // since Linux 5.11
    if (has_pwait2.load(std::memory_order_relaxed)) {
        Limit limit(timeout_ns);
        const long count =
            abi::syscall(__NR_epoll_pwait2, epoll_fd, events, events_per_wait, limit.get(), mask, kernel_sigset_size);
        if (count != -ENOSYS && count != -EPERM) return static_cast<int>(count);
        has_pwait2.store(false, std::memory_order_relaxed);
    }
    // Without epoll_pwait2, waits by ppoll, which is as exact in time, and then takes the events.
    const int ready = poll_one(epoll_fd, timeout_ns, mask);
    if (ready <= 0) return ready;
    return static_cast<int>(abi::syscall(__NR_epoll_pwait, epoll_fd, events, events_per_wait, 0, nullptr, 0));
}

bool set_is_ready(int epoll_fd) { return poll_one(epoll_fd, 0, nullptr) > 0; }

int wait_on_eventfd(int eventfd, int64_t timeout_ns, const sigset_t* mask) {
    const int ready = poll_one(eventfd, timeout_ns, mask);
    if (ready > 0) lower_eventfd(eventfd);
    return ready;
}

}  // namespace ringside::engine
