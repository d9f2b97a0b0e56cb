#include "memory/user_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "abi/syscall.h"
#include "memory/own_stack.h"
#include "os/fds.h"
#include "os/own_process.h"

namespace ringside::engine {
namespace {

// The way where a policy refuses process_vm_readv: a pipe's write() checks the source and its read() the destination.
// A pipe made for this alone holds a page at least, so neither end ever waits.
int copy_through_pipe(uint64_t to, uint64_t from, size_t size) {
    constexpr size_t piece = 4096;
    int ends[2];
    if (abi::syscall(__NR_pipe2, ends, O_CLOEXEC) < 0) return -EFAULT;
    int result = 0;
    for (size_t done = 0; done < size && result == 0; done += piece) {
        const size_t now = size - done < piece ? size - done : piece;
        const auto length = static_cast<long>(now);
        if (abi::syscall(__NR_write, ends[1], from + done, now) != length) result = -EFAULT;
        if (result == 0 && abi::syscall(__NR_read, ends[0], to + done, now) != length) result = -EFAULT;
    }
    close_fd(ends[0]);
    close_fd(ends[1]);
    return result;
}

// The program may point to what its compiler thinks is nobody's: a sanitizer has no say in it.
__attribute__((no_sanitize("address", "thread"), noinline)) void copy_plainly(void* to, const void* from, size_t size) {
    auto* target = static_cast<volatile unsigned char*>(to);
    const auto* source = static_cast<const volatile unsigned char*>(from);
    for (size_t i = 0; i < size; ++i) target[i] = source[i];
}

int copy(long call, uint64_t remote, void* ours, size_t size) {
    if (size == 0) return 0;
    const iovec local = {ours, size};
    const iovec other = {user_pointer(remote), size};
    const long copied = abi::syscall(call, own_process(), &local, 1, &other, 1, 0);
    if (copied == static_cast<long>(size)) return 0;
    if (copied != -EPERM && copied != -ENOSYS && copied != -EACCES) return -EFAULT;
    const auto own = reinterpret_cast<uintptr_t>(ours);
    return call == __NR_process_vm_readv ? copy_through_pipe(own, remote, size) : copy_through_pipe(remote, own, size);
}

// Whether each page can be read, for kernels that do not know MADV_POPULATE_WRITE.
int probe_pages(uint64_t from, uint64_t end) {
    constexpr uint64_t page = 4096;
    unsigned char probe;
    for (; from < end; from += page) {
        if (read_user(probe, from) < 0) return -EFAULT;
    }
    return 0;
}

}  // namespace

int read_user(void* to, uint64_t from, size_t size) {
    if (!is_on_own_stack(from, size)) return copy(__NR_process_vm_readv, from, to, size);
    copy_plainly(to, user_pointer(from), size);
    return 0;
}

int write_user(uint64_t to, const void* from, size_t size) {
    if (!is_on_own_stack(to, size)) return copy(__NR_process_vm_writev, to, const_cast<void*>(from), size);
    copy_plainly(user_pointer(to), from, size);
    return 0;
}

int write_user(const Writing& first, const Writing& second) {
    const iovec ours[] = {{const_cast<void*>(first.from), first.size}, {const_cast<void*>(second.from), second.size}};
    const iovec theirs[] = {{user_pointer(first.to), first.size}, {user_pointer(second.to), second.size}};
    const long copied = is_on_own_stack(first.to, first.size)
                            ? 0
                            : abi::syscall(__NR_process_vm_writev, own_process(), ours, 2, theirs, 2, 0);
    if (copied == static_cast<long>(first.size + second.size)) return 0;
    // What may not be made, or came to a bad address, is told by the one piece or the other.
    const int result = write_user(first.to, first.from, first.size);
    return result < 0 ? result : write_user(second.to, second.from, second.size);
}

void read_touched(void* to, uint64_t from, size_t size) { copy_plainly(to, user_pointer(from), size); }

void write_touched(uint64_t to, const void* from, size_t size) { copy_plainly(user_pointer(to), from, size); }

int make_present(uint64_t address, size_t size) {
    constexpr uint64_t page = 4096;
    uint64_t last;
    if (__builtin_add_overflow(address, size + page - 1, &last)) return -EOVERFLOW;
    const uint64_t first = address / page * page;
    const uint64_t end = last / page * page;
    long result = abi::syscall(__NR_madvise, first, end - first, MADV_POPULATE_WRITE);
    if (result == 0) return 0;
    // -EINVAL says that there is a page which cannot be written, or that the kernel does not know the advice.
    if (result == -EINVAL) result = abi::syscall(__NR_madvise, first, end - first, MADV_POPULATE_READ);
    return result == -EINVAL ? probe_pages(first, end) : -EFAULT;
}

}  // namespace ringside::engine
