// A copy of a program's msghdr. It includes what must not change any more after the submission: the iovecs, and the
// destination address of a message to be sent. Buffers and control messages are not copied.
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "ops/vectors.h"
#include "state/request.h"

namespace ringside::engine {

// Stands in the request's `memory`, with the iovecs behind it.
struct Message {
    msghdr header;          // its pointers lead to the copies
    uint64_t length;        // bytes of all iovecs
    uint64_t program;       // address of the program's msghdr, to which a received one is written back; 0 for none
    uint64_t control_done;  // bytes of control messages that came with earlier parts
    uint32_t name_room;     // its msg_namelen as it stood there
    msghdr answer;          // of the last part received
    bool untold;            // the program's msghdr does not tell of it yet
    sockaddr_storage name;  // of a message to be sent

    iovec* vectors() { return reinterpret_cast<iovec*>(this + 1); }
};

// An SQE's message flags, as sendmsg(2) and recvmsg(2) accept them: without MSG_CMSG_COMPAT, the kernel's own mark for
// 32-bit programs. The calls refuse it, but io_uring ignores it.
inline int32_t known_to_calls(uint32_t flags) { return static_cast<int32_t>(flags & ~0x80000000u); }

enum class Direction : uint8_t {
    out,
    in,
    in_selected,  // into a provided buffer: of the iovecs, of which there may be one, only the length counts
};

inline Message& message_of(const Request& request) { return *static_cast<Message*>(request.memory); }

// Copies the msghdr at `address` into the request's memory. If a system call has just read the header, the header is
// known to be readable. Its pointers are not: the program may change them meanwhile. Returns 0, -EFAULT, -EINVAL,
// -EMSGSIZE for too many iovecs, or -ENOMEM.
int keep_message(Request& request, uint64_t address, Direction direction, bool just_read = false);

// Makes a message to send, of one buffer or of an array of iovecs, and a destination address (0: none).
struct Parts {
    uint64_t address;
    uint32_t length;  // of the buffer, or number of iovecs
    bool vectored;
    uint64_t name;
    int32_t name_length;
};
int keep_parts(Request& request, const Parts& parts);

// The same of iovecs of our own.
int keep_vectors(Request& request, const iovec* vectors, unsigned count);

// Drops the message before the request ends.
void drop_message(Request& request);

// Writes the answer to a receive back, unless that is done. Returns 0 or -EFAULT.
int tell_program(Request& request);

// sendmsg(2) and recvmsg(2) for the part of a kept message that follows its first `done` bytes. `received_flags` is
// the msg_flags of the answer.
long send_message(const Request& request, uint64_t done, int flags);
long receive_message(const Request& request, uint64_t done, int flags, int& received_flags);

}  // namespace ringside::engine
