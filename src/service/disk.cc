#include "service/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <atomic>

#include "os/epoll.h"
#include "os/fds.h"
#include "service/path_face.h"
#include "service/poller.h"
#include "state/ring.h"

namespace ringside::engine {

// The completion ring as the kernel maps it at the address that io_setup(2) returns. Its form is not part of the
// documented interface, but it carries a mark, and libraries have relied on it for as long as it has existed.
struct DiskShared {
    uint32_t id;
    uint32_t places;
    std::atomic<uint32_t> head;
    std::atomic<uint32_t> tail;
    uint32_t magic;
    uint32_t compatible_features;
    uint32_t incompatible_features;
    uint32_t header_length;
    io_event events[1];
};

namespace {

constexpr uint32_t shared_magic = 0xa10a10a1;
// The kernel's limit on their sum over all processes is low, so not more than a ring is likely to use at a time.
constexpr unsigned most_in_flight = 256;
constexpr unsigned most_queued = 32;

bool open_disk(Ring& ring) {
    Disk& disk = ring.disk;
    if (disk.context != 0) return true;
    if (disk.refused || open_poller(ring) < 0) return false;
    disk.refused = true;
    const int eventfd = new_eventfd();
    if (eventfd < 0) return false;
    disk.queue = static_cast<iocb*>(malloc(most_queued * sizeof(iocb)));
    const bool made = disk.queue != nullptr && watch_eventfd(ring, eventfd, disk_cookie) == 0 &&
                      abi::syscall(__NR_io_setup, most_in_flight, &disk.context) == 0;
    if (!made) {
        free(disk.queue);
        disk.queue = nullptr;
        close_fd(eventfd);
        return false;
    }
    disk.eventfd = eventfd;
    disk.refused = false;
    auto* shared = reinterpret_cast<DiskShared*>(disk.context);
    if (shared->magic == shared_magic && shared->incompatible_features == 0) disk.shared = shared;
    return true;
}

Request& request_of(uint64_t data) { return *reinterpret_cast<Request*>(data); }

// Not at once, since its issue may still be under way.
void give_to_worker(Request& request) {
    request.set(request_bounded | IOSQE_ASYNC);
    queue_issue(request);
}

void take(Ring& ring, const io_event& event) {
    Request& request = request_of(event.data);
    --ring.disk.in_flight;
    --ring.poller.armed;
    if (ring.closing) {
        finish_unheard(request);
    } else {
        ring.disk.transferred(request, static_cast<long>(event.res));
    }
}

// By the system call, where the shared ring is unknown.
void reap_by_call(Ring& ring) {
    io_event events[most_queued];
    timespec at_once = {0, 0};
    const long count = abi::syscall(__NR_io_getevents, ring.disk.context, 0, most_queued, events, &at_once);
    for (long i = 0; i < count; ++i) take(ring, events[i]);
}

// Puts a transfer in line. Returns false where there is no way to the disk.
bool queue(Request& request, const iocb& transfer) {
    if (!open_disk(*request.ring)) return false;
    Disk& disk = request.ring->disk;
    iocb& queued = disk.queue[disk.queued++];
    queued = transfer;
    queued.aio_data = reinterpret_cast<uintptr_t>(&request);
    queued.aio_flags = IOCB_FLAG_RESFD;
    queued.aio_resfd = static_cast<uint32_t>(disk.eventfd);
    return true;
}

void note_in_flight(Ring& ring, unsigned count) {
    ring.disk.in_flight += count;
    ring.poller.armed += count;
}

void place_at_disk(Request& request) {
    request.place = Place::device;
    request.ring->requests.table.insert(request);
}

}  // namespace

bool start_transfer(Request& request, const iocb& transfer) {
    Ring& ring = *request.ring;
    if (!queue(request, transfer)) return false;
    place_at_disk(request);
    if (ring.disk.queued == most_queued || !ring.submitting_inline) submit_transfers(ring);
    return true;
}

bool start_transfer_at_once(Request& request, const iocb& transfer) {
    Ring& ring = *request.ring;
    if (ring.disk.queued != 0 || !queue(request, transfer)) return false;
    ring.disk.queued = 0;
    iocb* only = ring.disk.queue;
    if (abi::syscall(__NR_io_submit, ring.disk.context, 1, &only) != 1) return false;
    place_at_disk(request);
    note_in_flight(ring, 1);
    return true;
}

void submit_transfers(Ring& ring) {
    Disk& disk = ring.disk;
    iocb* list[most_queued];
    const unsigned count = disk.queued;
    for (unsigned i = 0; i < count; ++i) list[i] = &disk.queue[i];
    disk.queued = 0;
    for (unsigned at = 0; at < count;) {
        const long taken = abi::syscall(__NR_io_submit, disk.context, count - at, list + at);
        if (taken > 0) {
            note_in_flight(ring, static_cast<unsigned>(taken));
            at += static_cast<unsigned>(taken);
        } else {
            // The first of the rest is no good, or there is no room: a worker finds out.
            give_to_worker(request_of(list[at++]->aio_data));
        }
    }
    // If the disk cannot begin a transfer without waiting, io_submit(2) refuses it at once. A worker does it, by the
    // number that the program's call still vouches for.
    if (disk.shared != nullptr) reap_transfers(ring);
}

void reap_transfers(Ring& ring) {
    DiskShared* shared = ring.disk.shared;
    if (shared == nullptr) return reap_by_call(ring);
    uint32_t head = shared->head.load(std::memory_order_relaxed);
    // Pairs with the kernel's barrier between an event and the tail behind it.
    const uint32_t tail = shared->tail.load(std::memory_order_acquire);
    while (head != tail) {
        const io_event event = shared->events[head];
        head = (head + 1) % shared->places;
        // The place is the kernel's again once the event is copied.
        shared->head.store(head, std::memory_order_release);
        take(ring, event);
    }
}

bool has_transferred(const Disk& disk) {
    const DiskShared* shared = disk.shared;
    return shared != nullptr &&
           shared->head.load(std::memory_order_relaxed) != shared->tail.load(std::memory_order_acquire);
}

void close_disk(Ring& ring) {
    Disk& disk = ring.disk;
    if (disk.context != 0) abi::syscall(__NR_io_destroy, disk.context);
    free(disk.queue);
    drop_fd(disk.eventfd);
    disk = Disk{};
}

}  // namespace ringside::engine
