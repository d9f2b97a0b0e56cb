#include "preload/rings.h"

#include "abi/syscall.h"

namespace ringside::preload {
namespace {

// No ring has a higher descriptor than this: where a search through a range may stop.
std::atomic<int> highest_ring{-1};

pid_t this_process() { return static_cast<pid_t>(abi::syscall(__NR_getpid)); }

}  // namespace

constinit std::atomic<pid_t> process_with_rings{0};

engine::Ring* find_own_ring(int fd) {
    engine::Ring* ring = engine::find(fd);
    if (ring == nullptr) return nullptr;
    return process_with_rings.load(std::memory_order_relaxed) == this_process() ? ring : nullptr;
}

void note_ring(int fd) {
    process_with_rings.store(this_process(), std::memory_order_relaxed);
    int highest = highest_ring.load(std::memory_order_relaxed);
    while (fd > highest && !highest_ring.compare_exchange_weak(highest, fd, std::memory_order_relaxed)) {
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
