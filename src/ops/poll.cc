// IORING_OP_POLL_ADD and IORING_OP_POLL_REMOVE
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#include "abi/syscall.h"
#include "ops/ops.h"
#include "ops/ring_files.h"
#include "os/fds.h"
#include "service/cancel.h"
#include "service/keeper.h"
#include "service/path_face.h"
#include "service/registrations.h"

namespace ringside::engine {
namespace {

// Reported whether asked for or not.
constexpr uint32_t always_reported = POLLERR | POLLHUP | POLLRDHUP;
constexpr uint32_t poll_bits = 0xffff;

struct Poll {
    uint32_t events;
    bool multishot;
    bool looked;  // whether it is of a ring of ours is known: `of_ring`
    bool of_ring;
    bool ready_first;  // one that was ready from the beginning: that is told, too
    bool of_eventfd;   // whether it is of the eventfd that its own ring raises
    uint32_t raised;   // how often that had been before
};

struct PollRemove {
    uint64_t target;
    uint64_t new_user_data;
    uint32_t events;
    bool update_events;
    bool update_user_data;
};

uint32_t events_of(const io_uring_sqe& sqe) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return sqe.poll32_events << 16 | sqe.poll32_events >> 16;
#else
    return sqe.poll32_events;
#endif
}

// What of `events` holds now, or -errno.
long ready_events(int fd, uint32_t events) {
    pollfd set = {fd, static_cast<short>(events | POLLRDHUP), 0};
    const timespec at_once = {0, 0};
    const long count = abi::syscall(__NR_ppoll, &set, 1, &at_once, nullptr, 0);
    if (count < 0) return count;
    if (set.revents & POLLNVAL) return -EBADF;
    return static_cast<unsigned short>(set.revents);
}

// A poll that has begun. One that is in line to be completed, cancelled or not, is found until it is.
Request* find_poll(Ring& ring, uint64_t user_data) {
    return ring.requests.table.find(user_data, [](const Request& request) {
        const bool is_in_line = request.place == Place::task_work && request.has(request_has_result | request_has_news);
        return request.opcode == IORING_OP_POLL_ADD && (request.place == Place::armed || is_in_line);
    });
}

// A completion may be what raises a ring's readiness, so many-shot polls of rings end with it.
Outcome poll_ring(Request& request, uint32_t events) {
    auto& poll = request.as<Poll>();
    const long ready = ready_events(request.fd, events);
    if (ready <= 0) return ready < 0 ? request.done(ready) : request.wait(events);
    if (!poll.ready_first) return request.done(ready);
    poll.ready_first = false;
    return post_more(request, static_cast<int32_t>(ready), 0) ? request.wait(events) : request.done(ready);
}

// Nor does one of the eventfd that completions raise go on, once they have.
void look_at_eventfd(Request& request) {
    const Notification& notification = request.ring->notification;
    auto& poll = request.as<Poll>();
    if (!poll.multishot || notification.eventfd < 0) return;
    poll.of_eventfd = same_file(request.sqe_fd, notification.eventfd);
    poll.raised = notification.raised;
}

bool was_raised(const Request& request) {
    const auto& poll = request.as<Poll>();
    return poll.of_eventfd && poll.raised != request.ring->notification.raised;
}

// Before the first attempt: a ring is polled by another descriptor than its own. Returns 0 or -errno.
int find_polled(Request& request) {
    auto& poll = request.as<Poll>();
    if (!is_about_ring(request)) {
        poll.looked = true;
        look_at_eventfd(request);
        return 0;
    }
    const int fd = polled_in_place_of(request, request.sqe_fd);
    if (fd < 0) return fd;
    poll.looked = poll.of_ring = true;
    if (request.has(request_pinned)) close_fd(request.fd);
    request.clear(request_pinned);
    request.fd = fd;
    poll.ready_first = poll.multishot && ready_events(fd, (poll.events & poll_bits) | always_reported) > 0;
    return 0;
}

// The number by which the calling thread may ask what is ready: of a file in the engine's own table the program's, if
// that is the same file still.
int number_to_ask(const Request& request) {
    if (!holds_file_elsewhere(request) || has_own_table()) return request.fd;
    const KeptFile& file = kept(*request.fixed_file);
    struct stat status;
    const bool is_there = file_status(file.sqe_number, status) == 0 && is_kept_file(file, file.sqe_number, status);
    return is_there ? file.sqe_number : -1;
}

// Begins an updated poll anew, with the file that it holds. What is ready already is told after the update itself, so
// until then the poll is in line for that; any other is found by its number at once.
void begin_anew(Request& request) {
    const auto& poll = request.as<Poll>();
    const uint32_t events = (poll.events & poll_bits) | always_reported;
    request.clear(request_ordered);
    const int number = number_to_ask(request);
    const long ready = number < 0 ? 0 : ready_events(number, events);
    if (ready == 0) {
        request.wait(events);
        return arm(request);
    }
    if (ready < 0 || !poll.multishot) return queue_result(request, ready);
    request.set(request_poll_first);
    if (queue_as_waiting(request) == Outcome::done) queue_finish(request);
}

// An update is a removal and a new beginning.
void update(Request& request, const PollRemove& change) {
    disarm_poll(request);
    request.place = Place::path;
    request.ring->requests.table.remove(request);
    if (change.update_events) request.as<Poll>().events = change.events;
    if (change.update_user_data) request.user_data = change.new_user_data;
    begin_anew(request);
}

// In the kernel it is in no table any more, so nobody else finds it.
long remove(Request& request) {
    const long result = cancel_request(request);
    request.ring->requests.table.remove(request);
    return result;
}

}  // namespace

int poll_add_prep(Request& request, const io_uring_sqe& sqe) {
    if (sqe.len & ~IORING_POLL_ADD_MULTI) return -EINVAL;
    if (sqe.len != 0 && request.has(IOSQE_CQE_SKIP_SUCCESS)) return -EINVAL;
    auto& poll = request.as<Poll>();
    poll.events = events_of(sqe);
    poll.looked = poll.of_ring = poll.ready_first = poll.of_eventfd = false;
    poll.multishot = (sqe.len & IORING_POLL_ADD_MULTI) && !(poll.events & EPOLLONESHOT);
    if (!poll.multishot) return 0;
    // What is ready now is told by the event that registering the file brings, and once only.
    request.set(request_multishot | request_poll_first);
    return 0;
}

Outcome poll_add_issue(Request& request) {
    const auto& poll = request.as<Poll>();
    const uint32_t events = (poll.events & poll_bits) | always_reported;
    const int found = poll.looked ? 0 : find_polled(request);
    if (__builtin_expect(found < 0, 0)) return found == -EAGAIN ? Outcome::punt : request.done(found);
    if (request.has(request_poll_first)) return request.wait(events);
    if (__builtin_expect(poll.of_ring, 0)) return poll_ring(request, events);
    // An event has told already what to ask for.
    const uint32_t happened = request.ring->registrations.happened;
    const long ready = happened != 0 ? happened & events : ready_events(request.fd, events);
    if (ready < 0) return request.done(ready);
    if (ready == 0) return request.wait(events);
    if (!request.has(request_multishot) || __builtin_expect(was_raised(request), 0)) return request.done(ready);
    if (!post_more(request, static_cast<int32_t>(ready), 0)) return request.done(ready);
    return request.wait(events);
}

// The kernel holds the file of such a poll, so that the request does not. A multishot poll is told of each event and
// needs a registration. And data that comes to a socket counts as urgent too for IOCB_CMD_POLL, and for io_uring only
// where the poll is for data as well.
bool poll_add_carry(Request& request, iocb& attempt) {
    const auto& poll = request.as<Poll>();
    const bool for_urgent_alone = (poll.events & (POLLPRI | POLLIN)) == POLLPRI;
    if (poll.multishot || for_urgent_alone || request.has(IOSQE_FIXED_FILE) || is_about_ring(request)) return false;
    attempt.aio_lio_opcode = IOCB_CMD_POLL;
    attempt.aio_buf = (poll.events & poll_bits) | always_reported;
    return true;
}

Outcome poll_add_work(Request& request) { return wait_for_lock_of(request, request.sqe_fd); }

int poll_remove_prep(Request& request, const io_uring_sqe& sqe) {
    const uint32_t flags = sqe.len;
    if (flags & ~(IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA | IORING_POLL_ADD_MULTI)) return -EINVAL;
    if (flags == IORING_POLL_ADD_MULTI) return -EINVAL;
    auto& remove = request.as<PollRemove>();
    remove.target = sqe.addr;
    remove.new_user_data = sqe.off;
    remove.update_events = flags & IORING_POLL_UPDATE_EVENTS;
    remove.update_user_data = flags & IORING_POLL_UPDATE_USER_DATA;
    remove.events = events_of(sqe);
    if (!remove.update_user_data && remove.new_user_data != 0) return -EINVAL;
    return !remove.update_events && remove.events != 0 ? -EINVAL : 0;
}

Outcome poll_remove_issue(Request& request) {
    const auto& change = request.as<PollRemove>();
    const bool removes = !change.update_events && !change.update_user_data;
    Request* target = find_poll(*request.ring, change.target);
    long result = target == nullptr ? -ENOENT : target->place != Place::armed ? -EALREADY : 0;
    if (result == 0 && removes) result = remove(*target);
    // That it failed the kernel tells outside of its workers.
    if (result < 0) request.clear(request_at_work);
    if (result == 0 && !removes) update(*target, change);
    return request.done(result);
}

}  // namespace ringside::engine
