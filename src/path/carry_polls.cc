// Polls of a batch, together: one ppoll(2) tells which files are ready, and one io_submit(2) leaves the other polls to
// the kernel (service/kernel_polls.h). All this for a poll that is told once. A multishot poll is issued in the usual
// way, and so is one whose file the kernel should not poll.
//
// That is a signalfd. The kernel looks again whether its file is ready in a thread of its own, for which no signal is
// pending. A signalfd is never ready to be written to, and is neither a socket nor a pipe. So any of these tells that a
// file is none.
#include <poll.h>
#include <sys/stat.h>

#include "abi/syscall.h"
#include "os/fds.h"
#include "path/path.h"
#include "service/carrier.h"
#include "service/disk.h"
#include "service/kernel_polls.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

bool is_socket_or_pipe(int fd) {
    struct stat status;
    return file_status(fd, status) == 0 && (S_ISSOCK(status.st_mode) || S_ISFIFO(status.st_mode));
}

bool may_be_left_to_kernel(const pollfd& seen) { return (seen.revents & POLLOUT) || is_socket_or_pipe(seen.fd); }

void issue_poll(Request& request, const pollfd& seen) {
    const uint32_t ready = static_cast<uint16_t>(seen.revents) & request.wait_events;
    if ((seen.revents & POLLNVAL) == 0 && ready != 0) {
        request.done(static_cast<long>(ready));
        return finish(request);
    }
    const bool waits = (seen.revents & POLLNVAL) == 0 && may_be_left_to_kernel(seen);
    if (!waits || !line_up_poll(request)) issue(request);
}

}  // namespace

bool carry_poll(Request& request, const iocb& attempt) {
    Ring& ring = *request.ring;
    Carried& carried = ring.carried;
    if (carried.count != 0) issue_carried(ring);
    request.wait_events = static_cast<uint32_t>(attempt.aio_buf);
    carried.polls.push(request);
    ring.has_collected = true;
    if (++carried.poll_count == most_carried) issue_polls(ring);
    return true;
}

void issue_polls(Ring& ring) {
    Carried& carried = ring.carried;
    RequestQueue polls = carried.polls.take_all();
    const unsigned count = carried.poll_count;
    carried.poll_count = 0;
    pollfd seen[most_carried];
    unsigned filled = 0;
    for (const Request* at = polls.front(); filled < count; at = at->next) {
        seen[filled++] = {at->fd, static_cast<short>(at->wait_events | POLLOUT), 0};
    }
    const timespec at_once = {0, 0};
    const bool looked = abi::syscall(__NR_ppoll, seen, count, &at_once, nullptr, 0) >= 0;
    for (unsigned i = 0; Request* request = polls.pop(); ++i) {
        looked ? issue_poll(*request, seen[i]) : issue(*request);
    }
    if (ring.disk.queued != 0) submit_transfers(ring);
}

}  // namespace ringside::engine
