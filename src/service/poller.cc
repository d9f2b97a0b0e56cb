#include "service/poller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "path/path.h"
#include "service/epoll.h"
#include "service/poll_call.h"
#include "service/timers.h"
#include "service/workers.h"
#include "state/fds.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr unsigned slots_per_page = 64;
constexpr int no_number = -1;

// An event's cookie: the descriptor's number, and above it the count of its registration.
constexpr unsigned number_bits = 32;

// How many calls of the program go by without a look at most: it is as dear as some of them.
constexpr unsigned most_calls_unlooked = 16;

// --- Slots ----------------------------------------------------------------------------------------------------------

FdSlot* find_slot(const Poller& poller, uint64_t number) {
    const uint64_t page = number / slots_per_page;
    if (page >= poller.page_count || poller.pages[page] == nullptr) return nullptr;
    return &poller.pages[page][number % slots_per_page];
}

bool grow_pages(Poller& poller, unsigned wanted) {
    unsigned count = poller.page_count == 0 ? 16 : poller.page_count;
    while (count <= wanted) count *= 2;
    auto** pages = static_cast<FdSlot**>(realloc(poller.pages, count * sizeof(FdSlot*)));
    if (pages == nullptr) return false;
    memset(pages + poller.page_count, 0, (count - poller.page_count) * sizeof(FdSlot*));
    poller.pages = pages;
    poller.page_count = count;
    return true;
}

// The slot of a descriptor number, made if there is none; null when memory is out.
FdSlot* slot_for(Poller& poller, unsigned number) {
    const unsigned page = number / slots_per_page;
    if (page >= poller.page_count && !grow_pages(poller, page)) return nullptr;
    if (poller.pages[page] == nullptr) {
        poller.pages[page] = static_cast<FdSlot*>(calloc(slots_per_page, sizeof(FdSlot)));
        if (poller.pages[page] == nullptr) return nullptr;
    }
    return &poller.pages[page][number % slots_per_page];
}

// Registers a number for at least `events`, or again if it is registered: the kernel then looks at the file afresh, so
// readiness that came between the attempt and now is not missed. A number that stands for another file than the last
// time answers ENOENT to MOD; one that got its old file back answers EEXIST to ADD.
int register_number(Poller& poller, FdSlot& slot, int number, uint32_t events) {
    if (++poller.registrations == 0) ++poller.registrations;
    // What nobody waits for any more is an event now and then, and is not looked for among the requests.
    const uint32_t wanted = events | (slot.waiting.empty() ? 0 : slot.registered);
    const uint32_t mask = wanted | EPOLLET;
    const uint64_t cookie = uint64_t{poller.registrations} << number_bits | static_cast<uint32_t>(number);
    int result;
    if (slot.registered != 0) {
        result = epoll_control(poller.epoll_fd, EPOLL_CTL_MOD, number, mask, cookie);
        if (result == -ENOENT) result = epoll_control(poller.epoll_fd, EPOLL_CTL_ADD, number, mask, cookie);
    } else {
        result = epoll_control(poller.epoll_fd, EPOLL_CTL_ADD, number, mask, cookie);
        if (result == -EEXIST) result = epoll_control(poller.epoll_fd, EPOLL_CTL_MOD, number, mask, cookie);
    }
    slot.registered = result == 0 ? wanted : 0;
    slot.registration = poller.registrations;
    return result;
}

bool is_registered_for(const FdSlot& slot, const Request& request) {
    return (request.wait_events & ~slot.registered) == 0;
}

// Whether the request's file, which the batch holds, was registered for the same since it does: then any readiness that
// came after the request's attempt is an event.
bool is_registered_with_batch(const Request& request, const FdSlot& slot) {
    const HeldByBatch& held = request.ring->held_by_batch;
    const bool holds_it = held.file != nullptr && request.has(request_holds_slot) && request.fixed_file == held.file;
    return holds_it && static_cast<int32_t>(slot.registration - held.since) > 0 && is_registered_for(slot, request);
}

// A descriptor of our own that many requests may hold, as that of a registered file, is of one and the same file until
// it is closed, and then its number is forgotten.
bool stays_registered(const Request& request, int number, const FdSlot& slot) {
    const bool own = request.has(request_holds_slot) && number == request.fixed_file->fd;
    return own && !request.has(request_poll_first) && is_registered_for(slot, request);
}

// Who sleeps in the set may be about to handle an event that is older than the request.
bool events_may_be_old(const Poller& poller) { return poller.leader != nullptr && poller.leader->asleep; }

// Sees to it that readiness of the file becomes an event. Returns 0 or -errno.
int have_registered(Request& request, int number, FdSlot& slot) {
    Poller& poller = request.ring->poller;
    uint32_t registration = 0;
    if (is_registered_with_batch(request, slot) || stays_registered(request, number, slot)) {
        if (!events_may_be_old(poller)) registration = slot.registration;
    } else {
        const int registered = register_number(poller, slot, number, request.wait_events);
        if (registered < 0) return registered;
        registration = slot.registration;
    }
    if (!request.has(request_direct)) request.registration = registration;
    return 0;
}

// A request that goes on stays where it is.
bool goes_on(const Request& request) { return request.has(request_multishot); }

// As in the kernel: the last to come is the first to look, but those that open something take turns.
void put_in_line(FdSlot& slot, Request& request) {
    const bool takes_turns = operation_of(request).flags & op_opens;
    takes_turns ? slot.waiting.push_back(request) : slot.waiting.push_front(request);
}

// One that has looked in vain.
void put_in_line_anew(FdSlot& slot, Request& request) {
    if (operation_of(request).flags & op_opens) return;
    slot.waiting.remove(request);
    slot.waiting.push_front(request);
}

// Without a set nobody tells what is ready, so all is tried. As soon as there can be one they wait in it.
void look_at_unpolled(Ring& ring) {
    auto& unpolled = ring.poller.unpolled;
    if (unpolled.empty()) return;
    if (open_poller(ring) == 0) {
        while (Request* request = unpolled.first()) {
            disarm_poll(*request);
            arm(*request);
        }
        return;
    }
    Request* next;
    for (Request* at = unpolled.first(); at != nullptr; at = next) {
        next = unpolled.after(*at);
        retry_armed(*at);
    }
}

// --- Events ---------------------------------------------------------------------------------------------------------

// The requests that wait for the number are tried again. Those of the same registration are about the file to which it
// has happened, and are told what.
void handle_event(Ring& ring, uint32_t happened, uint64_t cookie, bool is_news) {
    FdSlot* slot = find_slot(ring.poller, static_cast<uint32_t>(cookie));
    if (slot == nullptr) return;
    const auto registration = static_cast<uint32_t>(cookie >> number_bits);
    Request* next;
    for (Request* at = slot->waiting.first(); at != nullptr; at = next) {
        next = slot->waiting.after(*at);
        if (!(happened & (at->wait_events | EPOLLERR | EPOLLHUP))) continue;
        const bool told = is_news && !at->has(request_direct) && at->registration == registration;
        ring.poller.happened = told ? happened : 0;
        const bool done = retry_armed(*at);
        ring.poller.happened = 0;
        if (!done && !goes_on(*at)) put_in_line_anew(*slot, *at);
    }
}

// --- Waiting --------------------------------------------------------------------------------------------------------

bool satisfied(Ring& ring, const Waiter& waiter) {
    return static_cast<int>(ring.completion.published - waiter.target_tail) >= 0 ||
           ring.completion.timeouts_fired != waiter.timeouts_seen || ring.closing;
}

int64_t sooner(int64_t a, int64_t b) { return a < b ? a : b; }

int lead(Ring& ring, Waiter& waiter, int64_t timeout_ns, const sigset_t* mask) RINGSIDE_REQUIRES(ring.lock) {
    Poller& poller = ring.poller;
    epoll_event events[events_per_wait];
    int64_t limit = begin_to_lead(ring, waiter, timeout_ns);
    // Without a set to sleep in (no descriptors left) there is nothing to be woken by, nor by what waited while there
    // was none: look again soon.
    const bool can_be_woken = open_poller(ring) == 0;
    if (!can_be_woken || !poller.unpolled.empty()) limit = sooner(limit, nanoseconds_per_second / 1000);
    const int epoll_fd = poller.epoll_fd;
    let_go_to_workers(ring);
    const int count = can_be_woken ? wait_in_set(epoll_fd, events, limit, mask) : wait_on_eventfd(-1, limit, mask);
    ring.lock.acquire();
    end_to_lead(ring, waiter);
    if (count > 0 && can_be_woken) handle_events(ring, events, count);
    look_at_unpolled(ring);
    ring.timers.expire();
    return count == -EINTR ? -EINTR : 0;
}

int follow(Ring& ring, Waiter& waiter, int64_t timeout_ns, const sigset_t* mask) RINGSIDE_REQUIRES(ring.lock) {
    Poller& poller = ring.poller;
    if (waiter.wake_fd < 0) {
        waiter.wake_fd = poller.spare_wake_fd >= 0 ? poller.spare_wake_fd : new_eventfd();
        poller.spare_wake_fd = -1;
    }
    const int64_t limit = waiter.wake_fd >= 0 ? timeout_ns : sooner(timeout_ns, nanoseconds_per_second / 1000);
    waiter.asleep = true;
    let_go_to_workers(ring);
    const int result = wait_on_eventfd(waiter.wake_fd, limit, mask);
    ring.lock.acquire();
    waiter.asleep = false;
    return result == -EINTR ? -EINTR : 0;
}

void wake(Ring& ring, Waiter& waiter) {
    if (!waiter.asleep) return;
    if (ring.poller.leader == &waiter) {
        wake_leader(ring);
    } else if (waiter.wake_fd >= 0) {
        raise_eventfd(waiter.wake_fd);
    }
}

}  // namespace

int open_poller(Ring& ring) {
    Poller& poller = ring.poller;
    if (poller.epoll_fd >= 0) return 0;
    const int set = new_epoll_set();
    if (set < 0) return set;
    const int wake = new_eventfd();
    poller.epoll_fd = set;
    if (wake < 0 || watch_eventfd(ring, wake, wake_cookie) < 0) {
        drop_fd(poller.epoll_fd);
        if (wake >= 0) close_fd(wake);
        return -EMFILE;
    }
    poller.wake_fd = wake;
    return 0;
}

int watch_eventfd(Ring& ring, int eventfd, uint64_t cookie) {
    // Edge-triggered: each write is an event, and nobody has to read.
    return epoll_control(ring.poller.epoll_fd, EPOLL_CTL_ADD, eventfd, EPOLLIN | EPOLLET, cookie);
}

int arm_poll(Request& request, int number) {
    Ring& ring = *request.ring;
    Poller& poller = ring.poller;
    if (open_poller(ring) < 0) {
        request.poll_number = no_number;
        poller.unpolled.push_back(request);
        ++poller.armed;
        return 0;
    }
    FdSlot* slot = slot_for(poller, static_cast<unsigned>(number));
    if (slot == nullptr) return -ENOMEM;
    const int registered = have_registered(request, number, *slot);
    if (registered < 0) return registered;
    request.poll_number = number;
    put_in_line(*slot, request);
    ++poller.armed;
    return 0;
}

bool is_waited_for(const Poller& poller, int number) {
    const FdSlot* slot = number < 0 ? nullptr : find_slot(poller, static_cast<uint64_t>(number));
    return slot != nullptr && !slot->waiting.empty();
}

void disarm_poll(Request& request) {
    Poller& poller = request.ring->poller;
    --poller.armed;
    if (request.poll_number == no_number) return poller.unpolled.remove(request);
    find_slot(poller, static_cast<uint64_t>(request.poll_number))->waiting.remove(request);
    if (request.poll_number != request.fd || !request.has(request_pinned)) return;
    // Registered by a descriptor that is about to be closed.
    forget_number(*request.ring, request.fd);
}

// While the program has the file open too, the registration would outlive the descriptor.
void forget_number(Ring& ring, int fd) {
    FdSlot* slot = find_slot(ring.poller, static_cast<uint64_t>(fd));
    if (slot == nullptr || slot->registered == 0) return;
    epoll_control(ring.poller.epoll_fd, EPOLL_CTL_DEL, fd, 0, 0);
    slot->registered = 0;
}

void handle_events(Ring& ring, const epoll_event* events, int count) {
    const uint32_t round = ++ring.poller.rounds;
    for (int i = 0; i < count; ++i) {
        if (events[i].data.u64 == wake_cookie) continue;
        if (events[i].data.u64 == disk_cookie) {
            reap_transfers(ring);
            continue;
        }
        // What was found out before another round of events is old.
        const bool is_news = ring.poller.rounds == round;
        handle_event(ring, events[i].events, events[i].data.u64, is_news);
    }
}

void take_events(Ring& ring) {
    epoll_event events[events_per_wait];
    const int count = wait_in_set(ring.poller.epoll_fd, events, 0, nullptr);
    if (count > 0) handle_events(ring, events, count);
}

void poll_now(Ring& ring) {
    ring.poller.calls_unlooked = 0;
    if (ring.poller.armed != 0 && ring.poller.epoll_fd >= 0) take_events(ring);
    look_at_unpolled(ring);
    ring.timers.expire();
}

void poll_in_call(Ring& ring) {
    if (ring.disk.in_flight == 0 || ring.poller.armed != ring.disk.in_flight) return poll_now(ring);
    ring.poller.calls_unlooked = 0;
    reap_transfers(ring);
    ring.timers.expire();
}

void look_now_and_then(Ring& ring) {
    if (++ring.poller.calls_unlooked > most_calls_unlooked) {
        poll_in_call(ring);
    } else if (ring.disk.in_flight != 0) {
        // What the disk has done is in memory for the taking: nobody has to be woken for it.
        reap_transfers(ring);
    } else {
        return;
    }
    settle_ring(ring);
}

void look_with_next_call(Ring& ring) {
    if (ring.poller.calls_unlooked != 0) ring.poller.calls_unlooked = most_calls_unlooked;
}

void wake_satisfied(Ring& ring) {
    auto& waiters = ring.poller.waiters;
    for (Waiter* at = waiters.first(); at != nullptr; at = waiters.after(*at)) {
        if (satisfied(ring, *at)) wake(ring, *at);
    }
}

void wake_leader(Ring& ring) {
    Poller& poller = ring.poller;
    if (poller.leader == nullptr || !poller.leader->asleep || poller.wake_sent || poller.wake_fd < 0) return;
    poller.wake_sent = true;
    if (poller.wakes_late) {
        poller.wake_wanted = true;
    } else {
        raise_eventfd(poller.wake_fd);
    }
}

void enter_to_wake(Ring& ring) RINGSIDE_ACQUIRES(ring.lock) {
    ring.lock.acquire();
    ring.poller.wakes_late = true;
}

void let_go_and_wake(Ring& ring) RINGSIDE_RELEASES(ring.lock) {
    Poller& poller = ring.poller;
    const bool wanted = poller.wake_wanted;
    const int wake_fd = poller.wake_fd;
    poller.wakes_late = poller.wake_wanted = false;
    // Until this is zero again the ring does not go, nor does its eventfd (entry/close.cc).
    if (wanted) poller.wakers.fetch_add(1, std::memory_order_relaxed);
    ring.lock.release();
    if (!wanted) return;
    raise_eventfd(wake_fd);
    poller.wakers.fetch_sub(1, std::memory_order_release);
}

bool wait_is_over(Ring& ring, const Waiter& waiter) { return satisfied(ring, waiter); }

int sleep_for_events(Ring& ring, Waiter& waiter, int64_t timeout_ns, const sigset_t* mask)
    RINGSIDE_REQUIRES(ring.lock) {
    if (ring.poller.leader != nullptr) end_own_poll_call(ring);
    return ring.poller.leader == nullptr ? lead(ring, waiter, timeout_ns, mask)
                                         : follow(ring, waiter, timeout_ns, mask);
}

int64_t begin_to_lead(Ring& ring, Waiter& waiter, int64_t timeout_ns) {
    const int64_t limit = sooner(timeout_ns, ring.timers.ns_until_next());
    ring.poller.leader = &waiter;
    waiter.asleep = true;
    return limit;
}

void end_to_lead(Ring& ring, Waiter& waiter) {
    waiter.asleep = false;
    ring.poller.leader = nullptr;
    ring.poller.wake_sent = false;
    ring.poller.calls_unlooked = 0;
}

void enter_wait(Ring& ring, Waiter& waiter) { ring.poller.waiters.push_back(waiter); }

void leave_wait(Ring& ring, Waiter& waiter) {
    Poller& poller = ring.poller;
    waiter.node.unlink();
    if (waiter.wake_fd >= 0) {
        // Somebody may have raised it just before we left.
        lower_eventfd(waiter.wake_fd);
        if (poller.spare_wake_fd < 0) {
            poller.spare_wake_fd = waiter.wake_fd;
        } else {
            close_fd(waiter.wake_fd);
        }
        waiter.wake_fd = -1;
    }
    Waiter* heir = poller.waiters.first();
    if (poller.leader == nullptr && heir != nullptr) wake(ring, *heir);
}

void close_poller(Ring& ring) {
    Poller& poller = ring.poller;
    for (unsigned page = 0; page < poller.page_count; ++page) free(poller.pages[page]);
    free(poller.pages);
    poller.pages = nullptr;
    poller.page_count = 0;
    drop_fd(poller.epoll_fd);
    drop_fd(poller.wake_fd);
    drop_fd(poller.spare_wake_fd);
}

}  // namespace ringside::engine
