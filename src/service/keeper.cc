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
// As many descriptors as one message carries at most.
constexpr unsigned most_in_message = 253;
// Left free in the own table: the keeper's set, its bell, its end of the pair, and what is on its way.
constexpr unsigned numbers_to_spare = 4;

// How often the keeper looks at its lists when it cannot be called.
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
    unsigned count RINGSIDE_GUARDED_BY(lock) = 0;  // files that are kept, or on their way
    pthread_t thread;
    std::atomic<bool> expected{false};  // the keeper looks at its lists before it sleeps again
    std::atomic<uint32_t> arrivals{0};  // futex: counts the messages that were taken in
    std::atomic<uint32_t> rounds{0};    // futex: counts the rounds over what is ready that have ended
    // The end of the pair of sockets in the program's table, and what it was when it was made.
    int near = -1;
    ino_t near_inode = 0;
    int far_of_program = -1;  // the keeper's end, until it has a table of its own
    ino_t far_inode = 0;
    std::atomic<KeptFile*> watch_copy{nullptr};  // inotify's descriptor (service/ring_file.h), for the keeper
    // In the own table.
    int far = -1;
    int set = -1;
    int bell = -1;
    bool is_cut_off = false;  // the program has closed the other end: nobody calls any more
};

Keeper keeper;
thread_local bool own_table = false;

// --- Messages -------------------------------------------------------------------------------------------------------

union Control {
    cmsghdr header;
    char space[CMSG_SPACE(sizeof(int) * most_in_message)];
};

// The program may have closed an end of the pair, or put something else in its place.
bool is_end(int number, ino_t inode) {
    struct stat status;
    const int result = number >= 0 ? file_status(number, status) : -EBADF;
    return result == 0 ? status.st_ino == inode && S_ISSOCK(status.st_mode) : result != -EBADF;
}

bool has_near_end() RINGSIDE_REQUIRES(keeper.lock) { return is_end(keeper.near, keeper.near_inode); }
bool has_far_end() RINGSIDE_REQUIRES(keeper.lock) { return is_end(keeper.far_of_program, keeper.far_inode); }

// Sends `count` files, and their descriptors if there are any. Returns 0 or -errno.
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

// Has the keeper look at its lists.
void call_keeper() RINGSIDE_REQUIRES(keeper.lock) {
    if (keeper.expected.exchange(true)) return;
    if (own_table) return raise_eventfd(keeper.bell);
    // Without the pair the keeper looks by itself.
    if (!has_near_end()) return;
    KeptFile* nothing = nullptr;
    // A message that finds no room twice finds others before it, with which the keeper wakes.
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
        // Acquires what the sender wrote, for which a message is not enough by the rules of the language.
        if (files[i] == nullptr || files[i]->number.load(std::memory_order_acquire) != KeptFile::on_its_way) continue;
        files[i]->number.store(i < arrived ? descriptors[i] : -EMFILE, std::memory_order_release);
    }
}

// Takes in what was sent. The keeper alone does this: a message is also what wakes it.
void take_in() {
    bool any = false;
    for (;;) {
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

// Its memory goes.
void forget(KeptFile& file) RINGSIDE_REQUIRES(keeper.lock) {
    --keeper.count;
    file.~KeptFile();
    free(&file);
}

// --- The keeper -----------------------------------------------------------------------------------------------------

// What is to be done about a ring, whose program may hold the lock and wait for room for a message meanwhile.
void acquire(Ring& ring) RINGSIDE_ACQUIRES(ring.lock) RINGSIDE_UNCHECKED {
    while (!ring.lock.acquire_soon()) {
        take_in();
        abi::syscall(__NR_sched_yield);
    }
    ring.waiters.wakes_late = true;
}

// A ring with IORING_SETUP_DEFER_TASKRUN completes nothing unless its program asks for completions.
bool may_attempt(const Ring& ring) {
    return !(ring.setup_flags & IORING_SETUP_DEFER_TASKRUN) || ring.kept.gathering != 0;
}

void put_off_attempts(KeptFile& file) {
    if (!file.is_put_off) file.ring->kept.put_off.push(file);
    file.is_put_off = true;
}

// The program's call need not wait for it any more.
void note_attempted(KeptFile& file) {
    if (!file.is_due) return;
    file.is_due = false;
    if (file.ring->kept.due.fetch_sub(1) == 1) futex_wake(file.ring->kept.due, INT32_MAX);
}

// A descriptor that did not arrive leaves its requests without a file.
void fail_waiting(KeptFile& file, int error) {
    while (Request* request = file.waiting.first()) {
        disarm_poll(*request);
        queue_result(*request, error);
    }
}

// Under the ring's lock, of which it lets go: somebody goes on with what came of it.
void leave(Ring& ring) RINGSIDE_RELEASES(ring.lock) RINGSIDE_UNCHECKED {
    const bool news = ring.completion.tail != ring.completion.published || !ring.task_work.empty();
    if (ring.open && !ring.closing && (news || !ring.kept.put_off.empty())) nudge(ring);
    let_go_and_wake(ring);
}

// The program may have closed the ring by an instruction of its own, of which inotify has reported and the helper has
// not ended the ring yet: what is ready may be the program's then.
bool may_be_closed(const Ring& ring) {
    KeptFile* copy = ring.file.ends_unseen ? keeper.watch_copy.load(std::memory_order_acquire) : nullptr;
    return copy != nullptr && number_of(*copy) >= 0 && are_some_closed(number_of(*copy));
}

// Until the helper has.
void look_again(KeptFile& file) {
    file.attempt_now = true;
    await_readiness(file);
    abi::syscall(__NR_sched_yield);
}

void handle(KeptFile& file, uint32_t happened) {
    Ring& ring = *file.ring;
    acquire(ring);
    if (!file.dropped && !file.waiting.empty() && may_be_closed(ring)) {
        look_again(file);
    } else if (!file.dropped && !file.waiting.empty()) {
        may_attempt(ring) ? attempt_waiting(file, happened) : put_off_attempts(file);
    }
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

// Also has it looked at afresh, so that readiness which came between an attempt and now is not missed.
void register_file(KeptFile& file) {
    Ring& ring = *file.ring;
    acquire(ring);
    const int number = file.number.load(std::memory_order_relaxed);
    if (!file.dropped && !file.waiting.empty()) {
        const uint32_t events = wanted_events(file);
        const bool at_once = file.attempt_now;
        file.attempt_now = false;
        // The event of a new registration would tell of what the attempt finds once more.
        const bool is_registered = at_once && file.registered != 0 && (events & ~file.registered) == 0;
        const int result = number < 0 ? number : is_registered ? 0 : register_for(file, number, events);
        if (result < 0) {
            fail_waiting(file, result);
        } else if (at_once && may_be_closed(ring)) {
            look_again(file);
        } else if (at_once) {
            may_attempt(ring) ? attempt_waiting(file, 0) : put_off_attempts(file);
        }
    }
    note_attempted(file);
    leave(ring);
}

void register_listed() {
    for (;;) {
        keeper.lock.acquire();
        KeptFile* file = keeper.listed.front();
        // Those behind it came later still.
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

void serve() {
    bool more = false;
    while (more || !is_to_end()) {
        epoll_event events[events_per_wait];
        // Who comes from here on sends a message; who has come before, and perhaps had its message taken in the midst
        // of a round, is seen to in this one.
        const bool at_once = keeper.expected.exchange(false) || more;
        const int64_t limit = keeper.is_cut_off ? look_again_ns : no_deadline;
        const int count = wait_in_set(keeper.set, events, at_once ? 0 : limit, nullptr);
        take_in();
        start_threads();
        for (int i = 0; i < count; ++i) {
            const uint64_t cookie = events[i].data.u64;
            if (cookie == cookie_of_bell || cookie == cookie_of_messages) continue;
            handle(*reinterpret_cast<KeptFile*>(cookie), events[i].events);
        }
        register_listed();
        // Last, since what was dropped may be among the events.
        close_dropped();
        more = count == events_per_wait;
        if (more) continue;
        keeper.rounds.fetch_add(1);
        futex_wake(keeper.rounds, INT32_MAX);
    }
}

// Leaves the program's table for one with nothing in it but the keeper's end of the pair.
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

// What the program has put in the place of an end is its own.
void close_pair() RINGSIDE_REQUIRES(keeper.lock) {
    if (has_near_end()) close_fd(keeper.near);
    if (has_far_end()) close_fd(keeper.far_of_program);
    keeper.near = keeper.far_of_program = -1;
    keeper.near_inode = keeper.far_inode = 0;
}

// Room for what a batch hands over, as far as the system allows it.
void enlarge(int socket) {
    const int wanted = 1 << 20;
    abi::syscall(__NR_setsockopt, socket, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted));
}

// The pair of sockets, both ends out of the program's way until the keeper has its own. Returns 0 or -errno.
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

// Returns 0, or -errno: -ENOSYS where there never will be one.
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
    // In the own table it is there still.
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

KeptFile* make(Ring* ring, int fd, const struct stat& status) RINGSIDE_REQUIRES(keeper.lock) {
    constexpr uint64_t usual_limit = 1024;
    if (keeper.count + numbers_to_spare >= limit_of(RLIMIT_NOFILE, usual_limit)) return nullptr;
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

// The keeper takes in what is in the way. It may want the keeper's lock for that before.
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

// A descriptor of the engine's that threads with either table raise.
KeptFile* keep_own(int fd) RINGSIDE_REQUIRES(keeper.lock) {
    struct stat status = {};
    KeptFile* file = make(nullptr, fd, status);
    if (file == nullptr) return nullptr;
    file->program_number = -1;
    if (send(&file, &fd, 1) == 0) return file;
    forget(*file);
    return nullptr;
}

// Who wakes the ring's program, or the helper in its stead, has to be able to.
bool prepare_nudges(Ring& ring) RINGSIDE_REQUIRES(keeper.lock) {
    if (!prepare_helper_for_nudges(keep_own)) return false;
    if (ring.file.ends_unseen && keeper.watch_copy.load() == nullptr && watched_by() >= 0) {
        keeper.watch_copy.store(keep_own(watched_by()), std::memory_order_release);
    }
    // Without an eventfd, at the descriptor limit, who waits looks again and again.
    if (ring.poller.wake_copy != nullptr || open_poller(ring) < 0) return true;
    ring.poller.wake_copy = keep_own(ring.poller.wake_fd);
    return ring.poller.wake_copy != nullptr;
}

}  // namespace

bool is_kept_file(const KeptFile& file, int fd, const struct stat& status) {
    if (status.st_ino != file.inode || status.st_dev != file.device) return false;
    if (file.kind == S_IFSOCK) return true;
    // Its own number, while it is open for the same; another number may be of another open of it.
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
    if (!has_keeper() || !has_near_end() || !prepare_nudges(ring)) return nullptr;
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
        // One of them may be no descriptor any more.
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
    // It was not handed over, so the keeper has not come to it.
    file.ring->kept.to_send.remove(file);
    if (file.listed) keeper.listed.remove(file);
    forget(file);
}

void await_readiness(KeptFile& file) {
    Guard guard(keeper.lock);
    if (!file.listed) keeper.listed.push(file);
    file.listed = true;
    // Where it is yet to be handed over, that calls the keeper.
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
    // A round that is under way may have looked already: the one behind it has not.
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
    // One that leads in a poll of the program's own may have left it without a word.
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
