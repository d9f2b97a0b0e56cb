#include "fuzz/generate_entry.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "fuzz/arena.h"
#include "fuzz/world.h"
#include "ops/operation.h"

namespace ringside::fuzz {
namespace {

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

using enum Holds;

// What is not here takes a file, a buffer and an offset, or does not look at them.
constexpr Shape shapes[] = {
    {IORING_OP_NOP, Names::any, number, number, 0x3f},
    {IORING_OP_READV, Names::any, vectors, offset, 0x1f},
    {IORING_OP_WRITEV, Names::any, vectors, offset, 0x1f},
    {IORING_OP_READ, Names::any, buffer, offset, 0x1f},
    {IORING_OP_WRITE, Names::any, buffer, offset, 0x1f},
    {IORING_OP_READV_FIXED, Names::any, vectors},
    {IORING_OP_WRITEV_FIXED, Names::any, vectors},
    {IORING_OP_FSYNC, Names::any, number, number, 1},
    {IORING_OP_SYNC_FILE_RANGE, Names::any, number, number, 7},
    {IORING_OP_FALLOCATE, Names::any, number, number},
    {IORING_OP_POLL_ADD, Names::any, number, number, 0x201d},
    {IORING_OP_POLL_REMOVE, Names::any, user_data, user_data, 0x1d},
    {IORING_OP_SENDMSG, Names::socket, message, number, 0x4040, 0x2f},
    {IORING_OP_SENDMSG_ZC, Names::socket, message, number, 0x4040, 0x2f},
    {IORING_OP_RECVMSG, Names::socket, message, number, 0x142, 0x13},
    {IORING_OP_SEND, Names::socket, buffer, socket_address, 0x4040, 0x35},
    {IORING_OP_SEND_ZC, Names::socket, buffer, socket_address, 0x4040, 0x2d},
    {IORING_OP_RECV, Names::socket, buffer, number, 0x142, 0x17},
    {IORING_OP_TIMEOUT, Names::any, time, number, 0x6d},
    {IORING_OP_LINK_TIMEOUT, Names::any, time, number, 0xd},
    {IORING_OP_TIMEOUT_REMOVE, Names::any, user_data, time, 0x13},
    {IORING_OP_ASYNC_CANCEL, Names::any, user_data, number, 0x3f},
    {IORING_OP_ACCEPT, Names::socket, buffer, length, 0x80800, 7},
    {IORING_OP_CONNECT, Names::socket, socket_address, number},
    {IORING_OP_BIND, Names::socket, socket_address, number},
    {IORING_OP_LISTEN, Names::socket, number, number},
    {IORING_OP_SHUTDOWN, Names::socket, number, number},
    {IORING_OP_SOCKET, Names::domain, number, number},
    {IORING_OP_OPENAT, Names::directory, path, number, 0x80c42},
    {IORING_OP_OPENAT2, Names::directory, path, how},
    {IORING_OP_CLOSE, Names::any, number, number},
    {IORING_OP_STATX, Names::directory, path, buffer, 0x7900},
    {IORING_OP_RENAMEAT, Names::directory, path, path, 7},
    {IORING_OP_UNLINKAT, Names::directory, path, number, 0x200},
    {IORING_OP_MKDIRAT, Names::directory, path, number},
    {IORING_OP_SYMLINKAT, Names::directory, path, path},
    {IORING_OP_LINKAT, Names::directory, path, path, 0x1400},
    {IORING_OP_FSETXATTR, Names::any, path, buffer, 3, 0, path},
    {IORING_OP_SETXATTR, Names::any, path, buffer, 3, 0, path},
    {IORING_OP_FGETXATTR, Names::any, path, buffer, 0, 0, path},
    {IORING_OP_GETXATTR, Names::any, path, buffer, 0, 0, path},
    {IORING_OP_FADVISE, Names::any, number, number, 7},
    {IORING_OP_MADVISE, Names::any, buffer, number, 0x1f},
    {IORING_OP_FTRUNCATE, Names::any, number, number},
    {IORING_OP_EPOLL_CTL, Names::epoll, event, number},
    {IORING_OP_EPOLL_WAIT, Names::epoll, buffer, number},
    {IORING_OP_FILES_UPDATE, Names::any, descriptors, number},
    {IORING_OP_FIXED_FD_INSTALL, Names::any, number, number, 1},
    {IORING_OP_PROVIDE_BUFFERS, Names::count, buffer, number},
    {IORING_OP_REMOVE_BUFFERS, Names::count, number, number},
    {IORING_OP_MSG_RING, Names::ring, number, user_data, 3},
    {IORING_OP_WAITID, Names::any, number, buffer},
    {IORING_OP_FUTEX_WAIT, Names::futex_flags, word, number},
    {IORING_OP_FUTEX_WAKE, Names::futex_flags, word, number},
    {IORING_OP_FUTEX_WAITV, Names::any, futexes, number},
    {IORING_OP_SPLICE, Names::pipe, offset, offset, 0x7},
    {IORING_OP_TEE, Names::pipe, number, number, 0x3},
    {IORING_OP_URING_CMD, Names::socket, number, number, 1, 0, buffer},
    {IORING_OP_READ_MULTISHOT, Names::pipe, number, offset},
    {IORING_OP_PIPE, Names::any, length, number, 0x80800},
};

Shape shape_of(uint8_t opcode) {
    for (const Shape& shape : shapes) {
        if (shape.opcode == opcode) return shape;
    }
    return {opcode};
}

uint64_t anywhere(lab::Random& random) {
    constexpr uint64_t odd[] = {0,
                                8,
                                arena::end - 4,
                                arena::end,
                                arena::address_of_page(arena::missing_page),
                                arena::address_of_page(arena::read_only_page),
                                arena::address_of_page(arena::missing_page) - 8,
                                0xffff800000000000,
                                ~uint64_t{0},
                                uint64_t{1} << 47};
    if (random.percent(50)) return odd[random.below(std::size(odd))];
    return arena::base + random.below(arena::pages * arena::page);
}

uint64_t one_of(uint64_t array, size_t count, size_t stride, lab::Random& random) {
    return array + random.below(count) * stride;
}

uint64_t value_for(Holds holds, lab::Random& random) {
    switch (holds) {
        case Holds::number:
            return random.percent(60) ? 0 : random.below(20);
        case Holds::offset:
            return random.one_of<uint64_t>({0, 0, ~uint64_t{0}, 1, 4096, uint64_t{1} << 40, uint64_t{1} << 63});
        case Holds::user_data:
            return random.below(8);
        default:
            break;
    }
    if (random.percent(12)) return anywhere(random);
    switch (holds) {
        case Holds::vectors:
            return one_of(arena::vectors, 16, 16, random);
        case Holds::message:
            return one_of(arena::messages, 8, 64, random);
        case Holds::path:
            return one_of(arena::paths, 16, 32, random);
        case Holds::time:
            return one_of(arena::times, 8, 16, random);
        case Holds::how:
            return one_of(arena::opens, 4, 32, random);
        case Holds::event:
            return one_of(arena::events, 8, 16, random);
        case Holds::futexes:
            return one_of(arena::futexes, 8, 24, random);
        case Holds::socket_address:
            return one_of(arena::addresses, 8, 32, random);
        case Holds::length:
            return one_of(arena::lengths, 8, 4, random);
        case Holds::descriptors:
            return one_of(arena::descriptors, 32, 4, random);
        default:
            return arena::address_of_page(arena::scratch_page) + random.below(arena::scratch_pages * 512) * 8;
    }
}

uint32_t random_length(lab::Random& random) {
    if (random.percent(70)) return static_cast<uint32_t>(random.below(17));
    return random.one_of({24u, 56u, 100u, 1024u, 4096u, 4097u, 8192u, 0x10000u, 0x7fffffffu, 0x80000000u, 0xffffffffu});
}

int random_fd(const Shape& shape, lab::Random& random) {
    const auto from = [&random](int first, int last) {
        return world::first_fd +
               static_cast<int>(random.between(static_cast<uint64_t>(first), static_cast<uint64_t>(last)));
    };
    constexpr int futex_flags = 2 | 128;  // 32 bits, private
    if (shape.fd != Names::domain && random.percent(5)) return random.one_of({-1, AT_FDCWD, 63, 0x7fffffff, 600});
    if (random.percent(5)) return from(0, world::file_count + 4);
    switch (shape.fd) {
        case Names::socket:
            return from(6, 12);
        case Names::pipe:
            return from(2, 7);
        case Names::epoll:
            return from(14, 14);
        case Names::directory:
            return random.percent(80) ? AT_FDCWD : from(1, 1);
        case Names::ring:
            return from(world::file_count, world::file_count + 2);
        case Names::count:
            return static_cast<int>(random.between(3, 20));
        case Names::futex_flags:
            return futex_flags;
        case Names::domain:
            return random.one_of({AF_INET6, AF_INET6, AF_INET6, 50});
        default:
            return from(0, world::file_count - 1);
    }
}

uint8_t random_flags(lab::Random& random) {
    if (random.percent(50)) return 0;
    uint8_t flags = 0;
    for (uint64_t count = random.between(1, 2); count > 0; --count) flags |= static_cast<uint8_t>(1 << random.below(7));
    return random.percent(3) ? 0xff : flags;
}

uint32_t some_of(uint32_t bits, lab::Random& random) {
    if (random.percent(40)) return 0;
    if (random.percent(4)) return static_cast<uint32_t>(random.next());
    return random.percent(50) ? bits & static_cast<uint32_t>(random.next()) : bits & 1u << random.below(32);
}

constexpr unsigned field_count = 12;

void set_field(unsigned field, io_uring_sqe& sqe, lab::Random& random) {
    const Shape shape = shape_of(sqe.opcode);
    switch (field) {
        case 0:
            sqe.flags = random_flags(random);
            break;
        case 1:
            sqe.ioprio = static_cast<uint16_t>(some_of(shape.ioprio, random));
            break;
        case 2:
            sqe.fd = random_fd(shape, random);
            break;
        case 3:
            sqe.off = value_for(shape.off, random);
            break;
        case 4:
            sqe.addr = value_for(shape.addr, random);
            break;
        case 5:
            sqe.len = random_length(random);
            break;
        case 6:
            sqe.rw_flags = static_cast<__kernel_rwf_t>(some_of(shape.op_flags, random));
            break;
        case 7:
            sqe.user_data = random.below(8);
            break;
        case 8:
            sqe.buf_index = static_cast<uint16_t>(random.percent(90) ? random.below(4) : random.next());
            break;
        case 9:
            sqe.personality = static_cast<uint16_t>(random.percent(95) ? 0 : random.below(3));
            break;
        case 10:
            sqe.file_index = static_cast<uint32_t>(random.percent(60)   ? 0
                                                   : random.percent(80) ? random.below(20)
                                                                        : ~0u);
            break;
        case 11:
            sqe.addr3 = random.percent(90) ? value_for(shape.addr3, random) : 0;
            break;
    }
}

// Clears what the operation would refuse to see.
void clear_refused(io_uring_sqe& sqe) {
    if (sqe.opcode >= engine::operation_count) return;
    const engine::Operation& operation = engine::operations[sqe.opcode];
    if (operation.refuses & engine::field_fd) sqe.fd = 0;
    if (operation.refuses & engine::field_off) sqe.off = 0;
    if (operation.refuses & engine::field_addr) sqe.addr = 0;
    if (operation.refuses & engine::field_len) sqe.len = 0;
    if (operation.refuses & engine::field_op_flags) sqe.rw_flags = 0;
    if (operation.refuses & engine::field_buf_index) sqe.buf_index = 0;
    if (operation.refuses & engine::field_file_index) sqe.file_index = 0;
    if (operation.refuses & engine::field_addr3) sqe.addr3 = 0;
    if (!(operation.flags & engine::op_buffer_select)) sqe.flags &= static_cast<uint8_t>(~IOSQE_BUFFER_SELECT);
}

// Where a field means something else than in most operations.
void refine(io_uring_sqe& sqe, lab::Random& random) {
    switch (sqe.opcode) {
        case IORING_OP_TIMEOUT:
        case IORING_OP_LINK_TIMEOUT:
            sqe.len = 1;
            break;
        case IORING_OP_SOCKET:
            sqe.off = random.between(1, 2);
            sqe.len = 0;
            break;
        case IORING_OP_CONNECT:
        case IORING_OP_BIND:
            sqe.off = 16;
            break;
        case IORING_OP_SEND:
        case IORING_OP_SEND_ZC:
            if (random.percent(60)) sqe.off = 0;
            else sqe.addr_len = 16;
            break;
        case IORING_OP_WAITID:
            sqe.len = 0;
            sqe.file_index = static_cast<uint32_t>(random.between(4, 5));
            break;
        case IORING_OP_FUTEX_WAIT:
        case IORING_OP_FUTEX_WAKE:
            sqe.addr3 = random.percent(80) ? ~0u : 1;
            break;
        case IORING_OP_SPLICE:
        case IORING_OP_TEE:
            sqe.splice_fd_in = random_fd(shape_of(sqe.opcode), random);
            break;
        case IORING_OP_EPOLL_CTL:
            sqe.off = static_cast<uint64_t>(random_fd({sqe.opcode}, random));
            sqe.len = static_cast<uint32_t>(random.between(1, 3));
            break;
        case IORING_OP_POLL_ADD:
            sqe.len = static_cast<uint32_t>(random.below(2));
            break;
        case IORING_OP_POLL_REMOVE:
            sqe.len = static_cast<uint32_t>(random.below(8));
            break;
        case IORING_OP_MSG_RING:
            sqe.addr = random.below(2);
            break;
        case IORING_OP_PROVIDE_BUFFERS:
            sqe.len = random.one_of({8u, 64u, 1u});
            break;
        case IORING_OP_READ_MULTISHOT:
            sqe.flags |= IOSQE_BUFFER_SELECT;
            sqe.len = 0;
            sqe.off = ~uint64_t{0};
            break;
        case IORING_OP_URING_CMD:
            sqe.off = random.below(6);
            sqe.addr = random.one_of<uint64_t>({1, 1 | uint64_t{7} << 32, 1 | uint64_t{37} << 32});
            sqe.optlen = 4;
            break;
        default:
            break;
    }
}

}  // namespace

uint64_t random_word(lab::Random& random) {
    if (random.percent(50)) return random.below(20);
    if (random.percent(30)) return uint64_t{random_length(random)} << (random.percent(50) ? 32 : 0) | random.below(4);
    return value_for(random.one_of({Holds::buffer, Holds::vectors, Holds::path, Holds::descriptors, Holds::time}),
                     random);
}

io_uring_sqe random_entry(lab::Random& random) {
    io_uring_sqe sqe{};
    sqe.opcode = static_cast<uint8_t>(random.percent(97) ? random.below(IORING_OP_LAST) : random.next());
    for (unsigned field = 0; field < field_count; ++field) set_field(field, sqe, random);
    // Most operations refuse what they do not know; what is left at zero gives them a chance.
    if (random.percent(15)) return sqe;
    if (random.percent(60)) sqe.flags &= IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC | IOSQE_BUFFER_SELECT;
    if (random.percent(80)) refine(sqe, random);
    if (sqe.flags & IOSQE_FIXED_FILE) sqe.fd = static_cast<int>(random.below(8));
    if (sqe.flags & IOSQE_BUFFER_SELECT && random.percent(70)) sqe.addr = sqe.len = 0;
    if (random.percent(95)) clear_refused(sqe);
    return sqe;
}

void vary_entry(io_uring_sqe& sqe, lab::Random& random) {
    if (random.percent(15)) {
        sqe = random_entry(random);
        return;
    }
    for (uint64_t count = random.between(1, 3); count > 0; --count) {
        set_field(static_cast<unsigned>(random.below(field_count)), sqe, random);
    }
    if (random.percent(70)) clear_refused(sqe);
}

}  // namespace ringside::fuzz
