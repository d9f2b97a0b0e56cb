#include "fuzz/generate_entry.h"

#include "fuzz/generate_value.h"
#include "state/operation.h"

namespace ringside::fuzz {
namespace {

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
