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
    uint64_t array;      // of parts of a registered buffer: where the program has it
};

// --- rw_prep.cc -----------------------------------------------------------------------------------------------------

// Checks and keeps all fields but the memory.
int prepare_transfer(Request& request, const io_uring_sqe& sqe, bool vectored, bool writes);

// Has the request keep its own copy of its iovecs, if it has any. Returns 0 or -errno.
int keep_iovecs(Request& request);

// --- rw.cc ----------------------------------------------------------------------------------------------------------

// Tries it on the memory that the request has. What completes inline does so here.
Outcome attempt(Request& request);

// The end of a request, after an attempt that gave `last`, a number of bytes or an error.
Outcome complete(Request& request, long last);

// Whether it is known that a write to this file would not go at once: the file is on a disk, and its file system knows
// no RWF_NOWAIT for writes.
bool writes_would_wait(Request& request);

// Transfers what is left, in one call. Returns what the call returned.
long transfer_rest(Request& request, int extra_flags, bool may_block);

// The bytes that it is to transfer in all. Of iovecs that are not our copy only after a system call has read them.
uint64_t wanted_bytes(const Transfer& transfer);

// Whether its file is ready for it.
bool is_ready(Request& request);

// What its file has to be ready for.
uint32_t wanted_readiness(const Transfer& transfer);

// Whether it is a write that blocks, which goes on until all is written.
bool blocks_in_write(Request& request);

// Whether something other than the system call has to judge the request (check_file_and_flags).
bool is_judged_first(const Request& request);

// Whether a file may have more than it gave, or room for more than it took. One on disk is read and written in full, as
// far as it goes: a short count from RWF_NOWAIT may only mean that the rest is not in memory.
bool may_have_more(Request& request, long got);

// Nothing more goes without waiting, as the system call says by `reason`: who waits, and for what?
Outcome put_off(Request& request, long reason);

// --- rw_nothing.cc --------------------------------------------------------------------------------------------------

bool wants_nothing(Request& request);

// Asks the file. By a worker the call may block.
Outcome transfer_nothing(Request& request, bool may_block);

// The same for a submitter: files of unusual kinds may wait even then.
Outcome attempt_nothing(Request& request);

// --- rw_plainly.cc --------------------------------------------------------------------------------------------------

// A file that does not know RWF_NOWAIT and is not on disk.
Outcome attempt_plainly(Request& request);

// To a file that reads and writes by the older of the kernel's two ways alone, io_uring hands of parts of a registered
// buffer not the parts, but the array that names them: as many bytes of it as there are parts. For a transfer of parts.
void take_array_for_parts(Request& request);
inline bool has_parts(Request& request) { return request.has(request_takes_buffer) && request.as<Transfer>().vectored; }

// Whether it is a write to a pipe of more than is sure to find room in one that is ready.
bool is_large_for_pipe(Request& request);

// Whether it is a pipe that knew RWF_NOWAIT until the engine spliced from it, or to it.
bool was_spliced(int fd);

// Where RWF_NOWAIT would be refused for that alone. Returns whether.
bool drop_nowait_if_spliced(Request& request);

// It is done: if the kernel would have had a worker do it, what follows in its chain is the worker's, too.
void note_who_transfers(Request& request);

// --- rw_faults.cc ---------------------------------------------------------------------------------------------------

// The system call has refused its flags, ours among them, or would not look at them. Returns what the kernel has
// against the program's, or 0; flags that a file ignores are gone then.
int judge_flags(Request& request);

// The system call finds that the file has no positions. A stream has none, so io_uring ignores the offset there; but it
// has to be one that the range fits behind, and a socket minds one that is not 0. Returns 0 or -errno.
int judge_position(const Request& request, int64_t offset);

// Whether it waits for readiness although its file can only be polled: io_uring finds that out when it is ready.
bool waits_although_mute(Request& request, long fault);

// What the system call complained about may not be what the kernel would find first.
long first_fault(const Request& request, long fault);

// Which of several faults the program is told of. An iovec array that cannot be read is found out by the call that was
// to use it, unless that finds another fault first; in the kernel it is an error of the submission, which comes before
// all others and ends the batch. Then comes a file that is none, and then what the call complained about.
long blame(Request& request, long error);

// Whether its file is non-blocking by itself.
bool is_nonblocking(int fd);

// --- rw_direct.cc ----------------------------------------------------------------------------------------------------

// Whether no attempt at it ends before the disk answers: the file was opened with O_DIRECT, and it is whole blocks that
// are to be transferred.
bool bypasses_cache(const Transfer& transfer, const FileFacts* facts);

Outcome attempt_direct(Request& request);

// --- rw_flags.cc ----------------------------------------------------------------------------------------------------

// What the kernel has against the request before it transfers anything, in its order: the mode of the file, the flags,
// the kind of ring. Returns 0 or -errno.
int check_file_and_flags(const Request& request);

// Whether a file on disk knows a flag that it may refuse; or another one, which has no offsets but the current
// position.
bool knows_flag(int fd, int flag, int64_t offset = 0);

// Whether the file reads (or writes) by the newer of the kernel's two ways. A file with the older one alone ignores
// flags, and is not even asked to transfer nothing.
bool transfers_by_iterator(const Request& request);

// --- rw_buffers.cc --------------------------------------------------------------------------------------------------

// The memory of a request with IOSQE_BUFFER_SELECT, at its preparation.
int prepare_selection(Request& request);

Outcome attempt_on_selected(Request& request);

}  // namespace ringside::engine
