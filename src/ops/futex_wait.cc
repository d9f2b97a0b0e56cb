// IORING_OP_FUTEX_WAIT and IORING_OP_FUTEX_WAITV. A futex is no file and cannot be polled, so a stand-in waits for it.
//
// When the program's submission returns, the wait must be in the futex's queue: a wake-up may follow at once, and the
// program need not change the futex's value for it. A thread that is about to wait is not enough. So the stand-in
// first waits at a gate, which is a futex of the engine's. The submitter moves it from there to the program's futex;
// the call returns how many waiters it moved:
//
//     submitter                                        stand-in
//     value as expected? else -EAGAIN                  wait at the gate while it is closed
//     move it from gate to futex, until one was moved  (in the futex's queue from here on)
//     open the gate
//     value still as expected? else call it back
//
// If the process is stopped and continued, the kernel restarts the stand-in's wait at the gate. The gate is open by
// then, so the stand-in waits at the futex itself, now as the last in its queue.
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/futex.h"
#include "ops/ops.h"
#include "os/interrupt.h"
#include "service/stand_ins.h"

namespace ringside::engine {
namespace {

enum : uint32_t { gate_closed = 0, gate_open = 1 };

// Large enough for a futex with a NUMA node behind it: the gate is of the same kind as its futex, since the kernel
// moves no waiter from one kind to another.
struct alignas(8) Gate {
    uint32_t word;
    uint32_t node;
};

// A futex to wait for, and the gate before it.
struct GatedFutex {
    futex_waitv futex;
    Gate gate;
};

struct Wait {
    GatedFutex single;  // of FUTEX_WAIT
    uint32_t count;
    uint32_t mask;
    StandIn* stand_in;
};

// FUTEX_WAITV keeps its futexes in the request's memory.
GatedFutex* gated_futexes(Request& request) {
    if (request.opcode == IORING_OP_FUTEX_WAIT) return &request.as<Wait>().single;
    return static_cast<GatedFutex*>(request.memory);
}

futex_waitv gate_of(const GatedFutex& gated) {
    futex_waitv gate = gated.futex;
    gate.uaddr = reinterpret_cast<uintptr_t>(&gated.gate.word);
    gate.val = gate_closed;
    return gate;
}

// --- The submitter's side -------------------------------------------------------------------------------------------

// Returns 0, -EAGAIN where a futex has another value than expected, -EFAULT or -EINVAL.
int check_values(const GatedFutex* all, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        if (is_misaligned(all[i].futex.uaddr, all[i].futex.flags)) return -EINVAL;
    }
    for (uint32_t i = 0; i < count; ++i) {
        uint32_t value;
        if (read_user(value, all[i].futex.uaddr) < 0) return -EFAULT;
        if (value != static_cast<uint32_t>(all[i].futex.val)) return -EAGAIN;
    }
    return 0;
}

// Moves the stand-in from the gate into the futex's queue. Returns 1, or 0 when it is not at the gate, or -errno.
long move_from_gate(const GatedFutex& gated, uint32_t gate_word) {
    futex_waitv gate = gate_of(gated);
    gate.val = gate_word;
    return requeue_one(gate, gated.futex);
}

int move_to_futex(GatedFutex& gated, StandIn& stand_in) {
    for (unsigned tries = 0;; ++tries) {
        const long moved = move_from_gate(gated, gate_closed);
        if (moved < 0) return static_cast<int>(moved);
        if (moved > 0) break;
        // The stand-in has not reached the gate yet. Or one of several futexes was woken already, and the stand-in
        // has left.
        if (has_result(stand_in)) return 0;
        let_begin(stand_in, tries);
    }
    __atomic_store_n(&gated.gate.word, gate_open, __ATOMIC_SEQ_CST);
    // The stand-in may have started to wait again just before the gate was opened.
    move_from_gate(gated, gate_open);
    return 0;
}

int move_to_futexes(GatedFutex* all, uint32_t count, StandIn& stand_in) {
    int result = 0;
    for (uint32_t i = 0; i < count && result == 0; ++i) result = move_to_futex(all[i], stand_in);
    return result;
}

// --- The stand-in's side --------------------------------------------------------------------------------------------

// -EAGAIN at the futex: it holds another value than expected, so the program has gone on. Then the wait has succeeded.
long stand_at_one(Request& request) {
    const auto& wait = request.as<Wait>();
    long result = wait_at(gate_of(wait.single), wait.mask);
    if (result == -EAGAIN) result = wait_at(wait.single.futex, wait.mask);
    return result == -EAGAIN ? 0 : result;
}

uint32_t first_changed(const GatedFutex* all, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        if (check_values(all + i, 1) != 0) return i;
    }
    return 0;
}

long wait_at_any(const futex_waitv* futexes, uint32_t count) {
    return blocking_syscall(__NR_futex_waitv, reinterpret_cast<long>(futexes), count);
}

long stand_at_any(Request& request) {
    const GatedFutex* all = gated_futexes(request);
    const uint32_t count = request.as<Wait>().count;
    futex_waitv futexes[FUTEX_WAITV_MAX];
    for (uint32_t i = 0; i < count; ++i) futexes[i] = gate_of(all[i]);
    long result = wait_at_any(futexes, count);
    if (result != -EAGAIN) return result;
    for (uint32_t i = 0; i < count; ++i) futexes[i] = all[i].futex;
    result = wait_at_any(futexes, count);
    return result == -EAGAIN ? first_changed(all, count) : result;
}

Outcome wait_for_wake(Request& request, Stand stand) {
    auto& wait = request.as<Wait>();
    GatedFutex* all = gated_futexes(request);
    int result = check_values(all, wait.count);
    if (result < 0) return request.done(result);
    wait.stand_in = send_stand_in(request, stand);
    if (wait.stand_in == nullptr) return request.done(-ENOMEM);
    result = move_to_futexes(all, wait.count, *wait.stand_in);
    if (result == 0) result = check_values(all, wait.count);
    if (result == 0) return Outcome::queued;
    const bool is_back = call_back(*wait.stand_in, result) == CalledBack::with_nothing;
    return is_back ? request.done(result) : Outcome::queued;
}

// --- Preparation ----------------------------------------------------------------------------------------------------

int read_waiters(GatedFutex* all, uint64_t address, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        all[i] = {};
        futex_waitv& futex = all[i].futex;
        if (read_user(futex, address + i * sizeof(futex)) < 0) return -EFAULT;
        if (!is_futex_kind(futex.flags) || futex.__reserved != 0 || !fits_futex(futex.val)) return -EINVAL;
    }
    return 0;
}

}  // namespace

int futex_wait_prep(Request& request, const io_uring_sqe& sqe) {
    const auto kind = static_cast<uint32_t>(sqe.fd);
    if (!is_futex_kind(kind) || !fits_futex(sqe.addr2) || !fits_futex(sqe.addr3)) return -EINVAL;
    auto& wait = request.as<Wait>();
    wait = {};
    wait.single.futex = {sqe.addr2, sqe.addr, kind, 0};
    wait.mask = static_cast<uint32_t>(sqe.addr3);
    wait.count = 1;
    return 0;
}

Outcome futex_wait_issue(Request& request) {
    return request.as<Wait>().mask == 0 ? request.done(-EINVAL) : wait_for_wake(request, stand_at_one);
}

int futex_waitv_prep(Request& request, const io_uring_sqe& sqe) {
    if (sqe.len == 0 || sqe.len > FUTEX_WAITV_MAX) return -EINVAL;
    void* memory = aligned_alloc(alignof(GatedFutex), sqe.len * sizeof(GatedFutex));
    if (memory == nullptr) return -ENOMEM;
    request.keep(memory);
    request.as<Wait>().count = sqe.len;
    return read_waiters(gated_futexes(request), sqe.addr, sqe.len);
}

Outcome futex_waitv_issue(Request& request) { return wait_for_wake(request, stand_at_any); }

int futex_unpark(Request& request) { return unpark_from(*request.as<Wait>().stand_in); }

}  // namespace ringside::engine
