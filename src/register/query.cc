// IORING_REGISTER_QUERY: what there is, without a ring. The answers are what setup, enter and the tables accept.
#include <errno.h>

#include "memory/user_memory.h"
#include "register/register.h"
#include "state/known.h"
#include "state/operation.h"

namespace ringside::engine {
namespace {

constexpr unsigned longest_chain = 1000;
constexpr uint64_t sqe_flags = IOSQE_FIXED_FILE | IOSQE_IO_DRAIN | IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC |
                               IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;

io_uring_query_opcode describe_opcodes() {
    io_uring_query_opcode answer = {};
    answer.nr_request_opcodes = operation_count;
    answer.nr_register_opcodes = registration_count;
    answer.feature_flags = features;
    answer.ring_setup_flags = known_setup_flags;
    answer.enter_flags = known_enter_flags;
    answer.sqe_flags = sqe_flags;
    answer.nr_query_opcodes = 1;
    return answer;
}

int write_zeroes(uint64_t to, uint32_t size) {
    static const unsigned char zeroes[256] = {};
    for (uint32_t at = 0; at < size;) {
        const uint32_t now = size - at < sizeof(zeroes) ? size - at : sizeof(zeroes);
        if (write_user(to + at, zeroes, now) < 0) return -EFAULT;
        at += now;
    }
    return 0;
}

// Fills the room for an answer: zeroes behind it come first, so that room that is not there is left as it was.
int write_answer(uint64_t to, uint32_t room, const io_uring_query_opcode& answer, uint32_t size) {
    if (write_zeroes(to + size, room - size) < 0) return -EFAULT;
    return write_user(to, &answer, size);
}

bool is_plain(const io_uring_query_hdr& header) {
    for (const uint32_t word : header.__resv) {
        if (word != 0) return false;
    }
    return header.result == 0 && header.size != 0;
}

// Sets the entry's result, and the size of its answer. An error of the call is an address that is no good.
int answer_one(io_uring_query_hdr& header) {
    io_uring_query_opcode answer;
    const uint32_t room = header.size;
    const uint32_t given = room < sizeof(answer) ? room : sizeof(answer);
    const bool plain = is_plain(header);
    const bool known = header.query_op == IO_URING_QUERY_OPCODES;
    header.result = !known ? -EOPNOTSUPP : plain ? 0 : -EINVAL;
    header.size = header.result == 0 ? given : 0;
    // What is there is a question, too, to some.
    if (header.result == 0 && read_user(&answer, header.query_data, given) < 0) return -EFAULT;
    answer = describe_opcodes();
    return write_answer(header.query_data, room, answer, header.size);
}

}  // namespace

int query(uint64_t address, unsigned count) {
    if (count != 0) return -EINVAL;
    for (unsigned length = 0; address != 0; ++length) {
        if (length == longest_chain) return -ERANGE;
        io_uring_query_hdr header;
        if (read_user(header, address) < 0) return -EFAULT;
        const int result = answer_one(header);
        if (result < 0) return result;
        if (write_user(address, header) < 0) return -EFAULT;
        address = header.next_entry;
    }
    return 0;
}

int register_query(Ring&, uint64_t address, unsigned count) { return query(address, count); }

}  // namespace ringside::engine
