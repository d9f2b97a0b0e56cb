#include "os/threads.h"

#include <signal.h>
#include <time.h>

#include "os/lock.h"

namespace ringside::engine {
namespace {

// Our threads call the kernel and little else. libc adds the room for the program's thread-local variables.
constexpr size_t stack_size = 256 * 1024;

std::atomic<int64_t> idle_ms{5000};

}  // namespace

int start_thread(pthread_t& thread, const char* name, void* (*body)(void*), void* argument) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return -1;
    pthread_attr_setstacksize(&attributes, stack_size);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int result = pthread_create(&thread, &attributes, body, argument);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    if (result == 0 && name != nullptr) pthread_setname_np(thread, name);
    return -result;
}

int futex_wait_while_idle(std::atomic<uint32_t>& word, uint32_t value) {
    const int64_t time_ms = idle_ms.load(std::memory_order_relaxed);
    const timespec time = {time_ms / 1000, time_ms % 1000 * 1'000'000};
    return futex_wait(word, value, &time);
}

void set_idle_time(int64_t milliseconds) { idle_ms.store(milliseconds, std::memory_order_relaxed); }

}  // namespace ringside::engine
