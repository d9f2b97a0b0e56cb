// How the engine starts a thread: every signal blocked, a small stack, a name that tells whose it is. And how long one
// stays that has nothing to do.
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <atomic>

namespace ringside::engine {

// Starts `body(argument)` in a joinable thread called `name` (15 characters at most; null if it names itself). Returns
// 0 or -errno.
int start_thread(pthread_t& thread, const char* name, void* (*body)(void*), void* argument);

// As futex_wait(), for a thread with nothing to do. -ETIMEDOUT: it has been idle for so long that it is to end, which
// is five seconds, as in the kernel.
int futex_wait_while_idle(std::atomic<uint32_t>& word, uint32_t value);

// For tests, which cannot wait for that long. It concerns threads that become idle from now on.
void set_idle_time(int64_t milliseconds);

}  // namespace ringside::engine
