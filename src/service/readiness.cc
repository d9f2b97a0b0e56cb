#include "service/readiness.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>

#include "abi/syscall.h"
#include "os/epoll.h"
#include "os/fds.h"
#include "process/callbacks.h"
#include "service/helper.h"
#include "service/path_face.h"
#include "state/ring.h"
#include "state/timers.h"

namespace ringside::engine {
namespace {

constexpr uint64_t eventfd_cookie = 0, marker_cookie = 1, alarm_cookie = 2;

// A program that polls begins early in a ring's life. So the first completions ask each time.
constexpr uint8_t asked_each_time = 8;

// Twice the time for which completions go unreported, because coarse time may be late by as much.
constexpr int64_t ask_interval_ns = 10'000'000;
constexpr int64_t alarm_ns = 2 * ask_interval_ns;

// An eventfd can always be written to, so with EPOLLOUT the marker becomes ready. With no events it is not ready any
// more, but stays in the ready list until somebody polls the set.
int mark(const Readiness& readiness, int operation, uint32_t events) {
    return epoll_control(readiness.own, operation, readiness.marker, events, marker_cookie);
}

bool fill_set(Readiness& readiness) {
    readiness.eventfd = new_eventfd();
    readiness.marker = readiness.eventfd < 0 ? -1 : duplicate_high(readiness.eventfd);
    return readiness.marker >= 0 && mark(readiness, EPOLL_CTL_ADD, EPOLLOUT) == 0 &&
           mark(readiness, EPOLL_CTL_MOD, 0) == 0 &&
           epoll_control(readiness.own, EPOLL_CTL_ADD, readiness.eventfd, EPOLLIN, eventfd_cookie) == 0;
}

// Call it while the eventfd is raised: then both entries are ready, and their order tells.
bool ask_whether_polled(const Readiness& readiness) {
    epoll_event events[events_per_wait];
    mark(readiness, EPOLL_CTL_MOD, EPOLLOUT);
    const int count = wait_in_set(readiness.own, events, 0, nullptr);
    mark(readiness, EPOLL_CTL_MOD, 0);
    for (int i = 0; i < count && events[i].data.u64 != marker_cookie; ++i) {
        if (events[i].data.u64 == eventfd_cookie) return true;
    }
    return false;
}

void set_alarm(Readiness& readiness, int64_t ns) {
    const itimerspec when = {{0, 0}, {0, static_cast<long>(ns)}};
    abi::syscall(__NR_timerfd_settime, readiness.alarm, 0, &when, nullptr);
}

bool make_alarm(Readiness& readiness) {
    if (readiness.alarm >= 0) return true;
    const long timer = abi::syscall(__NR_timerfd_create, CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    readiness.alarm = move_high(static_cast<int>(timer));
    const bool made = epoll_control(readiness.own, EPOLL_CTL_ADD, readiness.alarm, EPOLLIN, alarm_cookie) == 0;
    if (!made) drop_fd(readiness.alarm);
    return made;
}

void note_polled(Readiness& readiness) {
    readiness.polled = true;
    mark(readiness, EPOLL_CTL_DEL, 0);
    drop_fd(readiness.marker);
    drop_fd(readiness.alarm);
}

// Called when a ring that is not known to be polled has completed something.
void look_for_pollers(Readiness& readiness, bool told_before) {
    const int64_t now = now_ns(CLOCK_MONOTONIC_COARSE);
    if (readiness.asked < asked_each_time || now >= readiness.ask_again_ns) {
        if (readiness.asked < asked_each_time) ++readiness.asked;
        readiness.ask_again_ns = now + ask_interval_ns;
        if (ask_whether_polled(readiness)) return note_polled(readiness);
    }
    // The ring goes on completing while the eventfd is raised. Do not report completions for a while.
    if (!told_before || !make_alarm(readiness)) return;
    set_alarm(readiness, alarm_ns);
    readiness.silent_until_ns = now + ask_interval_ns;
}

// A function of its own, so that rings that are not polled only pay for a comparison of times.
__attribute__((noinline)) void tell_pollers(Ring& ring) {
    Readiness& readiness = ring.readiness;
    const bool told_before = readiness.raised;
    readiness.raised = true;
    raise_eventfd(readiness.eventfd);
    if (!readiness.polled) look_for_pollers(readiness, told_before);
    if (readiness.polled && readiness.own >= 0) await_reaping(ring);
}

}  // namespace

int new_ring_descriptor(Readiness& readiness) {
    readiness.own = static_cast<int>(abi::syscall(__NR_epoll_create1, EPOLL_CLOEXEC));
    if (readiness.own < 0 || fill_set(readiness)) return readiness.own;
    // Few descriptors are left, or none. The eventfd alone is enough, if the ring counts as polled from the beginning.
    close_fd(readiness.own);
    drop_readiness(readiness);
    readiness.eventfd = static_cast<int>(abi::syscall(__NR_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
    readiness.own = readiness.eventfd;
    readiness.polled = true;
    return readiness.own;
}

// Only the ring's own set has its eventfd as an entry. To set the entry's events to what they are makes no difference
// to those who poll the set.
bool is_own_descriptor(const Readiness& readiness, int fd) {
    if (readiness.own == readiness.eventfd) return can_be_polled(fd);
    return epoll_control(fd, EPOLL_CTL_MOD, readiness.eventfd, EPOLLIN, eventfd_cookie) == 0;
}

int polled_descriptor(Ring& ring) {
    Readiness& readiness = ring.readiness;
    if (readiness.own >= 0) return readiness.own;
    if (readiness.eventfd < 0) readiness.eventfd = new_eventfd();
    readiness.polled = true;
    const bool holds = completions_ready(ring) != 0 || ring.announced;
    if (holds && !readiness.raised) raise_readiness(ring);
    lower_readiness(ring);
    return readiness.eventfd;
}

void raise_readiness(Ring& ring) {
    const Readiness& readiness = ring.readiness;
    const bool silent = readiness.raised && readiness.silent_until_ns != 0;
    if (silent && now_ns(CLOCK_MONOTONIC_COARSE) < readiness.silent_until_ns) return;
    tell_pollers(ring);
}

void lower_readiness(Ring& ring) {
    Readiness& readiness = ring.readiness;
    if (!readiness.raised || completions_ready(ring) != 0 || ring.announced) return;
    readiness.raised = false;
    lower_eventfd(readiness.eventfd);
    if (readiness.silent_until_ns == 0) return;
    readiness.silent_until_ns = 0;
    if (readiness.alarm >= 0) set_alarm(readiness, 0);
}

void drop_readiness(Readiness& readiness) {
    if (readiness.eventfd != readiness.own) drop_fd(readiness.eventfd);
    drop_fd(readiness.marker);
    drop_fd(readiness.alarm);
    readiness = {};
}

}  // namespace ringside::engine
