// IORING_OP_MSG_RING: a completion, or a fixed file, for another ring of this process.
#include "ops/msg_ring.h"

#include <errno.h>
#include <fcntl.h>

#include "abi/syscall.h"
#include "ops/ops.h"
#include "os/fds.h"
#include "process/inside.h"
#include "process/registry.h"
#include "resource/fixed_files.h"
#include "service/messages.h"
#include "service/path_face.h"
#include "service/workers.h"

namespace ringside::engine {
namespace {

constexpr uint32_t known_flags = IORING_MSG_RING_CQE_SKIP | IORING_MSG_RING_FLAGS_PASS;

struct MsgRing {
    MessageFields fields;
    Ring* target;         // null until it was looked up
    unsigned generation;  // of the target when it was looked up
};

Outcome send_data(Request& request) {
    const auto& message = request.as<MsgRing>();
    const MessageFields& fields = message.fields;
    const int checked = check_data(fields);
    if (checked < 0) return request.done(checked);
    Ring& target = *message.target;
    const auto result = static_cast<int32_t>(fields.length);
    if (&target == request.ring) {
        complete_from_outside(target, fields.user_data, result, fields.cqe_flags());
        return request.done(0);
    }
    const int sent = send_message(target, fields.user_data, result, fields.cqe_flags());
    return sent == -EAGAIN ? Outcome::punt : request.done(sent);
}

// Under the target's lock.
long install_in_target(Request& request) {
    const auto& message = request.as<MsgRing>();
    Ring& target = *message.target;
    if (!takes_messages(target) || target.generation.load() != message.generation) return -EBADFD;
    const int copy = duplicate_high(request.fixed_file->fd);
    if (copy < 0) return copy;
    const int result = install_direct(target, copy, message.fields.target_slot, request.fixed_file->on_disk);
    if (result < 0) return result;
    take_messages(target);
    if (!(message.fields.flags & IORING_MSG_RING_CQE_SKIP)) {
        complete_from_outside(target, message.fields.user_data, result, 0);
    }
    settle_ring(target);
    return result;
}

Outcome send_file(Request& request) {
    const auto& message = request.as<MsgRing>();
    if (message.fields.length != 0 || message.target == request.ring) return request.done(-EINVAL);
    if (message.target->disabled) return request.done(-EBADFD);
    FixedFile* file = request.ring->files.find(message.fields.source_slot);
    if (file == nullptr) return request.done(-EBADF);
    request.fixed_file = file;
    Inside inside(*message.target);
    if (message.target->lock.acquire_soon()) {
        const long result = install_in_target(request);
        message.target->lock.release();
        return request.done(result);
    }
    hold(request);
    return Outcome::punt;
}

// No thread can be started, and our own ring's lock is still held. A completion stays in the target's inbox until the
// target is entered. A file needs the target's lock.
Outcome without_worker(Request& request) {
    const auto& message = request.as<MsgRing>();
    if (message.fields.command == IORING_MSG_DATA) return request.done(0);
    if (!message.target->lock.acquire_soon()) return request.done(-EAGAIN);
    const long result = install_in_target(request);
    message.target->lock.release();
    return request.done(result);
}

// Finds the ring behind the SQE's descriptor. Returns 0 or -errno.
int find_target(Request& request) {
    const int fd = request.sqe_fd;
    // A slot never holds a ring.
    if (request.has(IOSQE_FIXED_FILE)) return request.ring->files.find(static_cast<uint32_t>(fd)) ? -EBADFD : -EBADF;
    return find_message_target(fd, request.as<MsgRing>().target);
}

}  // namespace

int read_message(const io_uring_sqe& sqe, MessageFields& fields) {
    if (sqe.buf_index != 0 || sqe.personality != 0) return -EINVAL;
    fields.user_data = sqe.off;
    fields.command = static_cast<uint32_t>(sqe.addr);
    fields.source_slot = static_cast<uint32_t>(sqe.addr3);
    fields.length = sqe.len;
    fields.target_slot = sqe.file_index;
    fields.flags = sqe.msg_ring_flags;
    return fields.flags & ~known_flags ? -EINVAL : 0;
}

int check_data(const MessageFields& fields) {
    if (fields.source_slot != 0 || (fields.flags & ~IORING_MSG_RING_FLAGS_PASS)) return -EINVAL;
    return !(fields.flags & IORING_MSG_RING_FLAGS_PASS) && fields.target_slot != 0 ? -EINVAL : 0;
}

int find_message_target(int fd, Ring*& target) {
    target = ring_of(fd);
    if (target != nullptr) return 0;
    return is_file(fd) ? -EBADFD : -EBADF;
}

int msg_ring_prep(Request& request, const io_uring_sqe& sqe) {
    request.as<MsgRing>().target = nullptr;
    return read_message(sqe, request.as<MsgRing>().fields);
}

Outcome msg_ring_issue(Request& request) {
    auto& message = request.as<MsgRing>();
    const int found = find_target(request);
    // The kernel finds no file at all before a worker can.
    if (found == -EBADF) request.clear(request_at_work);
    if (found < 0) return request.done(found);
    message.generation = message.target->generation.load();
    switch (message.fields.command) {
        case IORING_MSG_DATA:
            return send_data(request);
        case IORING_MSG_SEND_FD:
            return send_file(request);
        default:
            return request.done(-EINVAL);
    }
}

// The target's lock was held. A worker holds no other lock, so it can wait for it.
Outcome msg_ring_work(Request& request) {
    const auto& message = request.as<MsgRing>();
    // A request with IOSQE_ASYNC was never issued: it must be issued first.
    if (message.target == nullptr) return Outcome::queued;
    if (!in_worker()) return without_worker(request);
    if (message.fields.command == IORING_MSG_DATA) {
        deliver(*message.target);
        return request.done(0);
    }
    Guard guard(message.target->lock);
    return request.done(install_in_target(request));
}

}  // namespace ringside::engine
