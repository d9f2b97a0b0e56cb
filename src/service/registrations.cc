#include "service/registrations.h"

#include <errno.h>
#include <stdlib.h>

#include "os/epoll.h"
#include "os/fds.h"
#include "os/growing.h"
#include "service/keeper.h"
#include "service/kernel_polls.h"
#include "service/path_face.h"
#include "service/poller.h"
#include "service/ring_file.h"
#include "service/waiters.h"
#include "state/operation.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr unsigned slots_per_page = 64;
constexpr int no_number = -1;
constexpr int number_of_kept = -2;

// An event's cookie: the descriptor's number, and above it the count of its registration.
constexpr unsigned number_bits = 32;

FdSlot* find_slot(const Registrations& registrations, uint64_t number) {
    const uint64_t page = number / slots_per_page;
    if (page >= registrations.page_count || registrations.pages[page] == nullptr) return nullptr;
    return &registrations.pages[page][number % slots_per_page];
}

// The slot of a descriptor number. Makes it if there is none; null if memory is out.
FdSlot* slot_for(Registrations& registrations, unsigned number) {
    const unsigned page = number / slots_per_page;
    if (!make_room(registrations.pages, registrations.page_count, page)) return nullptr;
    FdSlot*& slots = registrations.pages[page];
    if (slots == nullptr) slots = static_cast<FdSlot*>(calloc(slots_per_page, sizeof(FdSlot)));
    return slots == nullptr ? nullptr : &slots[number % slots_per_page];
}

// Registers a number for at least `events`, even if it is registered already: the kernel then checks the file afresh,
// so readiness that came between the attempt and now is not missed. If the number stands for another file than the last
// time, MOD fails with ENOENT. If it has got its old file back, ADD fails with EEXIST.
int register_number(Ring& ring, FdSlot& slot, int number, uint32_t events) {
    Registrations& registrations = ring.registrations;
    const int epoll_fd = ring.poller.epoll_fd;
    if (++registrations.made == 0) ++registrations.made;
    // If no request waits for the number, the events registered so far are dropped. Else all are kept: only a search
    // would tell which of them still have a waiter.
    const uint32_t wanted = events | (slot.waiting.empty() ? 0 : slot.registered);
    const uint32_t mask = wanted | EPOLLET;
    const uint64_t cookie = uint64_t{registrations.made} << number_bits | static_cast<uint32_t>(number);
    int result;
    if (slot.registered != 0) {
        result = epoll_control(epoll_fd, EPOLL_CTL_MOD, number, mask, cookie);
        if (result == -ENOENT) result = epoll_control(epoll_fd, EPOLL_CTL_ADD, number, mask, cookie);
    } else {
        result = epoll_control(epoll_fd, EPOLL_CTL_ADD, number, mask, cookie);
        if (result == -EEXIST) result = epoll_control(epoll_fd, EPOLL_CTL_MOD, number, mask, cookie);
    }
    slot.registered = result == 0 ? wanted : 0;
    slot.registration = registrations.made;
    return result;
}

bool is_registered_for(const FdSlot& slot, const Request& request) {
    return (request.wait_events & ~slot.registered) == 0;
}

// Whether the request's file, which the batch holds, has been registered for the same events since the batch began to
// hold it. Then readiness that came after the request's attempt is an event already.
bool is_registered_with_batch(const Request& request, const FdSlot& slot) {
    const HeldByBatch& held = request.ring->held_by_batch;
    const bool holds_it = held.file != nullptr && request.has(request_holds_slot) && request.fixed_file == held.file;
    return holds_it && static_cast<int32_t>(slot.registration - held.since) > 0 && is_registered_for(slot, request);
}

// An engine's descriptor that several requests may hold, such as that of a registered file, stays the same file until
// it is closed, and closing it ends the registration.
bool stays_registered(const Request& request, int number, const FdSlot& slot) {
    const bool own = request.has(request_holds_slot) && number == request.fixed_file->fd;
    return own && !request.has(request_poll_first) && is_registered_for(slot, request);
}

// A thread that sleeps in the set may be about to handle an event that is older than the request.
bool events_may_be_old(const Ring& ring) { return ring.waiters.leader != nullptr && ring.waiters.leader->asleep; }

// Makes sure that readiness of the file becomes an event. Returns 0 or -errno.
int have_registered(Request& request, int number, FdSlot& slot) {
    Ring& ring = *request.ring;
    uint32_t registration = 0;
    if (is_registered_with_batch(request, slot) || stays_registered(request, number, slot)) {
        if (!events_may_be_old(ring)) registration = slot.registration;
    } else {
        const int registered = register_number(ring, slot, number, request.wait_events);
        if (registered < 0) return registered;
        registration = slot.registration;
    }
    if (!request.has(request_direct)) request.registration = registration;
    return 0;
}

// A multishot request stays where it is.
bool goes_on(const Request& request) { return request.has(request_multishot); }

// As in the kernel, the request that came last is tried first; but requests that open something take turns.
void take_place(FdSlot& slot, Request& request) {
    const bool takes_turns = operation_of(request).flags & op_opens;
    takes_turns ? slot.waiting.push_back(request) : slot.waiting.push_front(request);
}

// Called when no request waits for the file any more.
void leave_waited(Ring& ring, KeptFile& file) {
    KeptFile** at = &ring.kept.waited_by(file.sqe_number);
    while (*at != &file) at = &(*at)->next_waited;
    *at = file.next_waited;
}

// For a request that was tried in vain.
void take_place_anew(Circle<Request, &Request::node>& waiting, Request& request) {
    if (operation_of(request).flags & op_opens) return;
    waiting.remove(request);
    waiting.push_front(request);
}

}  // namespace

int arm_poll(Request& request, int number) {
    Ring& ring = *request.ring;
    if (open_poller(ring) < 0) {
        request.poll_number = no_number;
        ring.poller.unpolled.push_back(request);
        ++ring.poller.armed;
        return 0;
    }
    FdSlot* slot = slot_for(ring.registrations, static_cast<unsigned>(number));
    if (slot == nullptr) return -ENOMEM;
    int registered = have_registered(request, number, *slot);
    const bool is_ours = registered == -EBADF || registered == -EINVAL;
    if (__builtin_expect(is_ours, 0) && is_file(number) && note_lost_set(ring, registered) && open_poller(ring) == 0) {
        registered = have_registered(request, number, *slot);
    }
    if (registered < 0) return registered;
    request.poll_number = number;
    take_place(*slot, request);
    ++ring.poller.armed;
    return 0;
}

void arm_kept(Request& request, bool behind_others) {
    KeptFile& file = kept(*request.fixed_file);
    request.poll_number = number_of_kept;
    KeptByRing& by_ring = request.ring->kept;
    if (file.waiting.empty()) {
        KeptFile*& others = by_ring.waited_by(file.sqe_number);
        file.next_waited = others;
        others = &file;
    }
    behind_others ? file.waiting.push_back(request) : file.waiting.push_front(request);
    ++by_ring.armed;
    if (!has_own_table()) wait_for_end_of_file(*request.ring);
    await_readiness(file);
}

void attempt_waiting(KeptFile& file, uint32_t happened) {
    Ring& ring = *file.ring;
    const uint32_t concerns_all = happened == 0 ? ~0u : EPOLLERR | EPOLLHUP;
    Request* next;
    for (Request* at = file.waiting.first(); at != nullptr; at = next) {
        next = file.waiting.after(*at);
        if (happened != 0 && !(happened & (at->wait_events | concerns_all))) continue;
        at->fd = file.number.load(std::memory_order_relaxed);
        ring.registrations.happened = happened;
        const bool done = retry_armed(*at);
        ring.registrations.happened = 0;
        // The last of the requests has let go of the file.
        if (file.dropped) return;
        if (!done && !goes_on(*at)) take_place_anew(file.waiting, *at);
    }
}

bool is_waited_for(const Ring& ring, int number) {
    const FdSlot* slot = number < 0 ? nullptr : find_slot(ring.registrations, static_cast<uint64_t>(number));
    return slot != nullptr && !slot->waiting.empty();
}

void disarm_poll(Request& request) {
    Ring& ring = *request.ring;
    if (request.poll_number == number_of_kernel_poll) return withdraw_poll(request);
    if (request.poll_number == number_of_kept) {
        --ring.kept.armed;
        KeptFile& file = kept(*request.fixed_file);
        file.waiting.remove(request);
        if (file.waiting.empty()) leave_waited(ring, file);
        return;
    }
    --ring.poller.armed;
    if (request.poll_number == no_number) return ring.poller.unpolled.remove(request);
    find_slot(ring.registrations, static_cast<uint64_t>(request.poll_number))->waiting.remove(request);
    if (request.poll_number != request.fd || !request.has(request_pinned)) return;
    // The number is the request's own duplicate, which is about to be closed.
    forget_number(ring, request.fd);
}

bool leave_lost_set(Request& request) {
    Ring& ring = *request.ring;
    if (request.place != Place::armed || request.poll_number < 0) return false;
    FdSlot& slot = *find_slot(ring.registrations, static_cast<uint64_t>(request.poll_number));
    slot.waiting.remove(request);
    slot.registered = 0;
    request.poll_number = no_number;
    ring.poller.unpolled.push_back(request);
    return false;
}

// Without this, the registration would outlive the descriptor while the program has the file open too.
void forget_number(Ring& ring, int fd) {
    FdSlot* slot = find_slot(ring.registrations, static_cast<uint64_t>(fd));
    if (slot == nullptr || slot->registered == 0) return;
    epoll_control(ring.poller.epoll_fd, EPOLL_CTL_DEL, fd, 0, 0);
    slot->registered = 0;
}

// Tries the requests that wait for the number again. Those of the event's own registration are told what has happened,
// because the event is about their file.
void handle_event(Ring& ring, uint32_t happened, uint64_t cookie, bool is_news) {
    FdSlot* slot = find_slot(ring.registrations, static_cast<uint32_t>(cookie));
    if (slot == nullptr) return;
    const auto registration = static_cast<uint32_t>(cookie >> number_bits);
    Request* next;
    for (Request* at = slot->waiting.first(); at != nullptr; at = next) {
        next = slot->waiting.after(*at);
        if (!(happened & (at->wait_events | EPOLLERR | EPOLLHUP))) continue;
        const bool told = is_news && !at->has(request_direct) && at->registration == registration;
        ring.registrations.happened = told ? happened : 0;
        const bool done = retry_armed(*at);
        ring.registrations.happened = 0;
        if (!done && !goes_on(*at)) take_place_anew(slot->waiting, *at);
    }
}

void close_registrations(Registrations& registrations) {
    for (unsigned page = 0; page < registrations.page_count; ++page) free(registrations.pages[page]);
    free(registrations.pages);
    registrations.pages = nullptr;
    registrations.page_count = 0;
}

}  // namespace ringside::engine
