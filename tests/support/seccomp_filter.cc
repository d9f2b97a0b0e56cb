#include "support/seccomp_filter.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>

namespace ringside::test {
namespace {

uint32_t action_of(Refusal refusal) {
    switch (refusal.way) {
        case Refusal::Way::kill:
            return SCMP_ACT_KILL_PROCESS;
        case Refusal::Way::trap:
            return SCMP_ACT_TRAP;
        case Refusal::Way::error:
            break;
    }
    return SCMP_ACT_ERRNO(static_cast<uint16_t>(refusal.error));
}

}  // namespace

Refusal default_refusal() { return {Refusal::Way::error, EPERM}; }

std::optional<Refusal> refusal_named(std::string_view name) {
    if (name == "KILL") return Refusal{Refusal::Way::kill, 0};
    if (name == "TRAP") return Refusal{Refusal::Way::trap, 0};
    constexpr int last_errno = 133;
    for (int error = 1; error <= last_errno; ++error) {
        const char* known = strerrorname_np(error);
        if (known != nullptr && name == known) return Refusal{Refusal::Way::error, error};
    }
    return std::nullopt;
}

int refuse_io_uring(Refusal refusal) {
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == nullptr) return -ENOMEM;
    int result = 0;
    for (const int call : {SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register)}) {
        if (result == 0) result = seccomp_rule_add(filter, action_of(refusal), call, 0);
    }
    if (result == 0) result = seccomp_load(filter);
    seccomp_release(filter);
    return result;
}

}  // namespace ringside::test
