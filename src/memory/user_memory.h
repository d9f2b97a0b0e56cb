// Reading and writing the program's memory at addresses that it gave us. A bad address is -EFAULT, never a crash: the
// access goes through the kernel, which checks it, unless the memory is the calling thread's stack, or a system call
// has used it a moment ago. Used only for what the engine itself must look at (timespecs, iovec arrays, message
// headers); buffers are left to the system call that fills them.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace ringside::engine {

// Copies `size` bytes from the program's address `from`. Returns 0 or -EFAULT.
int read_user(void* to, uint64_t from, size_t size);

// Copies `size` bytes to the program's address `to`. Returns 0 or -EFAULT.
int write_user(uint64_t to, const void* from, size_t size);

// Two places by one call.
struct Writing {
    uint64_t to;
    const void* from;
    size_t size;
};
int write_user(const Writing& first, const Writing& second);

template <typename T>
int read_user(T& to, uint64_t from) {
    return read_user(&to, from, sizeof(T));
}

template <typename T>
int write_user(uint64_t to, const T& from) {
    return write_user(to, &from, sizeof(T));
}

// The same for memory that a system call has just read, or written, for the request that is being submitted: it is
// there, and stays there until the program is told that the entry was consumed.
void read_touched(void* to, uint64_t from, size_t size);
void write_touched(uint64_t to, const void* from, size_t size);

// The one or the other. Returns 0 or -EFAULT.
inline int read_user(void* to, uint64_t from, size_t size, bool touched) {
    if (!touched) return read_user(to, from, size);
    read_touched(to, from, size);
    return 0;
}

// Has the program's pages from `address` to its end faulted in for writing, as an operation does that pins them.
// Returns 0, -EFAULT where there is no memory, or none to be written, or -EOVERFLOW for what has no end.
int make_present(uint64_t address, size_t size);

// A program's address as a pointer, to hand to a system call.
template <typename T = void>
T* user_pointer(uint64_t address) {
    return reinterpret_cast<T*>(static_cast<uintptr_t>(address));
}

}  // namespace ringside::engine
