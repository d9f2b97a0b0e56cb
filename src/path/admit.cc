// Stage 2: makes a request of an SQE, or refuses it. The order of the checks is the kernel's, because it decides which
// of two errors the program sees.
#include <errno.h>

#include "ops/vectors.h"
#include "path/path.h"
#include "service/crew.h"

namespace ringside::engine {
namespace {

constexpr uint32_t known_flags = IOSQE_FIXED_FILE | IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC |
                                 IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
constexpr uint32_t rare_flags = IOSQE_IO_DRAIN | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;

// Draining a request in the middle of a chain drains its whole chain, and what comes after the chain.
void begin_drain(Ring& ring) {
    ring.drain.active = true;
    if (ring.chain.head != nullptr) {
        ring.chain.head->set(IOSQE_IO_DRAIN | request_ordered);
        ring.drain.next_too = true;
    }
}

int admit_rare_flags(Request& request, const Operation& operation) {
    if (request.flags & 0xff & ~known_flags) return -EINVAL;
    Ring& ring = *request.ring;
    if (request.has(IOSQE_BUFFER_SELECT) && !(operation.flags & op_buffer_select)) return -EOPNOTSUPP;
    if (request.has(IOSQE_CQE_SKIP_SUCCESS)) ring.drain.disabled = true;
    if (request.has(IOSQE_IO_DRAIN)) {
        if (ring.drain.disabled) return -EOPNOTSUPP;
        begin_drain(ring);
    }
    return 0;
}

// While a request drains, every request goes through the drain queue.
void follow_drain(Request& request) {
    Drain& drain = request.ring->drain;
    if (drain.active) request.set(request_ordered);
    if (drain.next_too && request.ring->chain.head == nullptr) {
        drain.next_too = false;
        drain.active = true;
        request.set(IOSQE_IO_DRAIN | request_ordered);
    }
}

bool take(Request& request, Credentials* credentials) {
    if (credentials == nullptr) return false;
    request.credentials = credentials;
    ++credentials->holders;
    request.set(request_impersonates);
    return true;
}

bool take_personality(Request& request, unsigned id) { return take(request, request.ring->personalities.find(id)); }

// Whether another thread than the submitter may be the one that attempts the request. On a ring with
// IORING_SETUP_DEFER_TASKRUN only the submitter goes on with requests, and they are judged by what it may do by then,
// as in the kernel.
bool others_may_come_to(const Request& request) {
    const bool deferred = request.ring->setup_flags & IORING_SETUP_DEFER_TASKRUN;
    return starts_later(request) && !deferred;
}

// Many rows refuse `off` and nothing else.
bool has_refused(const io_uring_sqe& sqe, uint32_t refuses) {
    return refuses == field_off ? sqe.off != 0 : has_refused_field(sqe, refuses);
}

// All the checks. They are kept apart from the fast path, because few requests and few rings need them.
__attribute__((noinline)) int admit_unusual(Request& request, const io_uring_sqe& sqe, const Operation& operation) {
    const Ring& ring = *request.ring;
    if (sqe.flags & (rare_flags | ~known_flags)) {
        const int result = admit_rare_flags(request, operation);
        if (result < 0) return result;
    }
    if (ring.restrictions.in_force && !ring.restrictions.allow(sqe)) return -EACCES;
    follow_drain(request);
    if (sqe.ioprio != 0 && !(operation.flags & op_ioprio)) return -EINVAL;
    if ((ring.setup_flags & IORING_SETUP_IOPOLL) && !(operation.flags & op_iopoll)) return -EINVAL;
    if (sqe.personality != 0 && !take_personality(request, sqe.personality)) return -EINVAL;
    if (has_refused(sqe, operation.refuses)) return -EINVAL;
    if ((operation.flags & op_asks_who) && others_may_come_to(request) && !join_crew(request)) return -ENOMEM;
    return operation.prep(request, sqe);
}

// Whether there is anything to be checked before the operation looks at its fields.
bool is_unusual(const Ring& ring, const io_uring_sqe& sqe, const Operation& operation) {
    return ((sqe.flags & (rare_flags | ~known_flags)) | sqe.ioprio | sqe.personality) != 0 ||
           (ring.restrictions.in_force | ring.drain.active | ring.drain.next_too) ||
           (ring.setup_flags & IORING_SETUP_IOPOLL) || operation.refuses != 0 || (operation.flags & op_asks_who);
}

}  // namespace

int admit(Request& request, const io_uring_sqe& sqe) {
    request.link = nullptr;
    request.user_data = sqe.user_data;
    request.flags = sqe.flags;
    request.res = 0;
    request.cqe_flags = 0;
    request.opcode = sqe.opcode;
    request.place = Place::path;
    request.buf_index = sqe.buf_index;
    request.sqe_fd = sqe.fd;

    if (sqe.opcode >= operation_count) {
        request.opcode = IORING_OP_NOP;
        return -EINVAL;
    }
    const Operation& operation = operations[sqe.opcode];
    if (is_unusual(*request.ring, sqe, operation)) return admit_unusual(request, sqe, operation);
    return operation.prep(request, sqe);
}

}  // namespace ringside::engine
