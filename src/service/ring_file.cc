#include "service/ring_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "abi/syscall.h"
#include "os/descriptor_path.h"
#include "os/fds.h"
#include "os/lock.h"
#include "process/registry.h"
#include "service/helper.h"
#include "service/readiness.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr int none = -1;

// The inotify descriptor is made for the first ring and kept, because the kernel takes milliseconds to close one.
struct Watches {
    Lock lock;
    std::atomic<int> inotify{none};
    std::atomic<bool> some_unwatched{false};
    Lock closed_in_hand;
    std::atomic<bool> are_in_hand{false};
};

Watches watches;

// The program may have closed our descriptor by close_range(2) and have another file at its number.
bool is_inotify(int fd) {
    constexpr char expected[] = "anon_inode:inotify";
    char target[sizeof expected];
    const DescriptorPath path(fd);
    const long length = abi::syscall(__NR_readlinkat, AT_FDCWD, path.text(), target, sizeof target);
    return length == sizeof expected - 1 && memcmp(target, expected, sizeof expected - 1) == 0;
}

int inotify_descriptor() RINGSIDE_REQUIRES(watches.lock) {
    int inotify = watches.inotify.load(std::memory_order_relaxed);
    if (inotify >= 0 && is_inotify(inotify)) return inotify;
    // The program closed the former one, and its watches with it.
    if (inotify >= 0) watches.some_unwatched.store(true, std::memory_order_relaxed);
    inotify = move_high(static_cast<int>(abi::syscall(__NR_inotify_init1, IN_NONBLOCK | IN_CLOEXEC)));
    if (inotify < 0) inotify = none;
    watches.inotify.store(inotify, std::memory_order_release);
    return inotify;
}

int add_watch(int fd) {
    Guard guard(watches.lock);
    const int inotify = inotify_descriptor();
    if (inotify < 0) return none;
    const DescriptorPath path(fd);
    const long watch = abi::syscall(__NR_inotify_add_watch, inotify, path.text(), IN_CLOSE_WRITE);
    return watch < 0 ? none : static_cast<int>(watch);
}

bool has_file_of_its_own(const Ring& ring) { return ring.face == Face::mappable; }

}  // namespace

int reopen_ring_file(int fd, bool& reopened) {
    reopened = false;
    const int own = duplicate_high(fd);
    if (own < 0) return fd;
    close_fd(fd);
    const DescriptorPath path(own);
    long opened = abi::syscall(__NR_openat, AT_FDCWD, path.text(), O_RDWR | O_CLOEXEC);
    reopened = opened >= 0;
    if (!reopened) opened = abi::syscall(__NR_fcntl, own, F_DUPFD_CLOEXEC, 0);
    close_fd(own);
    return static_cast<int>(opened);
}

void know_ring_file(Ring& ring, int fd, bool reopened) {
    RingFile& file = ring.file;
    struct stat status;
    if (!has_file_of_its_own(ring) || file_status(fd, status) < 0) return;
    file.device = status.st_dev;
    file.inode = status.st_ino;
    const int watch = reopened ? add_watch(fd) : none;
    file.watch.store(watch, std::memory_order_release);
    if (watch == none) watches.some_unwatched.store(true, std::memory_order_relaxed);
}

void forget_ring_file(Ring& ring) {
    RingFile& file = ring.file;
    const int watch = file.watch.exchange(none, std::memory_order_acq_rel);
    file.device = file.inode = 0;
    file.ends_unseen = file.attended = false;
    if (watch == none) return;
    Guard guard(watches.lock);
    const int inotify = watches.inotify.load(std::memory_order_relaxed);
    // One inotify descriptor never uses a watch number again, so the number names our watch or none. A descriptor that
    // is not ours is left alone.
    if (inotify >= 0 && is_inotify(inotify)) abi::syscall(__NR_inotify_rm_watch, inotify, watch);
}

bool is_ring_file(const Ring& ring, int fd) {
    if (ring.inherited) return true;
    const RingFile& file = ring.file;
    if (!has_file_of_its_own(ring)) return is_own_descriptor(ring.readiness, fd);
    if (file.inode == 0) return true;
    struct stat status;
    const int result = file_status(fd, status);
    if (result < 0) return result != -EBADF;
    return status.st_ino == file.inode && status.st_dev == file.device;
}

Ring* ring_named(int fd) {
    Ring* ring = ring_of(fd);
    return ring != nullptr && is_ring_file(*ring, fd) ? ring : nullptr;
}

int find_ring_named(int fd, FoundRing& found) {
    const bool is_stale = ring_of(fd) != nullptr && ring_named(fd) == nullptr;
    if (is_stale) return abi::syscall(__NR_fcntl, fd, F_GETFD) < 0 ? -EBADF : -EOPNOTSUPP;
    return find_ring(fd, found);
}

bool may_be_gone(const Ring& ring) {
    const RingFile& file = ring.file;
    if (file.inode == 0) return false;
    return are_some_unwatched() || are_some_closed(watched_by());
}

// Events are read only while are_in_hand is true. So a caller that finds no event, and then finds are_in_hand false,
// knows that each ring whose file was closed before has ended.
bool are_some_closed(int inotify) {
    int waiting = 0;
    const long result = abi::syscall(__NR_ioctl, inotify, FIONREAD, &waiting);
    return result < 0 || waiting != 0 || watches.are_in_hand.load();
}

ClosedFilesInHand::ClosedFilesInHand() RINGSIDE_UNCHECKED {
    watches.closed_in_hand.acquire();
    watches.are_in_hand.store(true);
}

ClosedFilesInHand::~ClosedFilesInHand() RINGSIDE_UNCHECKED {
    watches.are_in_hand.store(false);
    watches.closed_in_hand.release();
}

int ClosedFilesInHand::next() {
    const int inotify = watches.inotify.load(std::memory_order_acquire);
    if (inotify < 0) return none;
    Guard guard(watches.lock);
    for (;;) {
        int waiting = 0;
        // Read only from a descriptor that is ours: reading another would take the program's data.
        if (abi::syscall(__NR_ioctl, inotify, FIONREAD, &waiting) < 0 || waiting == 0) return none;
        if (inotify_descriptor() != inotify) return none;
        // The event of a watched file carries no name, so it has a fixed size. Read one at a time.
        inotify_event event;
        if (abi::syscall(__NR_read, inotify, &event, sizeof event) != sizeof event) return none;
        if ((event.mask & IN_Q_OVERFLOW) != 0) watches.some_unwatched.store(true, std::memory_order_relaxed);
        if ((event.mask & IN_CLOSE_WRITE) != 0) return event.wd;
    }
}

bool are_some_unwatched() { return watches.some_unwatched.load(std::memory_order_relaxed); }

int watched_by() { return watches.inotify.load(std::memory_order_acquire); }

void wait_for_end_of_file(Ring& ring) {
    RingFile& file = ring.file;
    if (file.ends_unseen && !file.attended) file.attended = keep_helper();
}

void forget_watches() RINGSIDE_UNCHECKED {
    watches.lock.reset();
    watches.closed_in_hand.reset();
    watches.are_in_hand.store(false);
    int inotify = watches.inotify.exchange(none);
    drop_fd(inotify);
}

}  // namespace ringside::engine
