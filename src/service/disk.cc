#include "service/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "abi/syscall.h"
#include "os/aio.h"
#include "os/epoll.h"
#include "os/fds.h"
#include "os/idle_pool.h"
#include "service/kernel_polls.h"
#include "service/path_face.h"
#include "service/poller.h"
#include "state/ring.h"

namespace ringside::engine {

namespace {

// Contexts of rings that were closed. Making one anew and giving one up is dear (os/aio.h).
constinit IdlePool<4> idle_contexts;

int take_context(AioContext& context) {
    context = aio_context(idle_contexts.take());
    return context.id != 0 ? 0 : open_aio(context, most_in_flight);
}

bool allocate_line(Disk& disk) {
    disk.queue = static_cast<iocb*>(malloc(most_queued * (sizeof(iocb) + sizeof(iocb*))));
    if (disk.queue == nullptr) return false;
    disk.line = reinterpret_cast<iocb**>(disk.queue + most_queued);
    return true;
}

Request& request_of(uint64_t data) { return *reinterpret_cast<Request*>(data); }

// Not at once, since its issue may still be under way.
void give_to_worker(Request& request) {
    request.set(request_bounded | IOSQE_ASYNC);
    queue_issue(request);
}

void take(Ring& ring, const io_event& event) {
    --ring.disk.in_flight;
    --ring.poller.armed;
    if (is_of_poll(event)) return end_poll(ring, event);
    Request& request = request_of(event.data);
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
    iocb& queued = disk.queue[disk.queued];
    queued = transfer;
    line_up(*request.ring, queued, reinterpret_cast<uintptr_t>(&request));
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

// The kernel refuses to begin it: it is no good, or there is no room.
void refuse(Ring& ring, const iocb& refused) {
    if (refused.aio_lio_opcode != IOCB_CMD_POLL) return give_to_worker(request_of(refused.aio_data));
    // Those before it in line may be ready and come first.
    if (ring.disk.aio.shared != nullptr) reap_transfers(ring);
    refuse_poll(ring, refused);
}

}  // namespace

bool open_disk(Ring& ring) {
    Disk& disk = ring.disk;
    if (disk.aio.id != 0) return true;
    if (disk.refused || open_poller(ring) < 0) return false;
    disk.refused = true;
    const int eventfd = new_eventfd();
    if (eventfd < 0) return false;
    const bool made =
        allocate_line(disk) && watch_eventfd(ring, eventfd, disk_cookie) == 0 && take_context(disk.aio) == 0;
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

void line_up(Ring& ring, iocb& command, uint64_t data) {
    Disk& disk = ring.disk;
    command.aio_data = data;
    command.aio_flags = IOCB_FLAG_RESFD;
    command.aio_resfd = static_cast<uint32_t>(disk.eventfd);
    disk.line[disk.queued++] = &command;
}

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
    iocb* line[most_queued];
    const unsigned count = disk.queued;
    memcpy(line, disk.line, count * sizeof(iocb*));
    disk.queued = 0;
    for (unsigned at = 0; at < count;) {
        const long taken = submit_aio(disk.aio, line + at, count - at);
        if (taken > 0) {
            note_in_flight(ring, static_cast<unsigned>(taken));
            at += static_cast<unsigned>(taken);
        } else {
            refuse(ring, *line[at++]);
        }
    }
    // If the disk cannot begin a transfer without waiting, io_submit(2) refuses it at once. A worker does it, by the
    // number that the program's call still vouches for. And a poll may find its file ready.
    if (disk.aio.shared != nullptr) reap_transfers(ring);
}

void reap_transfers(Ring& ring) {
    if (ring.disk.aio.shared == nullptr) return reap_by_call(ring);
    for (io_event event; take_aio_event(ring.disk.aio, event);) take(ring, event);
}

bool has_transferred(Ring& ring) {
    for (io_event event; peek_aio_event(ring.disk.aio, event);) {
        if (!is_of_withdrawn_poll(event)) return true;
        take_aio_event(ring.disk.aio, event);
        take(ring, event);
    }
    return false;
}

namespace {

// Polls that were cancelled with the ring: the kernel tells their end in its own time, mostly within the first look.
void await_withdrawn(Ring& ring) {
    constexpr timespec look_again_after = {0, 100'000};
    for (int looks = 0; ring.disk.in_flight != 0 && looks < 20; ++looks) {
        reap_transfers(ring);
        if (ring.disk.in_flight != 0) abi::syscall(__NR_nanosleep, &look_again_after, nullptr);
    }
}

}  // namespace

void close_disk(Ring& ring) {
    Disk& disk = ring.disk;
    await_withdrawn(ring);
    const bool is_quiet = disk.aio.id != 0 && disk.in_flight == 0 && disk.aio.shared != nullptr;
    if (!is_quiet || !idle_contexts.give(disk.aio.id)) close_aio(disk.aio);
    free(disk.polls);
    free(disk.queue);
    drop_fd(disk.eventfd);
    disk = Disk{};
}

void forget_idle_contexts() { idle_contexts.forget(); }

}  // namespace ringside::engine
