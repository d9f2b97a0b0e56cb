#include "os/record_locks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>

#include "abi/syscall.h"
#include "os/fds.h"
#include "os/growing.h"
#include "os/lock.h"

namespace ringside::engine {
namespace {

// How many parked descriptors are checked whenever one is closed or parked. More than one, so that those without locks
// become fewer.
constexpr unsigned looks_at_a_time = 4;

struct Parked {
    int fd;
    // Identifies the file: the program may have closed our number and have another file there.
    dev_t device;
    ino_t inode;
};

struct ParkedFiles {
    Lock lock;
    Parked* files RINGSIDE_GUARDED_BY(lock) = nullptr;
    unsigned capacity RINGSIDE_GUARDED_BY(lock) = 0;
    unsigned next_look RINGSIDE_GUARDED_BY(lock) = 0;
    std::atomic<unsigned> count{0};  // changed under the lock
};

ParkedFiles parked;

// --- The list of all locks in /proc ---------------------------------------------------------------------------------

const char* behind_words(const char* text, unsigned count) {
    for (; count > 0; --count) {
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    return text;
}

uint64_t number_at(const char* text) {
    uint64_t number = 0;
    for (; *text >= '0' && *text <= '9'; ++text) number = number * 10 + static_cast<unsigned>(*text - '0');
    return number;
}

// A line is "1: POSIX  ADVISORY  WRITE 13938 fe:00:10954844 0 EOF": the process and, behind the device, the inode. The
// device is not compared: on some file systems it differs from that of fstat(2). A lock that is waited for has a line
// too.
bool tells_of_lock(const char* line, uint64_t process, ino_t inode) {
    const char* kind = strstr(line, "POSIX ");
    if (kind == nullptr || number_at(behind_words(kind, 3)) != process) return false;
    const char* minor = strchr(behind_words(kind, 4), ':');
    const char* number = minor != nullptr ? strchr(minor + 1, ':') : nullptr;
    return number != nullptr && number_at(number + 1) == inode;
}

// Returns 1 if the process has a lock on the file, 0 if not, or -errno if the list cannot be read.
int search_list(int list, uint64_t process, ino_t inode) {
    char text[4096];
    size_t length = 0;
    for (;;) {
        const long got = abi::syscall(__NR_read, list, text + length, sizeof(text) - 1 - length);
        if (got <= 0) return static_cast<int>(got);
        length += static_cast<size_t>(got);
        text[length] = 0;
        char* line = text;
        for (char* end; (end = strchr(line, '\n')) != nullptr; line = end + 1) {
            *end = 0;
            if (tells_of_lock(line, process, inode)) return 1;
        }
        length -= static_cast<size_t>(line - text);
        memmove(text, line, length);
    }
}

// Also true if the list cannot be read.
bool list_tells_of_lock(ino_t inode) {
    // The process's number in /proc, which may be mounted for another PID namespace.
    char self[24] = {};
    if (abi::syscall(__NR_readlinkat, AT_FDCWD, "/proc/self", self, sizeof(self) - 1) <= 0) return true;
    const long list = abi::syscall(__NR_openat, AT_FDCWD, "/proc/locks", O_RDONLY | O_CLOEXEC, 0);
    if (list < 0) return true;
    const int found = search_list(static_cast<int>(list), number_at(self), inode);
    close_fd(static_cast<int>(list));
    return found != 0;
}

// --- What is parked -------------------------------------------------------------------------------------------------

bool is_there(const Parked& file) {
    struct stat status;
    return file_status(file.fd, status) == 0 && status.st_ino == file.inode && status.st_dev == file.device;
}

void remove(unsigned index) RINGSIDE_REQUIRES(parked.lock) {
    parked.files[index] = parked.files[parked.count - 1];
    parked.count.fetch_sub(1);
}

void look_at(unsigned index) RINGSIDE_REQUIRES(parked.lock) {
    const Parked file = parked.files[index];
    const bool ours = is_there(file);
    if (ours && has_record_locks(file.fd)) return;
    if (ours) close_fd(file.fd);
    remove(index);
}

void look_at_some() {
    Guard guard(parked.lock);
    for (unsigned looks = 0; looks < looks_at_a_time && parked.count != 0; ++looks) {
        if (parked.next_look == 0 || parked.next_look > parked.count) parked.next_look = parked.count;
        look_at(--parked.next_look);
    }
}

// Without memory for the entry, the descriptor stays open for good.
void park(int fd) {
    struct stat status;
    if (file_status(fd, status) < 0) return;
    Guard guard(parked.lock);
    if (!make_room(parked.files, parked.capacity, parked.count)) return;
    parked.files[parked.count] = {fd, status.st_dev, status.st_ino};
    parked.count.fetch_add(1);
}

}  // namespace

bool has_record_locks(int fd) {
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    // F_OFD_GETLK asks on behalf of the open file description. For that, the process's own record locks conflict too.
    const long asked = abi::syscall(__NR_fcntl, fd, F_OFD_GETLK, &lock);
    if (asked == -EBADF || (asked == 0 && lock.l_type == F_UNLCK)) return false;
    struct stat status;
    if (file_status(fd, status) < 0 || !is_kind_on_disk(status.st_mode)) return false;
    if (asked == 0 && lock.l_pid == abi::syscall(__NR_getpid)) return true;
    // The kernel reports one lock only. Another process's may hide ours.
    return list_tells_of_lock(status.st_ino);
}

bool close_or_park(int fd) {
    const bool parks = has_record_locks(fd);
    parks ? park(fd) : close_fd(fd);
    if (__builtin_expect(parked.count.load(std::memory_order_relaxed) != 0, 0)) look_at_some();
    return !parks;
}

int take_parked(int fd) {
    if (__builtin_expect(parked.count.load(std::memory_order_relaxed) == 0, 1)) return -1;
    struct stat status;
    if (file_status(fd, status) < 0) return -1;
    Guard guard(parked.lock);
    for (unsigned i = 0; i < parked.count; ++i) {
        const Parked file = parked.files[i];
        if (file.inode != status.st_ino || file.device != status.st_dev) continue;
        if (!is_there(file) || compare_files(file.fd, fd) != 1) continue;
        remove(i);
        return file.fd;
    }
    return -1;
}

bool look_at_parked() {
    if (__builtin_expect(parked.count.load(std::memory_order_relaxed) == 0, 1)) return false;
    Guard guard(parked.lock);
    for (unsigned index = parked.count; index > 0; --index) look_at(index - 1);
    return parked.count != 0;
}

void hold_parked() RINGSIDE_UNCHECKED { parked.lock.acquire(); }
void release_parked() RINGSIDE_UNCHECKED { parked.lock.release(); }

void forget_parked(bool closes) RINGSIDE_UNCHECKED {
    parked.lock.reset();
    for (unsigned i = 0; closes && i < parked.count; ++i) {
        if (is_there(parked.files[i])) close_fd(parked.files[i].fd);
    }
    parked.count = 0;
}

}  // namespace ringside::engine
