#include "memory/own_stack.h"

#include <pthread.h>

#include "abi/syscall.h"

// Where the first thread's stack ends, by the dynamic loader. It may be missing.
extern "C" __attribute__((weak)) void* __libc_stack_end;

namespace ringside::engine {
namespace {

// A thread may have switched to a stack of its own making, far from the one that it was started with.
constexpr uintptr_t largest_stack = 8 << 20;

struct Stack {
    uintptr_t low = 0;  // both 0: not known
    uintptr_t end = 0;
    bool asked = false;
};
thread_local Stack own;

Stack first_threads_stack() {
    if (&__libc_stack_end == nullptr) return {0, 0, true};
    const auto end = reinterpret_cast<uintptr_t>(__libc_stack_end);
    return {end - largest_stack, end, true};
}

Stack this_threads_stack() {
    // libc would read a file to find out about the first thread.
    if (abi::syscall(__NR_gettid) == abi::syscall(__NR_getpid)) return first_threads_stack();
    Stack stack = {0, 0, true};
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return stack;
    void* start;
    size_t size;
    if (pthread_attr_getstack(&attributes, &start, &size) == 0) {
        stack.low = reinterpret_cast<uintptr_t>(start);
        stack.end = stack.low + size;
    }
    pthread_attr_destroy(&attributes);
    return stack;
}

}  // namespace

bool is_on_own_stack(uint64_t from, size_t size) {
    if (__builtin_expect(!own.asked, 0)) own = this_threads_stack();
    const auto frame = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    if (frame < own.low || frame >= own.end) return false;
    return from > frame && from < own.end && size <= own.end - from;
}

}  // namespace ringside::engine
