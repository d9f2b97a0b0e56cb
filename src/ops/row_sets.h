// Sets of flags and of fields that several rows of ops.def share.
#pragma once

#include "state/operation.h"

namespace ringside::engine {

// Reads and writes.
inline constexpr uint32_t op_reads =
    op_file | op_ioprio | op_iopoll | op_poll_in | op_minds_nonblock | op_forgets_nowait | op_fails_outside;
inline constexpr uint32_t op_writes = op_file | op_in_order | op_ioprio | op_iopoll | op_poll_out | op_minds_nonblock |
                                      op_forgets_nowait | op_fails_outside;

// Transfers through sockets. Those with a msghdr add op_with_message: its control data may carry descriptors.
inline constexpr uint32_t op_receives = op_file | op_ioprio | op_poll_in;
inline constexpr uint32_t op_sends = op_file | op_ioprio | op_poll_out;
inline constexpr uint32_t op_with_message = op_minds_nonblock | op_moves_descriptors;

// buf_index (the group of buffers, too) and the slot of a direct descriptor.
inline constexpr uint32_t field_indices = field_buf_index | field_file_index;
// The last sixteen bytes of the SQE.
inline constexpr uint32_t field_tail = field_addr3 | field_pad2;

}  // namespace ringside::engine
