#include "ops/message.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/socket.h"

namespace ringside::engine {
namespace {

// A message with room for `vectors` iovecs (one at least, for a provided buffer), in the request's memory; null when
// memory is out.
Message* allocate(Request& request, unsigned vectors) {
    auto* message = static_cast<Message*>(calloc(1, sizeof(Message) + (vectors + 1) * sizeof(iovec)));
    if (message != nullptr) request.keep(message);
    return message;
}

int set_name(Message& message, uint64_t name, int32_t length) {
    const int result = copy_address(&message.name, name, length);
    if (result < 0) return result;
    message.header.msg_name = &message.name;
    message.header.msg_namelen = static_cast<socklen_t>(length);
    return 0;
}

// Whether the address is on the page of the end of the message's header. A page is mapped as a whole, and programs
// often keep the two beside each other.
bool is_beside(uint64_t header, uint64_t address, size_t size) {
    constexpr uint64_t page = 4096;
    const uint64_t shared = (header + sizeof(msghdr) - 1) / page;
    return address / page == shared && (address + size) / page == shared;
}

// The iovecs are where they belong.
void take_vectors(Message& message, unsigned count) {
    message.header.msg_iov = message.vectors();
    message.header.msg_iovlen = count;
    message.length = total_length(message.vectors(), count);
}

int set_vectors(Message& message, uint64_t vectors, unsigned count, bool touched) {
    int result = copy_iovecs(message.vectors(), vectors, count, touched);
    if (result == 0) result = check_ranges(message.vectors(), count);
    if (result < 0) return result;
    take_vectors(message, count);
    return 0;
}

int set_length(Message& message, uint64_t vectors, size_t count) {
    if (count > 1) return -EINVAL;
    if (count != 0 && read_user(*message.vectors(), vectors) < 0) return -EFAULT;
    take_vectors(message, 1);
    return static_cast<ssize_t>(message.length) < 0 ? -EINVAL : 0;
}

// `just_read` is the address of the header where a system call has just read it, else 0.
int fill(Message& message, const msghdr& theirs, Direction direction, uint64_t just_read) {
    message.header.msg_control = theirs.msg_control;
    message.header.msg_controllen = theirs.msg_controllen;
    if (direction != Direction::out) {
        message.header.msg_name = theirs.msg_name;
        message.header.msg_namelen = theirs.msg_namelen;
    } else if (theirs.msg_name != nullptr && theirs.msg_namelen != 0) {
        const int result =
            set_name(message, reinterpret_cast<uintptr_t>(theirs.msg_name), static_cast<int32_t>(theirs.msg_namelen));
        if (result < 0) return result;
    }
    const auto vectors = reinterpret_cast<uintptr_t>(theirs.msg_iov);
    if (direction == Direction::in_selected) return set_length(message, vectors, theirs.msg_iovlen);
    const bool touched = just_read != 0 && is_beside(just_read, vectors, theirs.msg_iovlen * sizeof(iovec));
    return set_vectors(message, vectors, static_cast<unsigned>(theirs.msg_iovlen), touched);
}

// A name that is too long is cut off; only a negative length is an error. If the name cannot be read and there are
// too many vectors as well, -EFAULT wins.
int check_header(msghdr& header, Direction direction) {
    if (header.msg_name == nullptr) header.msg_namelen = 0;
    if (static_cast<int32_t>(header.msg_namelen) < 0) return -EINVAL;
    if (header.msg_namelen > sizeof(sockaddr_storage)) header.msg_namelen = sizeof(sockaddr_storage);
    if (header.msg_iovlen <= most_iovecs) return 0;
    sockaddr_storage name;
    const bool has_name = direction == Direction::out && header.msg_namelen != 0;
    const auto address = reinterpret_cast<uintptr_t>(header.msg_name);
    return has_name && read_user(&name, address, header.msg_namelen) < 0 ? -EFAULT : -EMSGSIZE;
}

int give_up(Request& request, int error) {
    drop_message(request);
    return error;
}

RestOfVectors rest_of(Message& message, uint64_t done) {
    return {message.vectors(), static_cast<unsigned>(message.header.msg_iovlen), done};
}

// The header of the part that is still to be transferred.
msghdr header_of(const Message& message, const RestOfVectors& rest) {
    msghdr header = message.header;
    header.msg_iov = rest.vectors();
    header.msg_iovlen = rest.count();
    return header;
}

// Copies the fields that a receive changes into the program's header.
int write_back(uint64_t program, const msghdr& header) {
    constexpr size_t behind_control = offsetof(msghdr, msg_controllen);
    const Writing tail = {program + behind_control, &header.msg_controllen,
                          offsetof(msghdr, msg_flags) + sizeof(header.msg_flags) - behind_control};
    if (header.msg_name == nullptr) return write_user(tail.to, tail.from, tail.size);
    const Writing length = {program + offsetof(msghdr, msg_namelen), &header.msg_namelen, sizeof(header.msg_namelen)};
    return write_user(length, tail);
}

int tell_program(Message& message) {
    if (!message.untold) return 0;
    message.untold = false;
    return write_back(message.program, message.answer);
}

}  // namespace

int keep_message(Request& request, uint64_t address, Direction direction, bool just_read) {
    msghdr theirs;
    if (read_user(&theirs, address, sizeof(theirs), just_read) < 0) return -EFAULT;
    const socklen_t name_room = theirs.msg_namelen;
    int result = check_header(theirs, direction);
    if (result < 0) return result;
    Message* message = allocate(request, static_cast<unsigned>(theirs.msg_iovlen));
    if (message == nullptr) return -ENOMEM;
    message->program = direction == Direction::out ? 0 : address;
    message->name_room = name_room;
    result = fill(*message, theirs, direction, just_read ? address : 0);
    return result < 0 ? give_up(request, result) : 0;
}

int keep_parts(Request& request, const Parts& parts) {
    const unsigned count = parts.vectored ? parts.length : 1;
    Message* message = allocate(request, count);
    if (message == nullptr) return -ENOMEM;
    int result = parts.name != 0 ? set_name(*message, parts.name, parts.name_length) : 0;
    if (result < 0) return give_up(request, result);
    if (parts.vectored) {
        result = set_vectors(*message, parts.address, count, false);
    } else {
        *message->vectors() = {user_pointer(parts.address), parts.length};
        take_vectors(*message, 1);
    }
    return result < 0 ? give_up(request, result) : 0;
}

int keep_vectors(Request& request, const iovec* vectors, unsigned count) {
    Message* message = allocate(request, count);
    if (message == nullptr) return -ENOMEM;
    memcpy(message->vectors(), vectors, count * sizeof(iovec));
    take_vectors(*message, count);
    return 0;
}

int tell_program(Request& request) { return tell_program(message_of(request)); }

void drop_message(Request& request) {
    free(request.memory);
    request.clear(request_has_memory);
}

long send_message(const Request& request, uint64_t done, int flags) {
    Message& message = message_of(request);
    const RestOfVectors rest = rest_of(message, done);
    msghdr header = header_of(message, rest);
    // Control messages went out with the first part.
    if (done != 0) header.msg_controllen = 0;
    return abi::syscall(__NR_sendmsg, request.fd, &header, flags);
}

long receive_message(const Request& request, uint64_t done, int flags, int& received_flags) {
    Message& message = message_of(request);
    const RestOfVectors rest = rest_of(message, done);
    msghdr header = header_of(message, rest);
    header.msg_control = static_cast<char*>(header.msg_control) + message.control_done;
    header.msg_controllen -= message.control_done;
    const long received = abi::syscall(__NR_recvmsg, request.fd, &header, flags);
    if (received < 0) return received;
    header.msg_controllen = message.control_done += header.msg_controllen;
    received_flags = header.msg_flags;
    message.answer = header;
    message.untold = message.program != 0;
    // A call that blocks in a worker writes the header at its end.
    return request.has(request_blocks) || tell_program(message) == 0 ? received : -EFAULT;
}

}  // namespace ringside::engine
