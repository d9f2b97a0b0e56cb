// IORING_REGISTER_QUERY: what there is, without a ring. The answers are what setup, enter and the tables accept.
#include <errno.h>

#include "entry/known.h"
#include "ops/operation.h"
#include "register/register.h"
#include "state/user_memory.h"

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

// Writes `size` bytes, the answer first and zeroes behind it.
int write_answer(uint64_t to, const io_uring_query_opcode& answer, uint32_t size) {
    const uint32_t given = size < sizeof(answer) ? size : sizeof(answer);
    if (write_user(to, &answer, given) < 0) return -EFAULT;
    static const unsigned char zeroes[256] = {};
    for (uint32_t at = given; at < size;) {
        const uint32_t now = size - at < sizeof(zeroes) ? size - at : sizeof(zeroes);
        if (write_user(to + at, zeroes, now) < 0) return -EFAULT;
        at += now;
    }
    return 0;
}

// Sets the entry's result, and the size of its answer. An error of the call is an address that is no good.
int answer_one(io_uring_query_hdr& header) {
    const uint32_t room = header.size;
    bool reserved = header.result != 0 || room == 0;
    for (const uint32_t word : header.__resv) reserved |= word != 0;
    header.size = 0;
    header.result = reserved ? -EINVAL : -EOPNOTSUPP;
    if (reserved || header.query_op != IO_URING_QUERY_OPCODES) return 0;
    header.result = 0;
    header.size = room < sizeof(io_uring_query_opcode) ? room : sizeof(io_uring_query_opcode);
    return write_answer(header.query_data, describe_opcodes(), room);
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
