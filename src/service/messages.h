// Completions that come from outside of a ring: from another ring (IORING_OP_MSG_RING) or from a call
// (IORING_REGISTER_SEND_MSG_RING).
//
// Who sends from a ring holds that ring's lock, and two rings may send to each other at once. So a sender never waits
// for the lock of the ring it sends to: if it cannot have it, it leaves the message in that ring's inbox, whose own
// lock is held for moments and under which no other is taken, and lets a worker, which holds nothing, see to the
// delivery. Who has the ring's lock delivers what lies in the inbox before its own message, so messages arrive in the
// order they were sent.
#pragma once

#include <stdint.h>

#include "state/inbox.h"

namespace ringside::engine {

struct Ring;

// Sends a completion to a ring, for who holds another ring's lock. Returns 0; -EBADFD for a ring that is closed or not
// enabled yet; -EAGAIN when the message lies in the inbox and a worker is to call deliver(); -ENOMEM.
int send_message(Ring& to, uint64_t user_data, int32_t res, uint32_t flags);

// The same for who holds no lock, and so can wait for the ring's. Never -EAGAIN.
int send_message_now(Ring& to, uint64_t user_data, int32_t res, uint32_t flags);

// Delivers what lies in the inbox. Without any ring's lock.
void deliver(Ring& to);

// For who holds the ring's lock: takes what lies in the inbox, or throws it away because the ring is closed; and posts
// a completion that is no request's, where and when the ring may show it.
void take_messages(Ring& ring);
void drop_messages(Ring& ring);
void complete_from_outside(Ring& ring, uint64_t user_data, int32_t res, uint32_t flags);

// Whether a ring (whose lock is held) takes messages.
bool takes_messages(const Ring& ring);

}  // namespace ringside::engine
