// Provided buffers: groups of them, from which requests with IOSQE_BUFFER_SELECT take one when they have data to put
// into it, or to send.
//
// A group is one of two kinds. A classic one (IORING_OP_PROVIDE_BUFFERS) is a list of ours, first in first out. A
// buffer ring (IORING_REGISTER_PBUF_RING) is memory shared with the program: it adds buffers at the tail, we take them
// at our head. Nothing in it is trusted: tail, address, length and id are read once each, and only system calls follow
// the address.
//
// The way of a buffer, in an operation's issue (all under the ring's lock):
//
//     select_buffer()         the request holds a buffer; its group still has it, if it is a ring's
//     done(result)            path/finish.cc calls consume_buffer() for a request that holds one: the buffer is used up
//                             and its id goes into the CQE
//     recycle_buffer()        before Outcome::wait, and where the kernel gives it back: the request holds none, and the
//                             next to select from the group gets it
//     commit_buffer()         before Outcome::punt: out of the group, so that nobody else gets it meanwhile
//     withdraw_buffers()      before Outcome::wait, of one that waits for the rest of what is to come into it
//
// A multishot operation calls consume_buffer() itself and hands what it returns to post_more(). A bundle is several
// buffers of a ring at once; see select_bundle().
//
// With IOSQE_ASYNC a request would reach its worker without a chance to select. One that sets request_takes_buffer in
// its prep is issued all the same; its issue clears IOSQE_ASYNC, selects, commits, and then may answer Outcome::punt.
#pragma once

#include <stdint.h>
#include <sys/uio.h>

#include "liburing/io_uring.h"
#include "state/tables.h"

namespace ringside::engine {

struct Ring;
struct Request;
struct BufferGroup;

inline constexpr unsigned most_groups = 1u << 16;
inline constexpr unsigned most_buffers_in_group = 1u << 16;

// --- Requests -------------------------------------------------------------------------------------------------------

// Selects a buffer of the group Request::buf_index for up to `wanted` bytes (0: as long as it is). Returns 0, or
// -ENOBUFS if there is none. That is also the answer to a buffer at the address 0, which the request then holds.
int select_buffer(Request& request, uint64_t wanted, iovec& buffer);

// What a buffer of no length does in a bundle, behind others. An incremental ring is never moved on over one. So what
// is received into the buffers behind it would be overwritten by the next receive.
enum class Empty : uint8_t { is_skipped, ends_bundle };

// Selects up to `count` neighbouring buffers for up to `wanted` bytes (0: no limit). A classic group gives one, as
// above. The last may be shortened. Returns how many, or -ENOBUFS: also where there is a limit, and the first has no
// length. `took_last` is told whether the group had no more, and less than was wanted.
int select_bundle(Request& request, uint64_t wanted, iovec* vectors, unsigned count, Empty empty,
                  bool* took_last = nullptr);

// How many of the buffers of a bundle `bytes` bytes fill.
unsigned buffers_filled(const iovec* vectors, unsigned count, uint64_t bytes);

// Takes the selected buffers out of their group as if `bytes` of them were used, whatever the request's result will be.
void commit_buffer(Request& request, uint64_t bytes, unsigned count = 1);

// Takes the buffers that were selected out of their ring, each as a whole, however much of it will be used.
void withdraw_buffers(Request& request, unsigned count);

// The request is done with its buffer, or its bundle of `count`, of which it used `bytes` (or failed). Returns the
// flags for its CQE. Does nothing and returns 0 for a request that holds none.
uint32_t consume_buffer(Request& request, long bytes, unsigned count = 1);

// Gives the buffer back to its group as if it had never been selected. Returns false for one that is committed: it is
// gone, and the request still holds it.
bool recycle_buffer(Request& request);

// --- Groups ---------------------------------------------------------------------------------------------------------

// The group with this id; null if there is none.
BufferGroup* find_group(const Ring& ring, unsigned id);

// The same, made as an empty classic one if there is none; null when memory is out.
BufferGroup* need_group(Ring& ring, unsigned id);

bool is_buffer_ring(const BufferGroup& group);

// Adds a buffer behind the others of a classic group. Returns 0, -ENOMEM or -EOVERFLOW.
int provide_buffer(Ring& ring, BufferGroup& group, uint64_t address, uint32_t length, uint16_t id);

// Removes up to `count` buffers of a classic group from its front. Returns how many.
unsigned remove_buffers(Ring& ring, BufferGroup& group, unsigned count);

// Where the next buffer of a buffer ring is taken.
uint16_t head_of(const BufferGroup& group);

// Makes a buffer ring as the program describes it, its fields checked already. Returns 0, -EEXIST for a group that is
// in use, -EFAULT for bad memory, or -ENOMEM.
int make_buffer_ring(Ring& ring, const io_uring_buf_reg& wanted);

// Forgets a group and its buffers.
void drop_group(Ring& ring, unsigned id);

void drop_groups(Ring& ring);

// Our mapping of the memory that IOU_PBUF_RING_MMAP asked for, if group `id` has some and at least `length` bytes of
// it.
void* mapping_of(const Ring& ring, unsigned id, size_t length);

}  // namespace ringside::engine
