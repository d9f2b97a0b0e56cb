// What the fields of each operation's SQE hold.
#pragma once

#include <cstdint>

namespace ringside::fuzz {

// What a field of an operation holds.
enum class Holds : uint8_t {
    number,
    offset,
    buffer,
    vectors,
    message,
    path,
    time,
    how,
    event,
    futexes,
    word,
    socket_address,
    length,
    descriptors,
    user_data
};

// What its fd is.
enum class Names : uint8_t { any, socket, pipe, epoll, directory, ring, count, futex_flags, domain };

struct Shape {
    uint8_t opcode;
    Names fd = Names::any;
    Holds addr = Holds::buffer;
    Holds off = Holds::offset;
    uint32_t op_flags = 0;  // those that it may know
    uint16_t ioprio = 0;
    Holds addr3 = Holds::number;
};

// An operation that has no shape of its own takes a file, a buffer and an offset.
Shape shape_of(uint8_t opcode);

}  // namespace ringside::fuzz
