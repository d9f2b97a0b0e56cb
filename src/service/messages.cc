#include "service/messages.h"

#include <errno.h>
#include <stdlib.h>

#include "process/inside.h"
#include "service/path_face.h"
#include "service/workers.h"

namespace ringside::engine {
namespace {

Queue<RingMessage, &RingMessage::next> empty_inbox(Inbox& inbox) {
    Guard guard(inbox.lock);
    inbox.waiting.store(false, std::memory_order_relaxed);
    return inbox.messages.take_all();
}

int post_message(Ring& to, uint64_t user_data, int32_t res, uint32_t flags) RINGSIDE_REQUIRES(to.lock) {
    if (!takes_messages(to)) return -EBADFD;
    take_messages(to);
    complete_from_outside(to, user_data, res, flags);
    settle_from_outside(to);
    return 0;
}

int leave_in_inbox(Ring& to, uint64_t user_data, int32_t res, uint32_t flags) {
    auto* message = static_cast<RingMessage*>(malloc(sizeof(RingMessage)));
    if (message == nullptr) return -ENOMEM;
    *message = {nullptr, to.generation.load(), user_data, res, flags};
    Guard guard(to.inbox.lock);
    to.inbox.messages.push(*message);
    to.inbox.waiting.store(true, std::memory_order_relaxed);
    return -EAGAIN;
}

}  // namespace

bool takes_messages(const Ring& ring) { return ring.open && !ring.closing && !ring.inherited && !ring.disabled; }

int send_message(Ring& to, uint64_t user_data, int32_t res, uint32_t flags) {
    Inside inside(to);
    if (!to.lock.acquire_soon()) return leave_in_inbox(to, user_data, res, flags);
    const int result = post_message(to, user_data, res, flags);
    to.lock.release();
    return result;
}

int send_message_now(Ring& to, uint64_t user_data, int32_t res, uint32_t flags) {
    Inside inside(to);
    Guard guard(to.lock);
    return post_message(to, user_data, res, flags);
}

void deliver(Ring& to) {
    Guard guard(to.lock);
    if (!takes_messages(to)) return;
    take_messages(to);
    settle_from_outside(to);
}

void take_messages(Ring& ring) {
    if (!ring.inbox.waiting.load(std::memory_order_relaxed)) return;
    auto messages = empty_inbox(ring.inbox);
    while (RingMessage* message = messages.pop()) {
        if (message->generation == ring.generation.load()) {
            complete_from_outside(ring, message->user_data, message->res, message->flags);
        }
        free(message);
    }
}

void drop_messages(Ring& ring) {
    auto messages = empty_inbox(ring.inbox);
    while (RingMessage* message = messages.pop()) free(message);
}

void complete_from_outside(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags) {
    Request* carrier = nullptr;
    if (ring.setup_flags & IORING_SETUP_DEFER_TASKRUN) carrier = ring.requests.take(ring);
    if (carrier == nullptr) {
        if (in_worker()) ring.notification.by_worker = true;
        post(ring, user_data, res, flags);
        return;
    }
    // Such a ring shows a completion only when its program enters: until then it is a request that is done.
    carrier->link = nullptr;
    carrier->opcode = IORING_OP_NOP;
    carrier->flags = request_has_result | (in_worker() ? +request_at_work : 0);
    carrier->user_data = user_data;
    carrier->res = res;
    carrier->cqe_flags = flags;
    queue_issue(*carrier);
}

}  // namespace ringside::engine
