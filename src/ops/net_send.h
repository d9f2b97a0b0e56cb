// What the two files about sending share (net_send.cc, net_send_buffers.cc).
#pragma once

#include <stdint.h>

#include "ops/message.h"
#include "state/request.h"

namespace ringside::engine {

enum class Form : uint8_t { buffer, vectors, message };

struct Sending {
    uint64_t address;  // the buffer, the array of iovecs, or the msghdr
    uint64_t name;     // destination of a buffer or of iovecs; 0 for none
    uint64_t done;     // bytes sent by earlier attempts
    uint32_t length;   // of the buffer, or number of iovecs
    int32_t flags;     // MSG_*
    uint32_t wanted;   // of a provided buffer; 0 for all of it
    uint16_t name_length;
    Form form;
    bool plain;  // a buffer, to whom the socket is connected to, and a part of it is enough: all below and `done` is 0
    bool kept;   // it stands in the request's memory as a Message
    bool zero_copy;
    bool fixed;  // the buffer is part of a registered one
    bool bundle;
    bool waited;  // a bundle has waited for room: the next completion is its last
};
static_assert(sizeof(Sending) <= Request::args_with_notification);

// Sends as much as goes without waiting.
Outcome attempt_send(Request& request);

// The end of a request: with MSG_WAITALL less than was asked for (not `all`) severs a chain, though it is no error.
Outcome complete_send(Request& request, long last, bool all = true);

// net_send_buffers.cc: sends provided buffers.
Outcome send_selected(Request& request);

}  // namespace ringside::engine
