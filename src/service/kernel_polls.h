// Polls that the kernel keeps for a request: IOCB_CMD_POLL of io_submit(2), where carrying pays (service/carrier.h).
// Such a poll names its file by the submission, holds it without a descriptor, and misses nothing: it completes within
// the call that makes the file ready. Polls of one batch begin in one call, and each tells its result in memory.
//
// They share their context with the transfers at a disk (service/disk.h), and the kernel refuses some files, those with
// two wait queues (terminals, a FIFO opened for both directions) among them. Such a request is issued in the usual way.
//
// All of it is under the ring's lock.
#pragma once

#include <linux/aio_abi.h>

#include "state/request.h"

namespace ringside::engine {

struct Ring;

// Puts a poll of the request's file for its events in line, for submit_transfers(). Returns false if there is no room
// for it.
bool line_up_poll(Request& request);

// Whether this is the event of a poll.
bool is_of_poll(const io_event& event);
bool is_of_withdrawn_poll(const io_event& event);

// The kernel refuses to begin a poll that was in line: its request is issued in the usual way.
void refuse_poll(Ring& ring, const iocb& command);

// Ends the request whose poll has ended, unless it was cancelled.
void end_poll(Ring& ring, const io_event& event);

// Takes the request off its poll, which the kernel then gives up.
void withdraw_poll(Request& request);

}  // namespace ringside::engine
