#include "state/timers.h"

#include <errno.h>
#include <stdlib.h>

#include "os/clock.h"
#include "os/growing.h"
#include "state/request.h"

namespace ringside::engine {
namespace {

constexpr clockid_t clocks[3] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME};

unsigned heap_of(clockid_t clock) {
    if (clock == CLOCK_BOOTTIME) return 1;
    return clock == CLOCK_REALTIME ? 2 : 0;
}

}  // namespace

void Timers::place(Heap& heap, unsigned index, const Entry& entry) {
    heap.entries[index] = entry;
    entry.request->timer_index = index;
}

void Timers::sift_up(Heap& heap, unsigned index, const Entry& entry) {
    while (index > 0) {
        const unsigned parent = (index - 1) / 2;
        if (heap.entries[parent].deadline_ns <= entry.deadline_ns) break;
        place(heap, index, heap.entries[parent]);
        index = parent;
    }
    place(heap, index, entry);
}

void Timers::sift_down(Heap& heap, unsigned index, const Entry& entry) {
    for (;;) {
        unsigned child = 2 * index + 1;
        if (child >= heap.count) break;
        if (child + 1 < heap.count && heap.entries[child + 1].deadline_ns < heap.entries[child].deadline_ns) ++child;
        if (entry.deadline_ns <= heap.entries[child].deadline_ns) break;
        place(heap, index, heap.entries[child]);
        index = child;
    }
    place(heap, index, entry);
}

void Timers::remove_at(Heap& heap, unsigned index) {
    const Entry last = heap.entries[--heap.count];
    if (index == heap.count) return;
    if (index > 0 && last.deadline_ns < heap.entries[(index - 1) / 2].deadline_ns) {
        sift_up(heap, index, last);
    } else {
        sift_down(heap, index, last);
    }
}

int Timers::add(Request& request, clockid_t clock, int64_t deadline_ns, Expired expired) {
    Heap& heap = heaps_[heap_of(clock)];
    if (!make_room(heap.entries, heap.capacity, heap.count)) return -ENOMEM;
    request.timer_clock = static_cast<uint8_t>(heap_of(clock));
    request.set(request_timed);
    sift_up(heap, heap.count++, {deadline_ns, &request, expired});
    return 0;
}

void Timers::take_out(Request& request) {
    if (request.has(request_timed)) remove_at(heaps_[request.timer_clock], request.timer_index);
    if (request.has(request_counted)) request.node.unlink();
    request.clear(request_timed | request_counted);
}

bool Timers::is_due(const Request& request) const {
    if (!request.has(request_timed)) return false;
    const int64_t deadline_ns = heaps_[request.timer_clock].entries[request.timer_index].deadline_ns;
    return deadline_ns <= now_ns(clocks[request.timer_clock]);
}

int64_t Timers::ns_until_next() const {
    int64_t soonest = no_deadline;
    for (unsigned i = 0; i < 3; ++i) {
        if (heaps_[i].count == 0) continue;
        const int64_t left = heaps_[i].entries[0].deadline_ns - now_ns(clocks[i]);
        if (left <= 0) return 0;
        if (left < soonest) soonest = left;
    }
    return soonest;
}

void Timers::expire() {
    for (unsigned i = 0; i < 3; ++i) {
        Heap& heap = heaps_[i];
        if (heap.count == 0) continue;
        const int64_t now = now_ns(clocks[i]);
        while (heap.count > 0 && heap.entries[0].deadline_ns <= now) {
            const Entry due = heap.entries[0];
            take_out(*due.request);
            due.expired(*due.request);
        }
    }
}

void Timers::expire_counted(unsigned tail) {
    while (Request* first = counted.first()) {
        if (static_cast<int>(tail - first->wait_events) < 0) break;
        take_out(*first);
        counted_expired(*first);
    }
}

void Timers::destroy() {
    for (Heap& heap : heaps_) {
        free(heap.entries);
        heap = {};
    }
}

}  // namespace ringside::engine
