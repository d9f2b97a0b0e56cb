#include "service/kernel_polls.h"

#include <errno.h>
#include <stdlib.h>

#include "os/aio.h"
#include "process/thread_end.h"
#include "service/disk.h"
#include "service/path_face.h"
#include "service/registrations.h"
#include "state/ring.h"

namespace ringside::engine {

struct KernelPoll {
    iocb command;         // stays where it is until its event has come: io_cancel(2) knows it by its address
    Request* request;     // null once it was cancelled
    KernelPoll* next;     // of those that are not in use
    uint32_t begun_with;  // the batch
};

namespace {

// Requests are aligned, so this bit of an event's data tells polls from transfers.
constexpr uint64_t poll_mark = 1;

bool make_polls(Disk& disk) {
    if (disk.polls != nullptr) return true;
    disk.polls = static_cast<KernelPoll*>(calloc(most_in_flight, sizeof(KernelPoll)));
    if (disk.polls == nullptr) return false;
    for (unsigned i = 0; i < most_in_flight; ++i) {
        disk.polls[i].next = disk.free_poll;
        disk.free_poll = &disk.polls[i];
    }
    return true;
}

KernelPoll& poll_of(uint64_t data) { return *reinterpret_cast<KernelPoll*>(data & ~poll_mark); }

void free_poll(Disk& disk, KernelPoll& poll) {
    poll.next = disk.free_poll;
    disk.free_poll = &poll;
}

}  // namespace

bool line_up_poll(Request& request) {
    Ring& ring = *request.ring;
    Disk& disk = ring.disk;
    if (!open_disk(ring) || !make_polls(disk) || disk.free_poll == nullptr) return false;
    KernelPoll& poll = *disk.free_poll;
    disk.free_poll = poll.next;
    poll.command = {};
    poll.command.aio_lio_opcode = IOCB_CMD_POLL;
    poll.command.aio_fildes = static_cast<uint32_t>(request.fd);
    poll.command.aio_buf = request.wait_events;
    poll.request = &request;
    poll.begun_with = ring.batch;
    request.place = Place::armed;
    request.poll_number = number_of_kernel_poll;
    request.registration = static_cast<uint32_t>(&poll - disk.polls);
    ring.requests.table.insert(request);
    line_up(ring, poll.command, reinterpret_cast<uintptr_t>(&poll) | poll_mark);
    return true;
}

bool is_of_poll(const io_event& event) { return event.data & poll_mark; }

bool is_of_withdrawn_poll(const io_event& event) { return is_of_poll(event) && poll_of(event.data).request == nullptr; }

void refuse_poll(Ring& ring, const iocb& command) {
    KernelPoll& poll = poll_of(command.aio_data);
    Request& request = *poll.request;
    free_poll(ring.disk, poll);
    ring.requests.table.remove(request);
    issue_uncarried(request);
}

void end_poll(Ring& ring, const io_event& event) {
    KernelPoll& poll = poll_of(event.data);
    Request* request = poll.request;
    const bool is_at_once = ring.submitting_inline && poll.begun_with == ring.batch;
    free_poll(ring.disk, poll);
    if (request == nullptr) {
        --ring.disk.withdrawn;
        return;
    }
    if (ring.closing) return finish_unheard(*request);
    // The event may tell of more than was asked for.
    const auto happened = static_cast<long>(event.res);
    const long result = is_orphan(*request) ? -ECANCELED : happened < 0 ? happened : happened & request->wait_events;
    if (!is_at_once && (ring.setup_flags & IORING_SETUP_DEFER_TASKRUN)) return queue_result(*request, result);
    request->done(result);
    finish(*request);
}

void withdraw_poll(Request& request) {
    Disk& disk = request.ring->disk;
    KernelPoll& poll = disk.polls[request.registration];
    poll.request = nullptr;
    ++disk.withdrawn;
    cancel_aio(disk.aio, poll.command);
}

}  // namespace ringside::engine
