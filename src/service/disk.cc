#include "service/disk.h"

#include <errno.h>
#include <stdlib.h>

#include "os/aio.h"
#include "os/epoll.h"
#include "os/fds.h"
#include "service/path_face.h"
#include "service/poller.h"
#include "state/ring.h"

namespace ringside::engine {

namespace {

// The kernel's limit on their sum over all processes is low, so not more than a ring is likely to use at a time.
constexpr unsigned most_in_flight = 256;
constexpr unsigned most_queued = 32;

bool open_disk(Ring& ring) {
    Disk& disk = ring.disk;
    if (disk.aio.id != 0) return true;
    if (disk.refused || open_poller(ring) < 0) return false;
    disk.refused = true;
    const int eventfd = new_eventfd();
    if (eventfd < 0) return false;
    disk.queue = static_cast<iocb*>(malloc(most_queued * sizeof(iocb)));
    const bool made = disk.queue != nullptr && watch_eventfd(ring, eventfd, disk_cookie) == 0 &&
                      open_aio(disk.aio, most_in_flight) == 0;
    if (!made) {
        free(disk.queue);
        disk.queue = nullptr;
        close_fd(eventfd);
        return false;
    }
    disk.eventfd = eventfd;
    disk.refused = false;
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
    const long count = wait_for_aio_events(ring.disk.aio, 0, most_queued, events);
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
    if (submit_aio(ring.disk.aio, &only, 1) != 1) return false;
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
        const long taken = submit_aio(disk.aio, list + at, count - at);
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
    if (disk.aio.shared != nullptr) reap_transfers(ring);
}

void reap_transfers(Ring& ring) {
    if (ring.disk.aio.shared == nullptr) return reap_by_call(ring);
    for (io_event event; take_aio_event(ring.disk.aio, event);) take(ring, event);
}

bool has_transferred(const Disk& disk) { return has_aio_event(disk.aio); }

void close_disk(Ring& ring) {
    Disk& disk = ring.disk;
    close_aio(disk.aio);
    free(disk.queue);
    drop_fd(disk.eventfd);
    disk = Disk{};
}

}  // namespace ringside::engine
