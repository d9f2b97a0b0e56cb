// The mutex of the engine: a futex that costs one atomic instruction each way while nobody contends, lives in zeroed
// memory, and tells clang's thread-safety analysis what it guards. All its interleavings are gone through in
// tests/model/lock.cc.
#pragma once

#include <linux/futex.h>
#include <stdint.h>
#include <atomic>

#include "abi/syscall.h"

#if defined(__clang__)
#define RINGSIDE_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define RINGSIDE_THREAD_ATTRIBUTE(x)
#endif
#define RINGSIDE_CAPABILITY(name) RINGSIDE_THREAD_ATTRIBUTE(capability(name))
#define RINGSIDE_SCOPED RINGSIDE_THREAD_ATTRIBUTE(scoped_lockable)
#define RINGSIDE_GUARDED_BY(lock) RINGSIDE_THREAD_ATTRIBUTE(guarded_by(lock))
#define RINGSIDE_REQUIRES(lock) RINGSIDE_THREAD_ATTRIBUTE(requires_capability(lock))
#define RINGSIDE_ACQUIRES(...) RINGSIDE_THREAD_ATTRIBUTE(acquire_capability(__VA_ARGS__))
#define RINGSIDE_RELEASES(...) RINGSIDE_THREAD_ATTRIBUTE(release_capability(__VA_ARGS__))
#define RINGSIDE_TRY_ACQUIRES(...) RINGSIDE_THREAD_ATTRIBUTE(try_acquire_capability(__VA_ARGS__))
#define RINGSIDE_UNCHECKED RINGSIDE_THREAD_ATTRIBUTE(no_thread_safety_analysis)

namespace ringside::engine {

// Sleeps while `word` holds `value`. The time-out is relative; null waits for ever. Returns 0 or -errno.
inline int futex_wait(std::atomic<uint32_t>& word, uint32_t value, const struct timespec* timeout = nullptr) {
    return static_cast<int>(abi::syscall(__NR_futex, &word, FUTEX_WAIT_PRIVATE, value, timeout));
}

// Wakes up to `count` sleepers of futex_wait on this word.
inline void futex_wake(std::atomic<uint32_t>& word, int count) {
    abi::syscall(__NR_futex, &word, FUTEX_WAKE_PRIVATE, count);
}

class RINGSIDE_CAPABILITY("mutex") Lock {
  public:
    void acquire() RINGSIDE_ACQUIRES() {
        uint32_t free = unlocked;
        // Pairs with the release in release(): what the last holder wrote is seen.
        if (!word_.compare_exchange_strong(free, locked, std::memory_order_acquire, std::memory_order_relaxed)) {
            acquire_contended();
        }
    }

    bool try_acquire() RINGSIDE_TRY_ACQUIRES(true) {
        uint32_t free = unlocked;
        return word_.compare_exchange_strong(free, locked, std::memory_order_acquire, std::memory_order_relaxed);
    }

    // For who must not sleep for it: tries for a moment.
    bool acquire_soon() RINGSIDE_TRY_ACQUIRES(true) RINGSIDE_UNCHECKED {
        for (int tries = 0; tries < 1000; ++tries) {
            if (try_acquire()) return true;
            abi::relax();
        }
        return false;
    }

    void release() RINGSIDE_RELEASES() {
        if (word_.exchange(unlocked, std::memory_order_release) == contended) futex_wake(word_, 1);
    }

    // For a child process after fork: whoever held the lock does not exist there.
    void reset() { word_.store(unlocked, std::memory_order_relaxed); }

  private:
    static constexpr uint32_t unlocked = 0, locked = 1, contended = 2;

    // Spins briefly, since most holders are about to let go, then sleeps. A lock taken here is marked contended even
    // when nobody else waits: that costs one needless wake-up, while forgetting a sleeper would cost a hang.
    void acquire_contended() {
        for (int spins = 0; spins < 100; ++spins) {
            uint32_t free = unlocked;
            if (word_.compare_exchange_weak(free, locked, std::memory_order_acquire, std::memory_order_relaxed)) return;
            if (free == contended) break;
            abi::relax();
        }
        while (word_.exchange(contended, std::memory_order_acquire) != unlocked) futex_wait(word_, contended);
    }

    std::atomic<uint32_t> word_{unlocked};
};

class RINGSIDE_SCOPED Guard {
  public:
    explicit Guard(Lock& lock) RINGSIDE_ACQUIRES(lock) : lock_(lock) { lock_.acquire(); }
    ~Guard() RINGSIDE_RELEASES() { lock_.release(); }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

  private:
    Lock& lock_;
};

}  // namespace ringside::engine
