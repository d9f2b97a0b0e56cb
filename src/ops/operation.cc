#include "state/operation.h"

#include <fcntl.h>

#include "ops/one_call.h"
#include "ops/ops.h"
#include "ops/row_sets.h"

namespace ringside::engine {

const Operation operations[operation_count] = {
#define OP(name, since, prep, issue, work, unpark, together, carry, flags, refuses) \
    {#name, since, refuses, flags, prep, issue, work, unpark, together, carry},
#include "ops/ops.def"
#undef OP
};

namespace {

// Each row stands at its opcode's place: the n-th row's name is that of opcode n.
enum Row : unsigned {
#define OP(name, ...) row_##name,
#include "ops/ops.def"
#undef OP
    row_count
};
static_assert(row_count == operation_count);
#define OP(name, ...) static_assert(unsigned{row_##name} == unsigned{IORING_OP_##name});
#include "ops/ops.def"
#undef OP

}  // namespace

bool is_path_only(int fd) {
    const long flags = abi::syscall(__NR_fcntl, fd, F_GETFL);
    return flags >= 0 && (flags & O_PATH);
}

bool has_refused_field(const io_uring_sqe& sqe, uint32_t refuses) {
    return ((refuses & field_fd) && sqe.fd != 0) || ((refuses & field_off) && sqe.off != 0) ||
           ((refuses & field_addr) && sqe.addr != 0) || ((refuses & field_len) && sqe.len != 0) ||
           ((refuses & field_op_flags) && sqe.rw_flags != 0) || ((refuses & field_buf_index) && sqe.buf_index != 0) ||
           ((refuses & field_file_index) && sqe.file_index != 0) || ((refuses & field_addr3) && sqe.addr3 != 0) ||
           ((refuses & field_pad2) && sqe.__pad2[0] != 0);
}

}  // namespace ringside::engine
