// IORING_REGISTER_RESTRICTIONS
#include <errno.h>

#include "memory/user_memory.h"
#include "register/register.h"
#include "state/operation.h"

namespace ringside::engine {
namespace {

constexpr unsigned most_rules = IORING_RESTRICTION_LAST + registration_count + operation_count;

int add_rule(Restrictions& restrictions, const io_uring_restriction& rule) {
    switch (rule.opcode) {
        case IORING_RESTRICTION_REGISTER_OP:
            if (rule.register_op >= registration_count) return -EINVAL;
            restrictions.registrations.add(rule.register_op);
            return 0;
        case IORING_RESTRICTION_SQE_OP:
            if (rule.sqe_op >= operation_count) return -EINVAL;
            restrictions.operations.add(rule.sqe_op);
            return 0;
        case IORING_RESTRICTION_SQE_FLAGS_ALLOWED:
            restrictions.flags_allowed = rule.sqe_flags;
            return 0;
        case IORING_RESTRICTION_SQE_FLAGS_REQUIRED:
            restrictions.flags_required = rule.sqe_flags;
            return 0;
        default:
            return -EINVAL;
    }
}

}  // namespace

int register_restrictions(Ring& ring, uint64_t rules, unsigned count) {
    if (!ring.disabled) return -EBADFD;
    if (ring.restrictions.registered) return -EBUSY;
    if (rules == 0 || count > most_rules) return -EINVAL;
    // Read in full first: a bad address outweighs a bad rule.
    io_uring_restriction copy[most_rules];
    if (read_user(copy, rules, count * sizeof(*copy)) < 0) return -EFAULT;
    Restrictions restrictions;
    for (unsigned i = 0; i < count; ++i) {
        const int result = add_rule(restrictions, copy[i]);
        if (result < 0) return result;
    }
    restrictions.registered = true;
    ring.restrictions = restrictions;
    return 0;
}

}  // namespace ringside::engine
