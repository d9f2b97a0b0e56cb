// The operation table: one row an opcode, from ops.def.
#pragma once

#include <linux/aio_abi.h>
#include <stdint.h>

#include "state/request.h"

namespace ringside::engine {

// Checks an SQE's fields for this operation and keeps what is needed of them in the request; the SQE is not looked at
// again. Returns 0 or -errno. May run before the request's file is known.
using Prep = int (*)(Request&, const io_uring_sqe&);

// Attempts the operation without blocking, under the ring's lock.
using Issue = Outcome (*)(Request&);

// Does the operation in a worker, where it may block; without the lock. Answers done, wait, or queued: to be issued
// again.
using Work = Outcome (*)(Request&);

enum OperationFlag : uint32_t {
    op_file = 1u << 0,                // fd names a file that must exist
    op_ioprio = 1u << 1,              // ioprio may be set (else -EINVAL)
    op_iopoll = 1u << 2,              // allowed on a ring with IORING_SETUP_IOPOLL
    op_buffer_select = 1u << 3,       // IOSQE_BUFFER_SELECT allowed
    op_poll_in = 1u << 5,             // waits for POLLIN
    op_poll_out = 1u << 6,            // waits for POLLOUT
    op_cancel_counts = 1u << 8,       // cancelling it reports the number of requests cancelled: 1
    op_cancel_succeeds = 1u << 9,     // when cancelled, it severs no chain
    op_minds_nonblock = 1u << 10,     // in a worker, O_NONBLOCK of its file keeps it from waiting
    op_forgets_nowait = 1u << 11,     // in a worker, its own nowait flag does not keep it from waiting
    op_never_blocks = 1u << 12,       // may be armed, but never blocks in a worker
    op_joins_any = 1u << 13,          // joins any other on its file, not only one that continues it
    op_opens = 1u << 14,              // its result is a descriptor
    op_asks_who = 1u << 15,           // its call depends on what the calling thread may do (service/crew.h)
    op_forgives_slot = 1u << 17,      // if there is no slot for its descriptor, that severs no chain
    op_may_want_lock = 1u << 18,      // a worker only waits for another ring's lock, then it is issued
    op_fails_outside = 1u << 19,      // if it fails in a worker, the rest of its chain is not the worker's
    op_finds_socket = 1u << 20,       // reports by itself that its file is no socket
    op_in_order = 1u << 21,           // workers do those on one regular file one after the other
    op_carried_by_slot = 1u << 23,    // carried only for a registered file: refused by others than sockets
    op_moves_descriptors = 1u << 22,  // it may put descriptors into the program's table, or take some from it
};

// Fields that a row can refuse: a value other than zero is -EINVAL.
enum SqeField : uint32_t {
    field_fd = 1u << 0,
    field_off = 1u << 1,
    field_addr = 1u << 2,
    field_len = 1u << 3,
    field_op_flags = 1u << 4,
    field_buf_index = 1u << 5,
    field_file_index = 1u << 6,
    field_addr3 = 1u << 7,
    field_pad2 = 1u << 8,
};

// Takes a waiting request out of a list of the operation's own (Place::parked), since it is to be cancelled. Returns 0,
// or -ENOENT when what it waited for has just happened and it will end by itself.
using Unpark = int (*)(Request&);

// What became of requests that were attempted together: all of the first `count` are done, or all are to be punted.
// Each of the others is issued alone.
struct Share {
    unsigned count;
    Outcome outcome;
};

// About as many as a call gains from, and few enough for their iovecs to lie on the stack.
inline constexpr unsigned most_together = 64;

// Attempts requests together, `most_together` at the most, without blocking. They are the same operation on the same
// file, linked through Request::next; reads go on where the one before them ends.
using Together = Share (*)(Request& first, unsigned count);

// Fills in what a request's first attempt would be for io_submit(2), which makes those of several requests in one call
// (path/carry.cc). It must mean what the operation's own call means, whatever file the descriptor stands for. Returns
// false if there is no such attempt. The answer is the first that the operation's issue gets (Request::take_answer).
using Carry = bool (*)(Request&, iocb&);

// A row fills a cache line, so that finding it is a shift.
struct alignas(64) Operation {
    const char* name;  // without IORING_OP_
    uint16_t since;    // kernel version it appeared in: major * 100 + minor
    uint16_t refuses;  // SqeField
    uint32_t flags;    // OperationFlag
    Prep prep;
    Issue issue;
    Work work;          // null where no worker is ever needed
    Unpark unpark;      // null where requests never park
    Together together;  // null where each is done alone
    Carry carry;        // null where no first attempt can be carried
};
static_assert(sizeof(Operation) == 64);

inline constexpr unsigned operation_count = IORING_OP_PIPE + 1;

extern const Operation operations[operation_count];

inline const Operation& operation_of(const Request& request) { return operations[request.opcode]; }

// Whether it is one that waits for the readiness of its file, and is attempted again then.
inline bool is_transfer(const Request& request) { return operation_of(request).flags & (op_poll_in | op_poll_out); }

// The issue of operations that only a worker does.
inline Outcome always_punt(Request&) { return Outcome::punt; }

// Whether one of the fields that this operation does not use is set.
bool has_refused_field(const io_uring_sqe& sqe, uint32_t refuses);

}  // namespace ringside::engine
