#include "preload/translated_poll.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include "abi/syscall.h"
#include "preload/next.h"
#include "preload/rings.h"

namespace ringside::preload {
namespace {

int64_t sooner(int64_t a, int64_t b) { return a < b ? a : b; }

// Blocks signals except while the thread sleeps: a signal between two sleeps of one poll must end that poll, as a
// signal during a sleep does. Signals of faults stay unblocked, and so does SIGSYS, which serves the program's
// trapped calls.
class SignalsWait {
  public:
    SignalsWait() {
        sigset_t held;
        sigfillset(&held);
        for (const int fault : {SIGSYS, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP}) sigdelset(&held, fault);
        abi::syscall(__NR_rt_sigprocmask, SIG_SETMASK, &held, &before_, kernel_sigset_size);
    }
    ~SignalsWait() { abi::syscall(__NR_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, kernel_sigset_size); }
    SignalsWait(const SignalsWait&) = delete;
    SignalsWait& operator=(const SignalsWait&) = delete;

    // The thread's own mask.
    const sigset_t* before() const { return &before_; }

  private:
    static constexpr size_t kernel_sigset_size = 8;
    sigset_t before_ = {};
};

}  // namespace

int64_t now_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * nanoseconds_per_second + now.tv_nsec;
}

bool is_valid(const timespec& time) {
    return time.tv_sec >= 0 && time.tv_nsec >= 0 && time.tv_nsec < nanoseconds_per_second;
}

int64_t nanoseconds_of(const timespec& time) {
    const bool is_absurd = time.tv_sec >= for_ever / nanoseconds_per_second;
    return is_absurd ? for_ever : time.tv_sec * nanoseconds_per_second + time.tv_nsec;
}

PollEntries::PollEntries(nfds_t count) {
    if (count <= small) return;
    mapped_ = count * sizeof(pollfd);
    void* memory = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    entries_ = memory == MAP_FAILED ? nullptr : static_cast<pollfd*>(memory);
}

PollEntries::~PollEntries() {
    if (entries_ != nullptr && entries_ != on_stack_) munmap(entries_, mapped_);
}

TranslatedPoll::TranslatedPoll(const pollfd* program, nfds_t count)
    : count_(count), room_(count + most_rings), entries_(room_.get()) {
    if (entries_ != nullptr) load(program);
}

bool TranslatedPoll::needed(const pollfd* entries, nfds_t count) {
    // More entries than a process can have descriptors are an error for the kernel to name.
    constexpr nfds_t most = 1U << 20;
    if (!may_have_rings() || entries == nullptr || count > most) return false;
    for (nfds_t i = 0; i < count; ++i) {
        if (entries[i].fd >= 0 && find_own_ring(entries[i].fd) != nullptr) return true;
    }
    return false;
}

void TranslatedPoll::load(const pollfd* program) {
    for (nfds_t i = 0; i < count_; ++i) {
        const int fd = program[i].fd;
        entries_[i] = {fd, program[i].events, 0};
        if (fd < 0 || engine::find(fd) == nullptr) continue;
        if (ring_count_ == most_rings) {
            entries_[i].fd = pollable(fd);
        } else if (engine::find_polled(fd, program[i].events, rings_[ring_count_])) {
            ring_at_[ring_count_++] = i;
        }
    }
}

// Returns whether a ring is ready already.
bool TranslatedPoll::begin(int64_t& limit_ns) {
    bool ready = false;
    for (unsigned i = 0; i < ring_count_; ++i) {
        pollfd& entry = entries_[ring_at_[i]];
        entry.revents = engine::begin_poll(rings_[i]);
        if (entry.revents != 0) ready = true;
        entry.fd = rings_[i].fd;
        entry.events = POLLIN;
        entries_[count_ + i] = {rings_[i].nudge_fd, POLLIN, 0};
        limit_ns = sooner(limit_ns, rings_[i].limit_ns);
    }
    return ready;
}

// A signal handler polls a ring that its own thread was interrupted in.
bool TranslatedPoll::would_wait_for_itself() const {
    for (unsigned i = 0; i < ring_count_; ++i) {
        if (rings_[i].fd == -EDEADLK) return true;
    }
    return false;
}

void TranslatedPoll::end(bool slept) {
    for (unsigned i = 0; i < ring_count_; ++i) {
        pollfd& entry = entries_[ring_at_[i]];
        entry.revents = engine::end_poll(rings_[i], slept && entry.revents != 0);
    }
}

int TranslatedPoll::sleep(int64_t limit_ns, const sigset_t* mask) {
    const timespec limit = {limit_ns / nanoseconds_per_second, limit_ns % nanoseconds_per_second};
    return next.ppoll(entries_, count_ + ring_count_, limit_ns == for_ever ? nullptr : &limit, mask);
}

int TranslatedPoll::count_ready() const {
    int count = 0;
    for (nfds_t i = 0; i < count_; ++i) count += entries_[i].revents != 0;
    return count;
}

int TranslatedPoll::wait(int64_t timeout_ns, const sigset_t* mask) {
    if (timeout_ns == 0) return wait_in_sleeps(0, mask);
    const SignalsWait signals;
    return wait_in_sleeps(timeout_ns, mask != nullptr ? mask : signals.before());
}

int TranslatedPoll::wait_in_sleeps(int64_t timeout_ns, const sigset_t* mask) {
    const bool is_timed = timeout_ns != 0 && timeout_ns != for_ever;
    int64_t end_ns;
    if (!is_timed || __builtin_add_overflow(now_ns(), timeout_ns, &end_ns)) end_ns = for_ever;
    for (int64_t left_ns = timeout_ns;;) {
        int64_t limit_ns = left_ns;
        // The other descriptors are polled all the same.
        if (begin(limit_ns)) limit_ns = 0;
        if (limit_ns != 0 && would_wait_for_itself()) {
            end(false);
            errno = EDEADLK;
            return -1;
        }
        const int result = sleep(limit_ns, mask);
        const int error = errno;
        end(result > 0);
        errno = error;
        if (result < 0) return result;
        const int ready = count_ready();
        if (ready != 0 || left_ns == 0) return ready;
        if (end_ns != for_ever) left_ns = end_ns - now_ns();
        if (left_ns <= 0) left_ns = 0;
    }
}

void TranslatedPoll::store_answers(pollfd* program) const {
    for (nfds_t i = 0; i < count_; ++i) program[i].revents = entries_[i].revents;
}

int pollable(int fd) {
    engine::Ring* ring = own_ring(fd);
    return ring != nullptr ? engine::readiness_fd(*ring) : fd;
}

}  // namespace ringside::preload
