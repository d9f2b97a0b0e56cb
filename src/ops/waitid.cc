// IORING_OP_WAITID: waiting for a child process to change.
//
// The exit of one particular child makes its pidfd readable, and the poller waits for that without a thread. For any
// child, or for a child that stops or continues, there is no file to poll, so a stand-in waits.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/ops.h"
#include "os/fds.h"
#include "os/interrupt.h"
#include "process/thread_end.h"
#include "service/stand_ins.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr int own_children_only = 0x20000000;  // __WNOTHREAD: of this thread, not of all the process's

struct Waitid {
    int32_t which;
    int32_t id;
    int32_t options;
    uint64_t info;  // siginfo_t of the program's, or null
    StandIn* stand_in;
};

// Fills the fields of siginfo_t that describe a child, and no other byte of it. Returns 0 or -EFAULT.
int tell_program(const Waitid& wait, const siginfo_t& info) {
    if (wait.info == 0) return 0;
    constexpr size_t head = offsetof(siginfo_t, si_code) + sizeof(info.si_code);
    constexpr size_t child = offsetof(siginfo_t, si_pid);
    constexpr size_t child_end = offsetof(siginfo_t, si_status) + sizeof(info.si_status);
    if (write_user(wait.info, &info, head) < 0) return -EFAULT;
    const auto* bytes = reinterpret_cast<const unsigned char*>(&info);
    return write_user(wait.info + child, bytes + child, child_end - child);
}

long tell(const Waitid& wait, const siginfo_t& info, long result) {
    return tell_program(wait, info) < 0 ? -EFAULT : result;
}

bool never_waits(const Waitid& wait) {
    if (wait.options & WNOHANG) return true;
    return wait.which == P_PIDFD && (abi::syscall(__NR_fcntl, wait.id, F_GETFL) & O_NONBLOCK);
}

// Gives the request a pidfd of its own to wait on. The program may close its own meanwhile.
void hold_pidfd(Request& request) {
    auto& wait = request.as<Waitid>();
    int fd = -1;
    if (wait.which == P_PIDFD) fd = duplicate_high(wait.id);
    if (wait.which == P_PID) fd = move_high(static_cast<int>(abi::syscall(__NR_pidfd_open, wait.id, 0)));
    if (fd < 0) return;
    if (wait.which == P_PIDFD) wait.id = fd;
    request.fd = fd;
    request.set(request_pinned);
}

// The result when the submitting thread is gone. In the kernel no thread has such a child any more, and there is no
// memory to write `info` to.
long find_nobody(const Waitid& wait) { return wait.info != 0 ? -EFAULT : -ECHILD; }

// Runs in the stand-in's thread. The child is first looked at (WNOWAIT), and reaped only while the request is no
// orphan.
long stand_for_children(Request& request) {
    const auto& wait = request.as<Waitid>();
    for (;;) {
        siginfo_t info = {};
        const auto address = reinterpret_cast<long>(&info);
        long result = blocking_syscall(__NR_waitid, wait.which, wait.id, address, wait.options | WNOWAIT);
        if (result == -EINTR) return result;
        if (is_orphan(request)) return find_nobody(wait);
        info = {};
        result = abi::syscall(__NR_waitid, wait.which, wait.id, &info, wait.options | WNOHANG, 0);
        // Another thread may have reaped the child meanwhile.
        if (result < 0 || info.si_pid != 0) return tell(wait, info, result);
    }
}

Outcome begin_to_wait(Request& request) {
    auto& wait = request.as<Waitid>();
    request.set(request_ends_itself);
    // The submitter made the first attempt, and the child is its own. The next attempt is another thread's, so
    // __WNOTHREAD must go.
    wait.options &= ~own_children_only;
    hold_pidfd(request);
    if (request.has(request_pinned) && !(wait.options & (WSTOPPED | WCONTINUED))) return request.wait(POLLIN);
    // The stand-in reads this, so it must be set before the stand-in starts.
    if (request.ring->submitting_inline) note_submitter(request);
    wait.stand_in = send_stand_in(request, stand_for_children);
    return wait.stand_in == nullptr ? request.done(-ENOMEM) : Outcome::queued;
}

}  // namespace

int waitid_prep(Request& request, const io_uring_sqe& sqe) {
    auto& wait = request.as<Waitid>();
    wait = {static_cast<int32_t>(sqe.len), sqe.fd, static_cast<int32_t>(sqe.file_index), sqe.addr2, nullptr};
    return 0;
}

Outcome waitid_issue(Request& request) {
    const auto& wait = request.as<Waitid>();
    siginfo_t info = {};
    if (request.has(request_pinned) && is_orphan(request)) return request.done(find_nobody(wait));
    if (request.has(request_cancelled)) {
        // The kernel writes zeroes then, as for a wait that finds no child.
        tell_program(wait, info);
        return request.done(-ECANCELED);
    }
    const long result = abi::syscall(__NR_waitid, wait.which, wait.id, &info, wait.options | WNOHANG, 0);
    // Invalid arguments leave the program's memory untouched.
    if (result == -EINVAL || result == -EBADF) return request.done(result);
    if (result < 0 || info.si_pid != 0 || never_waits(wait)) return request.done(tell(wait, info, result));
    return request.has(request_pinned) ? request.wait(POLLIN) : begin_to_wait(request);
}

int waitid_unpark(Request& request) { return unpark_from(*request.as<Waitid>().stand_in); }

}  // namespace ringside::engine
