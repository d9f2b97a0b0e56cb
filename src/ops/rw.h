// What the operations share that read and write: rw.cc on memory that the program names, rw_buffers.cc on buffers that
// it has registered or provided.
#pragma once

#include <stdint.h>

#include "state/file_facts.h"
#include "state/request.h"

namespace ringside::engine {

// The offset that stands for the file position.
inline constexpr int64_t current_position = -1;

struct Transfer {
    uint64_t address;  // the buffer, or the array of iovecs
    int64_t offset;    // or -1 for the current position
    uint32_t length;   // of the buffer, or number of iovecs
    uint32_t done;     // bytes transferred by earlier attempts
    int32_t flags;     // RWF_*
    bool vectored;
    bool writes;
    bool kept;           // the iovecs are our copy, in the request's memory
    bool has_attribute;  // comes with protection information
};

// --- rw.cc ----------------------------------------------------------------------------------------------------------

// Checks and keeps all fields but the memory.
int prepare_transfer(Request& request, const io_uring_sqe& sqe, bool vectored, bool writes);

// Has the request keep its own copy of its iovecs, if it has any. Returns 0 or -errno.
int keep_iovecs(Request& request);

// Tries it on the memory that the request has. What completes inline does so here.
Outcome attempt(Request& request);

// The end of a request, after an attempt that gave `last`, a number of bytes or an error.
Outcome complete(Request& request, long last);

// Whether it is known that a write to this file would not go at once: the file is on a disk, and its file system knows
// no RWF_NOWAIT for writes.
bool writes_would_wait(Request& request);

// Transfers what is left, in one call. Returns what the call returned.
long transfer_rest(Request& request, int extra_flags, bool may_block);

// Which of several faults the program is told of, beside this one.
long blame(Request& request, long error);

// --- rw_direct.cc ----------------------------------------------------------------------------------------------------

// Whether no attempt at it ends before the disk answers: the file was opened with O_DIRECT, and it is whole blocks that
// are to be transferred.
bool bypasses_cache(const Transfer& transfer, const FileFacts* facts);

Outcome attempt_direct(Request& request);

// --- rw_flags.cc ----------------------------------------------------------------------------------------------------

// What the kernel has against the request before it transfers anything, in its order: the mode of the file, the flags,
// the kind of ring. Returns 0 or -errno.
int check_file_and_flags(const Request& request);

// Whether the file reads (or writes) by the newer of the kernel's two ways. A file with the older one alone ignores
// flags, and is not even asked to transfer nothing.
bool transfers_by_iterator(const Request& request);

// --- rw_buffers.cc --------------------------------------------------------------------------------------------------

// The memory of a request with IOSQE_BUFFER_SELECT, at its preparation.
int prepare_selection(Request& request);

Outcome attempt_on_selected(Request& request);

}  // namespace ringside::engine
