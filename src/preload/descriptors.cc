// libc's functions that close or copy file descriptors. The engine must learn when a ring's descriptor is closed or
// copied, since no kernel object reports it.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>

#include "preload/interposed.h"
#include "preload/next.h"
#include "preload/rings.h"

namespace ringside::preload {
namespace {

// `copy` has become another name for what `fd` names.
int note_copy(int fd, int copy) {
    if (copy < 0 || own_ring(fd) == nullptr) return copy;
    engine::note_dup(fd, copy);
    note_ring(copy);
    return copy;
}

// dup2() and dup3() close the file that `copy` named before. If that was a ring, it must be closed before its number
// names another file, and it must stay open if the call is going to fail. Returns false, with errno set, if a signal
// handler makes the call in the middle of a call on that ring.
bool make_way(int fd, int copy, int flags) {
    if (!may_have_rings() || fd == copy || (flags & ~O_CLOEXEC) != 0) return true;
    if (find_own_ring(copy) == nullptr) return true;
    const int error = errno;
    int closed = 0;
    if (next.fcntl(fd, F_GETFD, 0) >= 0) closed = engine::close(copy);
    errno = closed == -EDEADLK ? EDEADLK : error;
    return closed != -EDEADLK;
}

int fcntl_through(int (*next_fcntl)(int, int, long), int fd, int command, long argument) {
    const int result = next_fcntl(fd, command, argument);
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? note_copy(fd, result) : result;
}

}  // namespace

extern "C" {

int interposed_close(int fd) {
    if (own_ring(fd) == nullptr) [[likely]]
        return next.close(fd);
    return static_cast<int>(answer_as_libc(engine::close(fd)));
}

int interposed_dup(int fd) { return note_copy(fd, next.dup(fd)); }

int interposed_dup2(int fd, int copy) {
    if (!make_way(fd, copy, 0)) return -1;
    const int result = next.dup2(fd, copy);
    return fd == copy ? result : note_copy(fd, result);
}

int interposed_dup3(int fd, int copy, int flags) {
    if (!make_way(fd, copy, flags)) return -1;
    return note_copy(fd, next.dup3(fd, copy, flags));
}

int interposed_fcntl(int fd, int command, long argument) { return fcntl_through(next.fcntl, fd, command, argument); }

int interposed_fcntl64(int fd, int command, long argument) {
    return fcntl_through(next.fcntl64, fd, command, argument);
}

int interposed_close_range(unsigned first, unsigned last, int flags) {
    const bool closes = first <= last && (flags & ~CLOSE_RANGE_UNSHARE) == 0;
    if (closes) close_rings_between(first, last);
    return next.close_range(first, last, flags);
}

void interposed_closefrom(int first) {
    close_rings_between(first < 0 ? 0 : static_cast<unsigned>(first), UINT_MAX);
    next.closefrom(first);
}

}  // extern "C"
}  // namespace ringside::preload
