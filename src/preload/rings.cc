#include "preload/rings.h"

#include "abi/syscall.h"

namespace ringside::preload {
namespace {

// No ring has a higher descriptor than this, so a search through a range may stop here.
std::atomic<int> highest_ring{-1};

// Descriptors of rings that were put into an epoll set; some may be no ring's any more. If the table is full, a ring
// is settled only when it is entered.
constexpr int most_in_epoll = 64;
std::atomic<int> in_epoll[most_in_epoll] = {};
std::atomic<int> count_in_epoll{0};

pid_t this_process() { return static_cast<pid_t>(abi::syscall(__NR_getpid)); }

}  // namespace

constinit std::atomic<pid_t> process_with_rings{0};

engine::Ring* find_own_ring(int fd) {
    if (engine::find(fd) == nullptr) return nullptr;
    return process_with_rings.load(std::memory_order_relaxed) == this_process() ? engine::find_named(fd) : nullptr;
}

void note_ring(int fd) {
    process_with_rings.store(this_process(), std::memory_order_relaxed);
    int highest = highest_ring.load(std::memory_order_relaxed);
    while (fd > highest && !highest_ring.compare_exchange_weak(highest, fd, std::memory_order_relaxed)) {
    }
}

void note_ring_in_epoll(int fd) {
    const int known = count_in_epoll.load(std::memory_order_acquire);
    for (int i = 0; i < known && i < most_in_epoll; ++i) {
        if (in_epoll[i].load(std::memory_order_relaxed) == fd) return;
    }
    const int place = count_in_epoll.fetch_add(1, std::memory_order_acq_rel);
    if (place < most_in_epoll) {
        in_epoll[place].store(fd, std::memory_order_release);
    } else {
        count_in_epoll.store(most_in_epoll, std::memory_order_release);
    }
}

void settle_rings_in_epoll() {
    const int known = count_in_epoll.load(std::memory_order_acquire);
    if (known == 0 || process_with_rings.load(std::memory_order_relaxed) != this_process()) return;
    for (int i = 0; i < known && i < most_in_epoll; ++i) {
        // The number is not checked. If it names another ring by now, that ring's descriptor is brought in line,
        // which does no harm.
        if (engine::Ring* ring = engine::find(in_epoll[i].load(std::memory_order_acquire))) engine::readiness_fd(*ring);
    }
}

void close_rings_between(unsigned first, unsigned last) {
    if (!may_have_rings()) return;
    const int highest = highest_ring.load(std::memory_order_relaxed);
    if (highest < 0) return;
    const auto end = last < static_cast<unsigned>(highest) ? last : static_cast<unsigned>(highest);
    for (unsigned fd = first; fd <= end; ++fd) {
        if (find_own_ring(static_cast<int>(fd)) != nullptr) engine::close(static_cast<int>(fd));
    }
}

}  // namespace ringside::preload
