// A program of the lab: plain data that says how to set up a ring, what files and memory to have, and which steps to
// take with them. It can be generated, saved, loaded, shrunk, run on either provider and printed as a test.
//
// Nothing in it depends on the process that runs it: file descriptors and addresses are names, made into numbers by
// World (world.h).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ringside::lab {

// A number, or the name of something that becomes a number when the program runs.
struct Value {
    enum class Kind : uint8_t {
        number,
        fd,      // descriptor of a resource, by id
        memory,  // address of a memory object, by id, plus offset
        result,  // descriptor that the request with this user_data gave; -1 if it gave none
        ring,    // descriptor of the ring itself
    };
    Kind kind = Kind::number;
    uint64_t number = 0;
    int64_t offset = 0;

    bool is_zero() const { return kind == Kind::number && number == 0; }
    bool operator==(const Value&) const = default;
};

inline Value number(uint64_t n) { return {Value::Kind::number, n, 0}; }
inline Value fd_of(uint64_t id) { return {Value::Kind::fd, id, 0}; }
inline Value memory_at(uint64_t id, int64_t offset = 0) { return {Value::Kind::memory, id, offset}; }
inline Value result_of(uint64_t user_data) { return {Value::Kind::result, user_data, 0}; }

// The fields of an SQE. The unions of the ABI are named by place, as most operations read them.
enum class Field : uint8_t {
    opcode,
    flags,
    ioprio,
    fd,
    off,
    addr,
    len,
    op_flags,
    user_data,
    buf_index,
    personality,
    file_index,
    addr3,
    pad2,
};
inline constexpr size_t field_count = 14;

struct Sqe {
    std::array<Value, field_count> fields{};

    Value& operator[](Field field) { return fields[static_cast<size_t>(field)]; }
    const Value& operator[](Field field) const { return fields[static_cast<size_t>(field)]; }
    uint8_t opcode() const { return static_cast<uint8_t>((*this)[Field::opcode].number); }
    uint8_t flags() const { return static_cast<uint8_t>((*this)[Field::flags].number); }
    uint64_t user_data() const { return (*this)[Field::user_data].number; }
    bool operator==(const Sqe&) const = default;
};

struct Setup {
    uint32_t entries = 8;
    uint32_t flags = 0;
    uint32_t cq_entries = 0;
    uint32_t sq_thread_idle = 0;
    uint32_t wq_fd = 0;
    uint32_t reserved = 0;
    bool operator==(const Setup&) const = default;
};

enum class ResourceKind : uint8_t {
    file,           // regular file "f<id>" of `size` patterned bytes, opened with `flags`
    directory,      // directory "d<id>"
    scratch,        // the scratch directory itself
    path_only,      // regular file "f<id>", opened with O_PATH
    pipe,           // id reads, id + 1 writes; `size` bytes lie in it
    stream,         // socketpair; `size` bytes lie ready for id
    datagram,       // the same, one datagram
    seqpacket,      // the same, one packet
    eventfd,        // with count `size`
    null,           // /dev/null
    zero,           // /dev/zero
    epoll,          // an empty epoll instance
    memfd,          // anonymous file of `size` patterned bytes
    listener,       // unix stream listener, bound to the file "s<id>"
    inet_listener,  // TCP listener on loopback
    unix_socket,    // unconnected unix stream socket
    inet_socket,    // unconnected TCP socket
    udp_socket,     // unconnected UDP socket, bound to loopback
    ring,           // another ring, of 8 entries
    child,          // a process that has ended; its number instead of a descriptor
    count,
};

struct Resource {
    uint32_t id = 0;
    ResourceKind kind = ResourceKind::file;
    uint32_t flags = 0;
    uint64_t size = 0;
    bool operator==(const Resource&) const = default;
};

// How many descriptors a resource has: the pairs have two, `id` and `id + 1`.
unsigned descriptors_of(ResourceKind kind);

// A field of a memory object: `width` bytes that hold the value.
struct Cell {
    uint8_t width = 8;
    Value value;
    bool operator==(const Cell&) const = default;
};

// A piece of memory that ends where an unmapped page begins. Either text, or cells, or `size` bytes of a pattern.
struct Memory {
    uint32_t id = 0;
    std::string label = "bytes";  // what it is: shown, and tells how its contents are compared
    uint64_t size = 0;
    uint8_t fill = 0;  // pattern; 0 for zeros
    std::string text;
    std::vector<Cell> cells;
    bool operator==(const Memory&) const = default;
};

// Memory objects from this id on are read-only.
inline constexpr uint32_t first_read_only_memory = 60;
inline constexpr uint32_t memory_slots = 64;

struct Push {
    Sqe sqe;
    bool sure = false;  // it completes by itself, with a completion: who settles waits for that
    bool operator==(const Push&) const = default;
};
struct Enter {
    uint32_t to_submit = 0;
    uint32_t min_complete = 0;
    uint32_t flags = 0;
    Value arg{};
    uint64_t arg_size = 0;
    bool operator==(const Enter&) const = default;
};
// Submits what is left in the SQ, waits until nothing moves any more and takes the completions out.
struct Settle {
    // How long silence must last while requests are in flight (for timers among them).
    uint32_t linger_us = 0;
    bool reap = true;
    bool operator==(const Settle&) const = default;
};
// Something that happens outside the ring.
enum class EventKind : uint8_t { write, read, close, shutdown, connect, count };
struct Event {
    EventKind kind = EventKind::write;
    Value fd{};
    uint64_t amount = 0;  // bytes, or `how` of shutdown
    bool operator==(const Event&) const = default;
};
struct Register {
    uint32_t opcode = 0;
    Value arg{};
    uint32_t nr_args = 0;
    bool operator==(const Register&) const = default;
};
// Writes a word of ring memory, as a hostile program might.
enum class Word : uint8_t { sq_tail, sq_array, sq_head, sq_flags, sq_dropped, cq_overflow, cq_flags, count };
struct Poke {
    Word word = Word::sq_tail;
    uint32_t index = 0;  // of sq_array
    uint32_t add = 0;    // added to the word
    bool operator==(const Poke&) const = default;
};

using Step = std::variant<Push, Enter, Settle, Event, Register, Poke>;

struct Program {
    uint64_t seed = 0;
    Setup setup;
    std::vector<Resource> resources;
    std::vector<Memory> memories;
    std::vector<Step> steps;
    bool operator==(const Program&) const = default;
};

// The text form, one thing a line; parse() gives nothing and a message where the text is not a program.
std::string to_text(const Program& program);
std::string to_text(const Value& value);
std::string to_text(const Sqe& sqe);
std::string to_text(const Step& step);
std::optional<Program> parse(std::string_view text, std::string* error = nullptr);

// The SQE with this user_data, or null.
const Sqe* find_sqe(const Program& program, uint64_t user_data);

}  // namespace ringside::lab
