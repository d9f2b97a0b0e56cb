// select() and pselect() on sets that name a ring. A ring's other descriptor may be too high a number for an fd_set, so
// such a wait is made with ppoll() and its answer put back into the sets.
#include <errno.h>
#include <string.h>

#include "preload/interposed.h"
#include "preload/next.h"
#include "preload/rings.h"
#include "preload/translated_poll.h"

namespace ringside::preload {
namespace {

// The poll events that the kernel's select() waits for, and the ones that count as ready, for each set.
constexpr short asked_in = POLLIN | POLLRDNORM | POLLRDBAND;
constexpr short asked_out = POLLOUT | POLLWRNORM | POLLWRBAND;
constexpr short asked_except = POLLPRI;
constexpr short means_in = asked_in | POLLHUP | POLLERR;
constexpr short means_out = asked_out | POLLERR;

struct Sets {
    int count;
    fd_set* in;
    fd_set* out;
    fd_set* except;

    // A program may have allocated sets for more than FD_SETSIZE descriptors, so FD_ISSET's own limit is not ours.
    static bool has(const fd_set* set, int fd) {
        return set != nullptr && (set->fds_bits[fd / NFDBITS] >> fd % NFDBITS & 1) != 0;
    }
    static void add(fd_set* set, int fd) { set->fds_bits[fd / NFDBITS] |= 1L << fd % NFDBITS; }
    static void clear(fd_set* set, int count) {
        if (set != nullptr) memset(set->fds_bits, 0, static_cast<size_t>(count + NFDBITS - 1) / NFDBITS * sizeof(long));
    }

    short asked_of(int fd) const {
        return static_cast<short>((has(in, fd) ? asked_in : 0) | (has(out, fd) ? asked_out : 0) |
                                  (has(except, fd) ? asked_except : 0));
    }
};

bool names_a_ring(const Sets& sets) {
    if (!may_have_rings()) return false;
    for (int fd = 0; fd < sets.count; ++fd) {
        if (sets.asked_of(fd) != 0 && find_own_ring(fd) != nullptr) return true;
    }
    return false;
}

// Fills `entries` with one entry for each descriptor in the sets. An entry has the program's number until it is
// translated.
nfds_t list(const Sets& sets, pollfd* entries) {
    nfds_t count = 0;
    for (int fd = 0; fd < sets.count; ++fd) {
        if (const short asked = sets.asked_of(fd); asked != 0) entries[count++] = {fd, asked, 0};
    }
    return count;
}

// Leaves only the ready descriptors in the sets. Returns the number of bits, or -EBADF.
int store(const pollfd* entries, nfds_t count, const Sets& sets) {
    for (nfds_t i = 0; i < count; ++i) {
        if ((entries[i].revents & POLLNVAL) != 0) return -EBADF;
    }
    Sets::clear(sets.in, sets.count);
    Sets::clear(sets.out, sets.count);
    Sets::clear(sets.except, sets.count);
    int bits = 0;
    const auto put = [&bits](const pollfd& entry, short asked, short means, fd_set* set) {
        if ((entry.events & asked) == 0 || (entry.revents & means) == 0) return;
        Sets::add(set, entry.fd);
        ++bits;
    };
    for (nfds_t i = 0; i < count; ++i) {
        put(entries[i], asked_in, means_in, sets.in);
        put(entries[i], asked_out, means_out, sets.out);
        put(entries[i], asked_except, asked_except, sets.except);
    }
    return bits;
}

// Returns as select(2).
int select_by_poll(const Sets& sets, int64_t timeout_ns, const sigset_t* mask) {
    const PollEntries room(static_cast<nfds_t>(sets.count));
    pollfd* named = room.get();
    if (named == nullptr) return static_cast<int>(answer_as_libc(-ENOMEM));
    const nfds_t count = list(sets, named);
    TranslatedPoll polled(named, count);
    if (!polled.is_loaded()) return static_cast<int>(answer_as_libc(-ENOMEM));
    const int result = polled.wait(timeout_ns, mask);
    if (result < 0) return result;
    polled.store_answers(named);
    return static_cast<int>(answer_as_libc(store(named, count, sets)));
}

}  // namespace

bool select_names_a_ring(int count, const fd_set* in, const fd_set* out, const fd_set* except) {
    return names_a_ring({count, const_cast<fd_set*>(in), const_cast<fd_set*>(out), const_cast<fd_set*>(except)});
}

extern "C" {

int interposed_pselect(int count, fd_set* in, fd_set* out, fd_set* except, const timespec* timeout,
                       const sigset_t* mask) {
    const Sets sets = {count, in, out, except};
    const bool is_refused = timeout != nullptr && !is_valid(*timeout);
    if (is_refused || !names_a_ring(sets)) return next.pselect(count, in, out, except, timeout, mask);
    return select_by_poll(sets, timeout != nullptr ? nanoseconds_of(*timeout) : for_ever, mask);
}

int interposed_select(int count, fd_set* in, fd_set* out, fd_set* except, timeval* timeout) {
    const Sets sets = {count, in, out, except};
    if (!names_a_ring(sets)) return next.select(count, in, out, except, timeout);
    if (timeout == nullptr) return select_by_poll(sets, for_ever, nullptr);
    // select() accepts any number of microseconds, and writes the remaining time back.
    const timespec time = {timeout->tv_sec + timeout->tv_usec / 1'000'000, timeout->tv_usec % 1'000'000 * 1000};
    if (!is_valid(time)) return next.select(count, in, out, except, timeout);
    const int64_t timeout_ns = nanoseconds_of(time);
    const int64_t begun_ns = now_ns();
    const int result = select_by_poll(sets, timeout_ns, nullptr);
    if (timeout_ns == for_ever) return result;
    const int64_t passed_ns = now_ns() - begun_ns;
    const int64_t left_us = passed_ns < timeout_ns ? (timeout_ns - passed_ns) / 1000 : 0;
    *timeout = {left_us / 1'000'000, left_us % 1'000'000};
    return result;
}

}  // extern "C"
}  // namespace ringside::preload
