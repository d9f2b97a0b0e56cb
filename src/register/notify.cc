// IORING_REGISTER_EVENTFD, IORING_REGISTER_EVENTFD_ASYNC and IORING_UNREGISTER_EVENTFD
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "os/epoll.h"
#include "os/fds.h"
#include "register/register.h"

namespace ringside::engine {
namespace {

// Eventfds share one nameless inode with other things that are no files (epoll sets, timers). Of all of them only an
// eventfd takes a written zero, which changes nothing.
bool is_eventfd(int fd) {
    const int sample = new_eventfd();
    struct stat wanted, given;
    const bool nameless = file_status(sample, wanted) == 0 && file_status(fd, given) == 0 &&
                          wanted.st_dev == given.st_dev && wanted.st_ino == given.st_ino;
    close_fd(sample);
    const uint64_t zero = 0;
    return nameless && abi::syscall(__NR_write, fd, &zero, sizeof(zero)) == sizeof(zero);
}

int set_eventfd(Ring& ring, uint64_t address, bool async) {
    Notification& notification = ring.notification;
    if (notification.eventfd >= 0) return -EBUSY;
    int32_t fd;
    if (read_user(fd, address) < 0) return -EFAULT;
    if (abi::syscall(__NR_fcntl, fd, F_GETFD) < 0) return -EBADF;
    if (!is_eventfd(fd)) return -EINVAL;
    const int own = duplicate_high(fd);
    if (own < 0) return own;
    notification.eventfd = own;
    notification.eventfd_async = async;
    notification.by_worker = false;
    return 0;
}

}  // namespace

int register_eventfd(Ring& ring, uint64_t address, unsigned) { return set_eventfd(ring, address, false); }

int register_eventfd_async(Ring& ring, uint64_t address, unsigned) { return set_eventfd(ring, address, true); }

int unregister_eventfd(Ring& ring, uint64_t, unsigned) {
    if (ring.notification.eventfd < 0) return -ENXIO;
    drop_fd(ring.notification.eventfd);
    return 0;
}

}  // namespace ringside::engine
