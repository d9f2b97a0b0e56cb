// Transfers that bypass the page cache (O_DIRECT), many at a time with no thread: handed to the kernel by io_submit(2),
// a batch in one call, and reaped from the completion ring that it shares with us. An eventfd in the ring's epoll set
// tells whoever waits.
//
// It is the one asynchronous interface for files that is allowed where io_uring is not. Where it is refused as well,
// workers do the transfers.
//
// All of it is under the ring's lock.
#pragma once

#include <linux/aio_abi.h>
#include <stdint.h>

#include "state/polling.h"
#include "state/request.h"

namespace ringside::engine {

struct Ring;

// Begins a transfer. Within a batch it is only put in line, for submit_transfers(). Returns false when it cannot be
// done this way. What the kernel refuses to begin is given to a worker.
bool start_transfer(Request& request, const iocb& transfer);

// Begins it with a call of its own, which reads what the transfer points to. Returns false when it has not begun, for
// whatever reason, and nothing has happened.
bool start_transfer_at_once(Request& request, const iocb& transfer);

// Begins what is in line.
void submit_transfers(Ring& ring);

// Takes what has been transferred.
void reap_transfers(Ring& ring);

// Whether something has been transferred and not been taken, as far as memory tells. Events that nobody waits for any
// more are dropped.
bool has_transferred(Ring& ring);

// There is nothing in flight any more but polls that were cancelled.
void close_disk(Ring& ring);

// The kernel's limit on their sum over all processes is low, so not more than a ring is likely to use at a time.
inline constexpr unsigned most_in_flight = 256;
inline constexpr unsigned most_queued = 32;

// For what shares the ring's context (service/kernel_polls.h): makes it if there is none, and returns whether there is
// one. Puts a command in line, which stays where it is until its event has come, if it needs to be cancelled.
bool open_disk(Ring& ring);
void line_up(Ring& ring, iocb& command, uint64_t data);

// Called in a child after fork: the contexts belong to the parent's memory map.
void forget_idle_contexts();

}  // namespace ringside::engine
