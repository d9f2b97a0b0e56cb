#include "service/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <new>

#include "abi/syscall.h"
#include "os/epoll.h"
#include "os/fds.h"
#include "os/limits.h"
#include "os/threads.h"
#include "service/helper.h"
#include "service/path_face.h"
#include "service/poller.h"
#include "service/registrations.h"
#include "service/ring_file.h"
#include "service/waiters.h"
#include "state/ring.h"
#include "state/timers.h"

#ifndef __NR_close_range
#define __NR_close_range 436
#endif

namespace ringside::engine {
namespace {

constexpr unsigned close_range_unshare = 1u << 1;
// The most descriptors that one SCM_RIGHTS message can carry.
constexpr unsigned most_in_message = 253;
// Kept free in the own table for the keeper's set, its bell, its end of the pair, and a file that is on its way.
constexpr unsigned numbers_to_spare = 4;

// How often the keeper looks at its lists when no thread can wake it.
constexpr int64_t look_again_ns = 1'000'000;

constexpr uint64_t cookie_of_messages = 1;
constexpr uint64_t cookie_of_bell = 2;

using FilesListed = Queue<KeptFile, &KeptFile::next_listed>;
using FilesDropped = Queue<KeptFile, &KeptFile::next_sent>;
using ThreadsWanted = Queue<ThreadWanted, &ThreadWanted::next>;

struct Keeper {
    Lock lock;
    bool running RINGSIDE_GUARDED_BY(lock) = false;
    bool refused RINGSIDE_GUARDED_BY(lock) = false;
    bool ending RINGSIDE_GUARDED_BY(lock) = false;
    FilesListed listed RINGSIDE_GUARDED_BY(lock);
    FilesDropped dropped RINGSIDE_GUARDED_BY(lock);
    ThreadsWanted threads RINGSIDE_GUARDED_BY(lock);
    unsigned count RINGSIDE_GUARDED_BY(lock) = 0;  // files that are kept or on their way
    uint64_t limit RINGSIDE_GUARDED_BY(lock) = 0;  // of descriptors, as it was when a batch began to hand over files
    pthread_t thread;
    std::atomic<bool> expected{false};  // the keeper will look at its lists before it sleeps: no wake-up needed
    std::atomic<uint32_t> arrivals{0};  // futex: counts the messages received
    std::atomic<uint32_t> rounds{0};    // futex: counts the finished rounds over the ready files
    // The program's end of the pair of sockets, and its inode, by which has_near_end() knows it.
    int near = -1;
    ino_t near_inode = 0;
    int far_of_program = -1;  // the keeper's end, until the keeper has its own table
    ino_t far_inode = 0;
    std::atomic<KeptFile*> watch_copy{nullptr};  // the inotify descriptor (service/ring_file.h), in the own table
    // In the own table.
    int far = -1;
    int set = -1;
    int bell = -1;
    bool is_cut_off = false;  // the program has closed the other end: no thread can wake the keeper
};

Keeper keeper;
thread_local bool own_table = false;

// --- Messages -------------------------------------------------------------------------------------------------------

union Control {
    cmsghdr header;
    char space[CMSG_SPACE(sizeof(int) * most_in_message)];
};

// The program may have closed an end of the pair, or have another file at its number.
bool is_end(int number, ino_t inode) {
    struct stat status;
    const int result = number >= 0 ? file_status(number, status) : -EBADF;
    return result == 0 ? status.st_ino == inode && S_ISSOCK(status.st_mode) : result != -EBADF;
}

bool has_near_end() RINGSIDE_REQUIRES(keeper.lock) { return is_end(keeper.near, keeper.near_inode); }
bool has_far_end() RINGSIDE_REQUIRES(keeper.lock) { return is_end(keeper.far_of_program, keeper.far_inode); }

// Sends `count` files, with their descriptors unless `descriptors` is null. Returns 0 or -errno.
int send(KeptFile* const* files, const int* descriptors, unsigned count) RINGSIDE_REQUIRES(keeper.lock) {
    iovec content = {const_cast<KeptFile**>(files), count * sizeof(KeptFile*)};
    Control control;
    msghdr message = {};
    message.msg_iov = &content;
    message.msg_iovlen = 1;
    if (descriptors != nullptr) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        control.header.cmsg_len = CMSG_LEN(sizeof(int) * count);
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        memcpy(CMSG_DATA(&control.header), descriptors, sizeof(int) * count);
    }
    const long sent = abi::syscall(__NR_sendmsg, keeper.near, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? static_cast<int>(sent) : 0;
}

// Wakes the keeper to look at its lists.
void call_keeper() RINGSIDE_REQUIRES(keeper.lock) {
    if (keeper.expected.exchange(true)) return;
    if (own_table) return raise_eventfd(keeper.bell);
    // Without the pair, the keeper looks every look_again_ns by itself.
    if (!has_near_end()) return;
    KeptFile* nothing = nullptr;
    // If there is no room for the message twice, other messages are queued, and they wake the keeper.
    if (send(&nothing, nullptr, 1) != 0) send(&nothing, nullptr, 1);
}

void take_message(const msghdr& message, KeptFile* const* files, unsigned count) {
    const cmsghdr* header = CMSG_FIRSTHDR(&message);
    int descriptors[most_in_message];
    unsigned arrived = 0;
    if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
        arrived = static_cast<unsigned>((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(descriptors, CMSG_DATA(header), arrived * sizeof(int));
    }
    for (unsigned i = 0; i < count; ++i) {
        // Acquires what the sender wrote: in C++'s memory model a message through a socket does not order memory.
        if (files[i] == nullptr || files[i]->number.load(std::memory_order_acquire) != KeptFile::on_its_way) continue;
        files[i]->number.store(i < arrived ? descriptors[i] : -EMFILE, std::memory_order_release);
    }
}

// Receives up to `most` messages. Only the keeper does this, because a message is also its wake-up.
void take_in(unsigned most = ~0u) {
    bool any = false;
    while (most-- > 0) {
        KeptFile* files[most_in_message];
        Control control;
        iovec content = {files, sizeof(files)};
        msghdr message = {};
        message.msg_iov = &content;
        message.msg_iovlen = 1;
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        const long got = abi::syscall(__NR_recvmsg, keeper.far, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got == 0 && !keeper.is_cut_off) {
            keeper.is_cut_off = true;
            epoll_control(keeper.set, EPOLL_CTL_DEL, keeper.far, 0, 0);
        }
        if (got <= 0) break;
        take_message(message, files, static_cast<unsigned>(got) / sizeof(KeptFile*));
        any = true;
    }
    if (!any) return;
    keeper.arrivals.fetch_add(1);
    futex_wake(keeper.arrivals, INT32_MAX);
}

// Frees its memory.
void forget(KeptFile& file) RINGSIDE_REQUIRES(keeper.lock) {
    --keeper.count;
    file.~KeptFile();
    free(&file);
}

// --- The keeper -----------------------------------------------------------------------------------------------------

// Locks a ring. A program's thread may hold the lock and wait for room to send a message; so the keeper keeps
// receiving.
void acquire(Ring& ring) RINGSIDE_ACQUIRES(ring.lock) RINGSIDE_UNCHECKED {
    while (!ring.lock.acquire_soon()) {
        take_in();
        abi::syscall(__NR_sched_yield);
    }
    ring.waiters.wakes_late = true;
}

// A ring with IORING_SETUP_DEFER_TASKRUN completes requests only in calls that collect completions.
bool may_attempt(const Ring& ring) {
    return !(ring.setup_flags & IORING_SETUP_DEFER_TASKRUN) || ring.kept.gathering != 0;
}

void put_off_attempts(KeptFile& file) {
    if (!file.is_put_off) file.ring->kept.put_off.push(file);
    file.is_put_off = true;
}

// A program's call that waits in attempt_deferred() need not wait for this file any more.
void note_attempted(KeptFile& file) {
    if (!file.is_due) return;
    file.is_due = false;
    if (file.ring->kept.due.fetch_sub(1) == 1) futex_wake(file.ring->kept.due, INT32_MAX);
}

// The descriptor did not arrive, so the requests that wait for it have no file.
void fail_waiting(KeptFile& file, int error) {
    while (Request* request = file.waiting.first()) {
        disarm_poll(*request);
        queue_result(*request, error);
    }
}

// Releases the ring's lock. If there are results or put-off attempts, a thread with the program's table goes on with
// them.
void leave(Ring& ring) RINGSIDE_RELEASES(ring.lock) RINGSIDE_UNCHECKED {
    const bool news = ring.completion.tail != ring.completion.published || !ring.task_work.empty();
    if (ring.open && !ring.closing && (news || !ring.kept.put_off.empty())) nudge(ring);
    let_go_and_wake(ring);
}

// The program may have closed the ring by a system call that the engine did not see. inotify has reported it, but the
// helper has not ended the ring yet. Until then the keeper must make no attempt: it could take data that the program
// now reads by itself.
bool may_be_closed(const Ring& ring) {
    KeptFile* copy = ring.file.ends_unseen ? keeper.watch_copy.load(std::memory_order_acquire) : nullptr;
    const int inotify = copy != nullptr ? number_of(*copy) : -1;
    return inotify >= 0 && are_some_closed(inotify);
}

// Tries again later, until the helper has ended the ring.
void look_again(KeptFile& file) {
    file.attempt_now = true;
    await_readiness(file);
    abi::syscall(__NR_sched_yield);
}

// Attempts the requests that wait for the file, now or as soon as that may be done.
void attempt(KeptFile& file, uint32_t happened) {
    const Ring& ring = *file.ring;
    if (may_be_closed(ring)) return look_again(file);
    may_attempt(ring) ? attempt_waiting(file, happened) : put_off_attempts(file);
}

void handle(KeptFile& file, uint32_t happened) {
    Ring& ring = *file.ring;
    acquire(ring);
    if (!file.dropped && !file.waiting.empty()) attempt(file, happened);
    leave(ring);
}

uint32_t wanted_events(KeptFile& file) {
    uint32_t events = 0;
    for (Request* at = file.waiting.first(); at != nullptr; at = file.waiting.after(*at)) events |= at->wait_events;
    return events;
}

int register_for(KeptFile& file, int number, uint32_t events) {
    const int operation = file.registered != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    const auto cookie = reinterpret_cast<uintptr_t>(&file);
    const int result = epoll_control(keeper.set, operation, number, events | EPOLLET, cookie);
    if (result == 0) file.registered = events;
    return result;
}

// Registers the file anew even for the same events: epoll then checks it afresh, so that readiness which came between
// an attempt and now is not missed.
void register_file(KeptFile& file) {
    Ring& ring = *file.ring;
    acquire(ring);
    const int number = file.number.load(std::memory_order_relaxed);
    if (!file.dropped && !file.waiting.empty()) {
        const uint32_t events = wanted_events(file);
        const bool at_once = file.attempt_now;
        file.attempt_now = false;
        // A new registration would only report once more what this attempt finds.
        const bool is_registered = at_once && file.registered != 0 && (events & ~file.registered) == 0;
        const int result = number < 0 ? number : is_registered ? 0 : register_for(file, number, events);
        if (result < 0) {
            fail_waiting(file, result);
        } else if (at_once) {
            attempt(file, 0);
        }
    }
    note_attempted(file);
    leave(ring);
}

void register_listed() {
    for (;;) {
        keeper.lock.acquire();
        KeptFile* file = keeper.listed.front();
        // The files behind it were sent later, so they have not arrived either.
        if (file != nullptr && file->number.load(std::memory_order_acquire) == KeptFile::on_its_way) file = nullptr;
        if (file != nullptr) {
            keeper.listed.pop();
            file->listed = false;
        }
        keeper.lock.release();
        if (file == nullptr) return;
        register_file(*file);
    }
}

void close_dropped() {
    keeper.lock.acquire();
    FilesDropped dropped = keeper.dropped.take_all();
    FilesDropped later;
    while (KeptFile* file = dropped.pop()) {
        const int number = file->number.load(std::memory_order_acquire);
        if (number == KeptFile::on_its_way) {
            later.push(*file);
            continue;
        }
        if (file->listed) keeper.listed.remove(*file);
        if (file->registered != 0) epoll_control(keeper.set, EPOLL_CTL_DEL, number, 0, 0);
        if (number >= 0) close_fd(number);
        forget(*file);
    }
    keeper.dropped.append(later);
    keeper.lock.release();
}

void start_threads() {
    for (;;) {
        keeper.lock.acquire();
        ThreadWanted* wanted = keeper.threads.pop();
        keeper.lock.release();
        if (wanted == nullptr) return;
        wanted->start(wanted->argument);
    }
}

bool is_to_end() {
    Guard guard(keeper.lock);
    return keeper.ending && keeper.dropped.empty();
}

bool tells_of_messages(const epoll_event* events, int count) {
    for (int i = 0; i < count; ++i) {
        if (events[i].data.u64 == cookie_of_messages) return true;
    }
    return false;
}

void serve() {
    bool more = false;
    while (more || !is_to_end()) {
        epoll_event events[events_per_wait];
        // Callers that come after this exchange send a message. Those that came before it may have had their message
        // received during the last round, so this round looks at their lists without sleeping.
        const bool at_once = keeper.expected.exchange(false) || more;
        const int64_t limit = keeper.is_cut_off ? look_again_ns : no_deadline;
        const int count = wait_in_set(keeper.set, events, at_once ? 0 : limit, nullptr);
        // One message a round: that there are more is told again, and to ask in vain would be a call more.
        if (tells_of_messages(events, count)) take_in(1);
        start_threads();
        for (int i = 0; i < count; ++i) {
            const uint64_t cookie = events[i].data.u64;
            if (cookie == cookie_of_bell || cookie == cookie_of_messages) continue;
            handle(*reinterpret_cast<KeptFile*>(cookie), events[i].events);
        }
        register_listed();
        // Closed last, because a dropped file may be among this round's events.
        close_dropped();
        more = count == events_per_wait;
        if (more) continue;
        keeper.rounds.fetch_add(1);
        futex_wake(keeper.rounds, INT32_MAX);
    }
}

// Leaves the program's table for a new one, in which only the keeper's end of the pair is left.
bool leave_table() {
    keeper.far = keeper.far_of_program;
    keeper.is_cut_off = false;
    const auto far = static_cast<unsigned>(keeper.far);
    if (abi::syscall(__NR_close_range, far + 1, ~0u, close_range_unshare) != 0) return false;
    own_table = true;
    if (far > 0) abi::syscall(__NR_close_range, 0, far - 1, 0);
    keeper.set = static_cast<int>(abi::syscall(__NR_epoll_create1, EPOLL_CLOEXEC));
    keeper.bell = new_eventfd();
    return keeper.set >= 0 && keeper.bell >= 0 &&
           epoll_control(keeper.set, EPOLL_CTL_ADD, keeper.far, EPOLLIN, cookie_of_messages) == 0 &&
           epoll_control(keeper.set, EPOLL_CTL_ADD, keeper.bell, EPOLLIN | EPOLLET, cookie_of_bell) == 0;
}

struct Start {
    static constexpr uint32_t under_way = 0, good = 1, bad = 2;
    std::atomic<uint32_t> outcome{under_way};
};

void* keeper_body(void* argument) {
    auto& start = *static_cast<Start*>(argument);
    const bool good = leave_table();
    start.outcome.store(good ? Start::good : Start::bad, std::memory_order_release);
    futex_wake(start.outcome, 1);
    if (good) serve();
    return nullptr;
}

// Closes an end only if its number still stands for it: by now it may be a file of the program.
void close_pair() RINGSIDE_REQUIRES(keeper.lock) {
    if (has_near_end()) close_fd(keeper.near);
    if (has_far_end()) close_fd(keeper.far_of_program);
    keeper.near = keeper.far_of_program = -1;
    keeper.near_inode = keeper.far_inode = 0;
}

// Makes room for the messages of a large batch. The system may grant less.
void enlarge(int socket) {
    const int wanted = 1 << 20;
    abi::syscall(__NR_setsockopt, socket, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
}

// Makes the pair of sockets, both at high numbers, where they are not in the program's way. Returns 0 or -errno.
int make_pair() RINGSIDE_REQUIRES(keeper.lock) {
    if (has_near_end() && has_far_end()) return 0;
    int pair[2];
    const long made = abi::syscall(__NR_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
    if (made < 0) return static_cast<int>(made);
    keeper.near = move_high(pair[0]);
    keeper.far_of_program = move_high(pair[1]);
    enlarge(keeper.near);
    struct stat status = {};
    file_status(keeper.near, status);
    keeper.near_inode = status.st_ino;
    file_status(keeper.far_of_program, status);
    keeper.far_inode = status.st_ino;
    return 0;
}

// Starts the keeper. Returns 0 or -errno; -ENOSYS if this process can never have one.
int start() RINGSIDE_REQUIRES(keeper.lock) {
    const int paired = make_pair();
    if (paired < 0) return paired == -EMFILE || paired == -ENFILE || paired == -ENOMEM ? paired : -ENOSYS;
    Start begun;
    int result = start_thread(keeper.thread, "ringside-keeper", keeper_body, &begun);
    if (result < 0) return result;
    while (begun.outcome.load(std::memory_order_acquire) == Start::under_way) {
        futex_wait(begun.outcome, Start::under_way);
    }
    if (begun.outcome.load() != Start::good) {
        pthread_join(keeper.thread, nullptr);
        result = -ENOSYS;
    }
    // The keeper's own table still has it.
    close_fd(keeper.far_of_program);
    keeper.far_of_program = -1;
    if (result < 0) close_pair();
    return result;
}

bool has_keeper() RINGSIDE_REQUIRES(keeper.lock) {
    if (keeper.running) return true;
    if (keeper.refused || keeper.ending) return false;
    const int result = start();
    keeper.running = result == 0;
    keeper.refused = result == -ENOSYS;
    return keeper.running;
}

int access_of(int fd) { return static_cast<int>(abi::syscall(__NR_fcntl, fd, F_GETFL) & O_ACCMODE); }

void look_at_limit() RINGSIDE_REQUIRES(keeper.lock) {
    constexpr uint64_t usual_limit = 1024;
    keeper.limit = limit_of(RLIMIT_NOFILE, usual_limit);
}

KeptFile* make(Ring* ring, int fd, const struct stat& status) RINGSIDE_REQUIRES(keeper.lock) {
    if (keeper.count + numbers_to_spare >= keeper.limit) return nullptr;
    void* memory = calloc(1, sizeof(KeptFile));
    if (memory == nullptr) return nullptr;
    auto* file = new (memory) KeptFile{};
    file->fd = -1;
    file->is_kept = true;
    file->ring = ring;
    file->program_number = file->sqe_number = fd;
    file->device = status.st_dev;
    file->inode = status.st_ino;
    file->kind = status.st_mode & S_IFMT;
    if (S_ISFIFO(status.st_mode)) file->access = access_of(fd);
    file->number.store(KeptFile::on_its_way, std::memory_order_release);
    ++keeper.count;
    return file;
}

// If the socket is full, waits until the keeper has received some messages. Releases the keeper's lock between two
// tries, because the keeper may need it before it receives.
int send_with_patience(KeptFile* const* files, const int* descriptors, unsigned count) {
    constexpr int most_tries = 10'000;
    for (int tries = 0;; ++tries) {
        keeper.lock.acquire();
        const int result = send(files, descriptors, count);
        keeper.lock.release();
        if ((result != -EAGAIN && result != -ETOOMANYREFS) || tries == most_tries) return result;
        wait_on_eventfd(-1, 100'000, nullptr);
    }
}

void note_lost(KeptFile& file, int error) {
    Guard guard(keeper.lock);
    file.number.store(error == -EBADF ? error : -EMFILE, std::memory_order_release);
    keeper.arrivals.fetch_add(1);
    futex_wake(keeper.arrivals, INT32_MAX);
    call_keeper();
}

// Hands over an eventfd of the engine, so that threads with either table can raise it.
KeptFile* keep_own(int fd) RINGSIDE_REQUIRES(keeper.lock) {
    struct stat status = {};
    if (keeper.limit == 0) look_at_limit();
    KeptFile* file = make(nullptr, fd, status);
    if (file == nullptr) return nullptr;
    file->program_number = -1;
    if (send(&file, &fd, 1) == 0) return file;
    forget(*file);
    return nullptr;
}

// Makes sure that a thread with the own table can wake the ring's leader, or the helper if no thread leads.
bool prepare_nudges(Ring& ring) RINGSIDE_REQUIRES(keeper.lock) {
    if (!prepare_helper_for_nudges(keep_own)) return false;
    if (ring.file.ends_unseen && keeper.watch_copy.load() == nullptr && watched_by() >= 0) {
        keeper.watch_copy.store(keep_own(watched_by()), std::memory_order_release);
    }
    // At the descriptor limit there may be no eventfd. Then the leader looks every millisecond instead.
    if (ring.poller.wake_copy != nullptr || open_poller(ring) < 0) return true;
    ring.poller.wake_copy = keep_own(ring.poller.wake_fd);
    return ring.poller.wake_copy != nullptr;
}

}  // namespace

bool is_kept_file(const KeptFile& file, int fd, const struct stat& status) {
    if (status.st_ino != file.inode || status.st_dev != file.device) return false;
    if (file.kind == S_IFSOCK) return true;
    // Unlike a socket, this file can be opened several times. So only the number that the request named counts, and a
    // pipe must be open for the same access.
    return fd == file.sqe_number && (file.kind != S_IFIFO || access_of(fd) == file.access);
}

bool has_own_table() { return own_table; }

void note_own_table() { own_table = true; }

void reserve_keeper() {
    Guard guard(keeper.lock);
    if (!keeper.running && !keeper.refused && keeper.near < 0) make_pair();
}

KeptFile* keep_eventfd(int eventfd) {
    Guard guard(keeper.lock);
    return keeper.running && has_near_end() ? keep_own(eventfd) : nullptr;
}

void keep_wake(Ring& ring) {
    Guard guard(keeper.lock);
    if (keeper.running && ring.poller.wake_copy == nullptr && has_near_end())
        ring.poller.wake_copy = keep_own(ring.poller.wake_fd);
}

KeptFile* keep_file(Ring& ring, int fd, const struct stat& status) {
    Guard guard(keeper.lock);
    if (!has_keeper()) return nullptr;
    // Asked once a batch.
    if (ring.kept.to_send.empty()) {
        look_at_limit();
        if (!has_near_end() || !prepare_nudges(ring)) return nullptr;
    }
    KeptFile* file = make(&ring, fd, status);
    if (file == nullptr) return nullptr;
    ring.kept.to_send.push(*file);
    return file;
}

void hand_over_batch(Ring& ring) {
    while (!ring.kept.to_send.empty()) {
        KeptFile* files[most_in_message];
        int descriptors[most_in_message];
        unsigned count = 0;
        for (KeptFile* file; count < most_in_message && (file = ring.kept.to_send.pop()) != nullptr; ++count) {
            files[count] = file;
            descriptors[count] = file->program_number;
            file->program_number = -1;
        }
        if (send_with_patience(files, descriptors, count) == 0) continue;
        // One of them may be closed already, which fails the whole message. So send them one by one.
        for (unsigned i = 0; i < count; ++i) {
            const int result = send_with_patience(files + i, descriptors + i, 1);
            if (result < 0) note_lost(*files[i], result);
        }
    }
}

void drop_kept(KeptFile& file) {
    file.dropped = true;
    if (file.is_put_off) file.ring->kept.put_off.remove(file);
    note_attempted(file);
    Guard guard(keeper.lock);
    if (file.program_number < 0) {
        keeper.dropped.push(file);
        return call_keeper();
    }
    // It was not handed over yet, so the keeper does not know it.
    file.ring->kept.to_send.remove(file);
    if (file.listed) keeper.listed.remove(file);
    forget(file);
}

void await_readiness(KeptFile& file) {
    Guard guard(keeper.lock);
    if (!file.listed) keeper.listed.push(file);
    file.listed = true;
    // A file that is still to be handed over needs no call: sending it wakes the keeper.
    if (file.program_number < 0) call_keeper();
}

void attempt_deferred(Ring& ring) RINGSIDE_UNCHECKED {
    while (KeptFile* file = ring.kept.put_off.pop()) {
        file->is_put_off = false;
        file->attempt_now = true;
        if (!file->is_due) ring.kept.due.fetch_add(1);
        file->is_due = true;
        await_readiness(*file);
    }
    ring.lock.release();
    while (const uint32_t due = ring.kept.due.load()) futex_wait(ring.kept.due, due);
    ring.lock.acquire();
}

void look_at_kept(Ring& ring) RINGSIDE_UNCHECKED {
    if (ring.kept.armed == 0) return;
    // The round under way may already have passed the ready files. The next one has not, so wait for two.
    const uint32_t rounds = keeper.rounds.load();
    ring.lock.release();
    for (uint32_t now = rounds; now - rounds < 2; now = keeper.rounds.load()) {
        keeper.lock.acquire();
        call_keeper();
        keeper.lock.release();
        futex_wait(keeper.rounds, now);
    }
    ring.lock.acquire();
}

int number_of(KeptFile& file) {
    for (;;) {
        const uint32_t arrivals = keeper.arrivals.load();
        const int number = file.number.load(std::memory_order_acquire);
        if (number != KeptFile::on_its_way) return number;
        if (own_table && pthread_equal(pthread_self(), keeper.thread)) {
            take_in();
        } else {
            futex_wait(keeper.arrivals, arrivals);
        }
    }
}

void nudge(Ring& ring) {
    // Only a leader in io_uring_enter can be relied on. One in the program's poll(2) may have left it without notice.
    if (ring.waiters.leader != nullptr && ring.poll_call.thread == 0) return wake_leader(ring);
    nudge_helper(ring);
}

bool start_with_own_table(ThreadWanted& wanted) {
    Guard guard(keeper.lock);
    if (!keeper.running) return false;
    keeper.threads.push(wanted);
    call_keeper();
    return true;
}

void end_keeper() {
    KeptFile* copy = keeper.watch_copy.exchange(nullptr);
    if (copy != nullptr) drop_kept(*copy);
    keeper.lock.acquire();
    const bool running = keeper.running;
    keeper.ending = true;
    if (running) call_keeper();
    keeper.lock.release();
    if (running) pthread_join(keeper.thread, nullptr);
    keeper.lock.acquire();
    close_pair();
    keeper.threads = {};
    keeper.running = keeper.ending = false;
    keeper.lock.release();
}

void hold_keeper() RINGSIDE_UNCHECKED { keeper.lock.acquire(); }
void release_keeper() RINGSIDE_UNCHECKED { keeper.lock.release(); }

void forget_keeper(bool closes) RINGSIDE_UNCHECKED {
    keeper.lock.reset();
    keeper.running = keeper.ending = keeper.refused = false;
    keeper.expected.store(false);
    keeper.watch_copy.store(nullptr);
    keeper.listed = {};
    keeper.dropped = {};
    keeper.threads = {};
    keeper.count = 0;
    if (closes) close_pair();
    keeper.near = keeper.far_of_program = -1;
}

}  // namespace ringside::engine
