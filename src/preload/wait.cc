// libc's functions that wait for descriptors. A raw program's ring is memory behind its descriptor, which is always
// ready to poll() and unknown to epoll; the engine has another descriptor that is ready when the ring is.
#include <errno.h>

#include "preload/interposed.h"
#include "preload/next.h"
#include "preload/rings.h"
#include "preload/translated_poll.h"

namespace ringside::preload {
namespace {

int poll_translated(pollfd* entries, nfds_t count, int64_t timeout_ns, const sigset_t* mask) {
    TranslatedPoll translated(entries, count);
    if (!translated.is_loaded()) {
        errno = ENOMEM;
        return -1;
    }
    const int result = translated.wait(timeout_ns, mask);
    if (result >= 0) translated.store_answers(entries);
    return result;
}

// The fortified variants know the size of the program's array. libc's own function reports an array that is too
// small.
bool fits(nfds_t count, size_t size) { return count <= size / sizeof(pollfd); }

}  // namespace

extern "C" {

int interposed_poll(pollfd* entries, nfds_t count, int timeout_ms) {
    if (!TranslatedPoll::needed(entries, count)) return next.poll(entries, count, timeout_ms);
    return poll_translated(entries, count, timeout_ms < 0 ? for_ever : int64_t{timeout_ms} * 1'000'000, nullptr);
}

int interposed_poll_chk(pollfd* entries, nfds_t count, int timeout_ms, size_t size) {
    return fits(count, size) ? interposed_poll(entries, count, timeout_ms)
                             : next.poll_chk(entries, count, timeout_ms, size);
}

int interposed_ppoll(pollfd* entries, nfds_t count, const timespec* timeout, const sigset_t* mask) {
    const bool is_refused = timeout != nullptr && !is_valid(*timeout);
    if (is_refused || !TranslatedPoll::needed(entries, count)) return next.ppoll(entries, count, timeout, mask);
    return poll_translated(entries, count, timeout != nullptr ? nanoseconds_of(*timeout) : for_ever, mask);
}

int interposed_ppoll_chk(pollfd* entries, nfds_t count, const timespec* timeout, const sigset_t* mask, size_t size) {
    return fits(count, size) ? interposed_ppoll(entries, count, timeout, mask)
                             : next.ppoll_chk(entries, count, timeout, mask, size);
}

int interposed_epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
    if (own_ring(fd) != nullptr) note_ring_in_epoll(fd);
    const int polled = pollable(fd);
    if (polled == -EDEADLK) return static_cast<int>(answer_as_libc(polled));
    return next.epoll_ctl(epoll, operation, polled, event);
}

int interposed_epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms) {
    settle_rings_in_epoll();
    return next.epoll_wait(epoll, events, count, timeout_ms);
}

int interposed_epoll_pwait(int epoll, epoll_event* events, int count, int timeout_ms, const sigset_t* mask) {
    settle_rings_in_epoll();
    return next.epoll_pwait(epoll, events, count, timeout_ms, mask);
}

int interposed_epoll_pwait2(int epoll, epoll_event* events, int count, const timespec* timeout, const sigset_t* mask) {
    settle_rings_in_epoll();
    return next.epoll_pwait2(epoll, events, count, timeout, mask);
}

}  // extern "C"
}  // namespace ringside::preload
