// Registered buffers: the slots that `buf_index` names, for READ_FIXED and its kin and for zero-copy sends.
//
// A slot stands for a range of the program's memory. The kernel pins it; we only remember where it is, and that is all
// that an ordinary system call needs. A request that outlives its first attempt holds the buffer: replacing it, or
// unregistering the whole table, takes effect for that request only when it is done, and the completion that tells of
// the buffer's tag comes after that. From then on nothing touches the memory.
//
// All of it is guarded by the ring's lock. Completions that tell of tags are posted, not published: that is the
// caller's.
#pragma once

#include <errno.h>
#include <stdint.h>
#include <sys/uio.h>

#include "state/request.h"
#include "state/tables.h"

namespace ringside::engine {

inline constexpr uint32_t most_registered_buffers = 1u << 14;

// --- The table ------------------------------------------------------------------------------------------------------

// Makes a table of empty slots. Returns 0 or -ENOMEM. There must be none in `buffers`.
int make_buffer_table(RegisteredBuffers& buffers, uint32_t count);

// Empties all slots and forgets the table.
void drop_buffers(Ring& ring);

// The same for a table that is not the ring's any more.
void drop_buffers(Ring& ring, RegisteredBuffers& buffers);

// Puts a buffer into a slot, in place of what may be there; `original` is the one of which it is a clone, if any.
// Returns 0, or -ENOMEM (also for what may not be locked).
int put_buffer(Ring& ring, RegisteredBuffers& buffers, uint32_t index, const iovec& range, uint64_t tag,
               const RegisteredBuffer* original = nullptr);

void empty_buffer_slot(Ring& ring, RegisteredBuffers& buffers, uint32_t index);

// --- Requests -------------------------------------------------------------------------------------------------------

// Finds the buffer Request::buf_index (unless the request holds one already) and checks that it contains these bytes.
// Returns 0 or -EFAULT.
int import_buffer(Request& request, uint64_t address, uint64_t length);

// The same for each of some iovecs, none of which may be empty.
int import_vectors(Request& request, const iovec* vectors, unsigned count);

// Holds on to the buffer that was imported, for a request that is not done with its first attempt, until
// let_go_of_buffer() when it is.
void hold_buffer(Request& request);
void let_go_of_buffer(Request& request);

}  // namespace ringside::engine
