// IORING_OP_EPOLL_CTL and IORING_OP_EPOLL_WAIT
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/ops.h"
#include "ops/ring_files.h"

namespace ringside::engine {
namespace {

struct EpollControl {
    epoll_event event;
    int32_t set;
    int32_t operation;
    int32_t fd;
};

struct EpollWait {
    uint64_t events;
    int32_t most;
};

}  // namespace

int epoll_ctl_prep(Request& request, const io_uring_sqe& sqe) {
    auto& control = request.as<EpollControl>();
    control.set = sqe.fd;
    control.operation = static_cast<int32_t>(sqe.len);
    control.fd = static_cast<int32_t>(sqe.off);
    if (control.operation == EPOLL_CTL_DEL) return 0;
    return read_user(control.event, sqe.addr);
}

Outcome epoll_ctl_issue(Request& request) {
    auto& control = request.as<EpollControl>();
    const int fd = polled_in_place_of(request, control.fd);
    if (__builtin_expect(fd == -EAGAIN, 0)) return Outcome::punt;
    return request.done(abi::syscall(__NR_epoll_ctl, control.set, control.operation, fd, &control.event));
}

Outcome epoll_ctl_work(Request& request) { return wait_for_lock_of(request, request.as<EpollControl>().fd); }

int epoll_wait_prep(Request& request, const io_uring_sqe& sqe) {
    request.as<EpollWait>() = {sqe.addr, static_cast<int32_t>(sqe.len)};
    return 0;
}

// An epoll set is itself ready when something in it is.
Outcome epoll_wait_issue(Request& request) {
    const auto& wait = request.as<EpollWait>();
    const long count = abi::syscall(__NR_epoll_pwait, request.fd, wait.events, wait.most, 0, nullptr, 0);
    return count == 0 || count == -EINTR ? request.wait(POLLIN) : request.done(count);
}

}  // namespace ringside::engine
