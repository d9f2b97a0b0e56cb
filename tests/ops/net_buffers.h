// Entries that select provided buffers to receive into or to send from, and a ring that has some.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "ops/net_sqe.h"
#include "register/buffers.h"

namespace ringside::test {

inline constexpr unsigned group = 7;
inline constexpr uint32_t more = IORING_CQE_F_MORE;
inline constexpr uint32_t nonempty = IORING_CQE_F_SOCK_NONEMPTY;

inline Sqe recv_selecting(int fd, size_t length = 0, unsigned ioprio = 0, int flags = 0) {
    return sqe::selecting(sqe::recv(fd, nullptr, length, flags), group).set(&Sqe::ioprio, ioprio).data(1);
}
inline Sqe recv_multishot(int fd, size_t length = 0, unsigned more_ioprio = 0) {
    return recv_selecting(fd, length, IORING_RECV_MULTISHOT | more_ioprio);
}
inline Sqe send_selecting(int fd, size_t length = 0, unsigned ioprio = 0) {
    return sqe::selecting(sqe::send(fd, nullptr, length), group).set(&Sqe::ioprio, ioprio).data(1);
}

inline void say(int fd, const std::string& text) {
    EXPECT_EQ(::send(fd, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
}

// A ring with a buffer ring of so many buffers of this size.
struct Fixture {
    Fixture(unsigned count, size_t size, unsigned ring_flags = 0)
        : provided(ring, 16, group, ring_flags), buffers(count, size) {
        for (unsigned id = 0; id < count; ++id) provided.add(buffers, id);
    }
    RawRing ring{32};
    BufferRing provided;
    Buffers buffers;
};

}  // namespace ringside::test
