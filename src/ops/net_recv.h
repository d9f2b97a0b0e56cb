// What the two files about receiving share (net_recv.cc, net_recv_buffers.cc).
#pragma once

#include <stdint.h>

#include "ops/message.h"
#include "state/request.h"

namespace ringside::engine {

struct Receiving {
    uint64_t address;  // the buffer, or the msghdr
    uint64_t done;     // bytes received by earlier attempts
    uint32_t length;   // of the buffer
    int32_t flags;     // MSG_*, with MSG_DONTWAIT
    uint32_t wanted;   // of a provided buffer; 0 for all of it
    uint32_t left;     // what a multishot request may still receive, if it is limited
    uint32_t rounds;   // receives of a multishot request since it last waited
    bool message;
    bool kept;  // the msghdr stands in the request's memory as a Message
    bool bundle;
    bool limited;
};

// Receives what is there. `received_flags` is only known of messages and with MSG_WAITALL.
long receive_rest(const Request& request, int& received_flags);

// The hint that another receive would find something, for the CQE of one that gave `received`.
uint32_t more_to_read(const Request& request, long received);

// Ends the receive with `last`, or with the bytes that earlier attempts have received. `all` is false if that is less
// than the program asked for, which severs a chain.
Outcome complete_receive(Request& request, long last, bool all = true);

// Called when the receive would have to wait.
Outcome put_off_receive(Request& request);

// Nothing came, though the request has waited for it. Returns whether there is no use in waiting again: it is a
// worker's now, whose next call answers at once.
bool waits_in_vain(Request& request);

// One receive brought `received` bytes: what is to be done about MSG_WAITALL?
enum class Rest : uint8_t { none, missed, awaited };
Rest rest_of_receive(Request& request, long received, int received_flags);

// net_recv_buffers.cc: a receive into provided buffers is prepared (behind everything else), and attempted.
int prepare_selected_receive(Request& request, const io_uring_sqe& sqe);
Outcome receive_into_selected(Request& request);

}  // namespace ringside::engine
