#include "ops/futex.h"

#include <errno.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/ops.h"
#include "os/interrupt.h"

#ifndef __NR_futex_wake
#define __NR_futex_wake 454
#define __NR_futex_wait 455
#define __NR_futex_requeue 456
#endif

namespace ringside::engine {
namespace {

// Flags of a futex, in the newer calls.
constexpr uint32_t size_mask = 0x03;
constexpr uint32_t size_32 = 0x02;
constexpr uint32_t with_node = 0x04;    // a NUMA node stands behind the word
constexpr uint32_t with_policy = 0x08;  // the memory's NUMA policy determines the node
constexpr uint32_t of_one_process = 0x80;
constexpr uint32_t known_flags = size_mask | with_node | with_policy | of_one_process;

bool is_classic(uint32_t flags) { return !(flags & (with_node | with_policy)); }

// The operation of the classic call for this kind.
int classic(int operation, uint32_t flags) {
    return flags & of_one_process ? operation | FUTEX_PRIVATE_FLAG : operation;
}

}  // namespace

bool is_futex_kind(uint64_t flags) { return !(flags & ~uint64_t{known_flags}) && (flags & size_mask) == size_32; }

bool is_misaligned(uint64_t address, uint32_t flags) {
    const uint64_t size = flags & with_node ? 2 * sizeof(uint32_t) : sizeof(uint32_t);
    return address % size != 0;
}

long wait_at(const futex_waitv& futex, uint32_t mask) {
    const auto address = static_cast<long>(futex.uaddr), value = static_cast<long>(futex.val);
    if (!is_classic(futex.flags)) return blocking_syscall(__NR_futex_wait, address, value, mask, futex.flags, 0, 0);
    return blocking_syscall(__NR_futex, address, classic(FUTEX_WAIT_BITSET, futex.flags), value, 0, 0, mask);
}

long wake(uint64_t address, uint32_t flags, int count, uint32_t mask) {
    // The classic call takes none for one.
    if (is_classic(flags) && count != 0) {
        return abi::syscall(__NR_futex, address, classic(FUTEX_WAKE_BITSET, flags), count, 0, 0, mask);
    }
    const long result = abi::syscall(__NR_futex_wake, address, mask, count, flags);
    if (result != -ENOSYS && result != -EPERM) return result;
    return !is_classic(flags) || mask == 0 || is_misaligned(address, flags) ? -EINVAL : 0;
}

long requeue_one(const futex_waitv& from, const futex_waitv& to) {
    if (is_classic(from.flags)) {
        return abi::syscall(__NR_futex, from.uaddr, classic(FUTEX_CMP_REQUEUE, from.flags), 0, 1, to.uaddr, from.val);
    }
    const futex_waitv both[2] = {from, to};
    return abi::syscall(__NR_futex_requeue, both, 0, 0, 1);
}

}  // namespace ringside::engine
