#include "support/cqe.h"

#include <string.h>

#include <ostream>

#include "liburing/io_uring.h"

namespace ringside::test {
namespace {

constexpr struct {
    uint32_t bit;
    const char* name;
} flag_names[] = {
    {IORING_CQE_F_BUFFER, "BUFFER"}, {IORING_CQE_F_MORE, "MORE"},         {IORING_CQE_F_SOCK_NONEMPTY, "SOCK_NONEMPTY"},
    {IORING_CQE_F_NOTIF, "NOTIF"},   {IORING_CQE_F_BUF_MORE, "BUF_MORE"}, {IORING_CQE_F_SKIP, "SKIP"},
    {IORING_CQE_F_32, "32"},
};

}  // namespace

std::string result_text(int64_t result) {
    constexpr int64_t last_errno = 4095;
    std::string text = std::to_string(result);
    if (result < 0 && result >= -last_errno) {
        const char* name = strerrorname_np(static_cast<int>(-result));
        text += std::string(" (") + (name != nullptr ? name : "no errno") + ")";
    }
    return text;
}

std::ostream& operator<<(std::ostream& out, const Cqe& cqe) {
    out << "{user_data " << cqe.user_data << ", res " << result_text(cqe.res) << ", flags " << cqe.flags;
    for (const auto& flag : flag_names) {
        if ((cqe.flags & flag.bit) != 0) out << " " << flag.name;
    }
    if (cqe.big_cqe[0] != 0 || cqe.big_cqe[1] != 0) out << ", big " << cqe.big_cqe[0] << " " << cqe.big_cqe[1];
    return out << "}";
}

}  // namespace ringside::test
