// Completions that another ring or a call has left for a ring (service/messages.h).
#pragma once

#include <stdint.h>
#include <atomic>

#include "os/lock.h"
#include "state/list.h"

namespace ringside::engine {

struct RingMessage {
    RingMessage* next;
    unsigned generation;  // of the ring it is for: its memory may be another ring's by now
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};

struct Inbox {
    Lock lock;
    Queue<RingMessage, &RingMessage::next> messages RINGSIDE_GUARDED_BY(lock);
    std::atomic<bool> waiting{false};  // something lies there
};

}  // namespace ringside::engine
