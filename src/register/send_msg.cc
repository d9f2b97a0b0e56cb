// IORING_REGISTER_SEND_MSG_RING: IORING_OP_MSG_RING without a ring of one's own.
#include <errno.h>

#include "memory/user_memory.h"
#include "ops/msg_ring.h"
#include "register/register.h"
#include "service/messages.h"

namespace ringside::engine {

int send_message_ring(uint64_t address, unsigned count) {
    if (address == 0 || count != 1) return -EINVAL;
    io_uring_sqe sqe;
    if (read_user(sqe, address) < 0) return -EFAULT;
    if (sqe.flags != 0 || sqe.opcode != IORING_OP_MSG_RING) return -EINVAL;
    MessageFields fields;
    int result = read_message(sqe, fields);
    if (result < 0) return result;
    if (fields.command != IORING_MSG_DATA) return -EINVAL;
    Ring* target;
    result = find_message_target(sqe.fd, target);
    if (result == 0) result = check_data(fields);
    if (result < 0) return result;
    return send_message_now(*target, fields.user_data, static_cast<int32_t>(fields.length), fields.cqe_flags());
}

}  // namespace ringside::engine
