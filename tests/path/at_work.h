// What the tests about workers share (workers.cc, workers_in_chains.cc).
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "support/files.h"
#include "support/interruption.h"
#include "support/raw_ring.h"

namespace ringside::test {

inline constexpr unsigned link = IOSQE_IO_LINK;
inline constexpr unsigned deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
inline constexpr unsigned large = 1 << 20;

inline Sqe receive(int fd, void* buffer, uint32_t length, unsigned flags = 0, unsigned ioprio = 0) {
    return sqe::transfer(IORING_OP_RECV, fd, buffer, length, 0).set(&Sqe::ioprio, ioprio).data(1).flag(flags);
}

inline Sqe send_of(int fd, const void* buffer, uint32_t length, unsigned flags = 0, unsigned ioprio = 0) {
    return sqe::transfer(IORING_OP_SEND, fd, buffer, length, 0).set(&Sqe::ioprio, ioprio).data(1).flag(flags);
}

inline Sqe accept_on(int fd, unsigned flags, unsigned ioprio = 0) {
    return Sqe(IORING_OP_ACCEPT, fd).set(&Sqe::ioprio, ioprio).data(1).flag(flags);
}

struct Listener {
    explicit Listener(int flags = 0) : fd(socket(AF_INET, SOCK_STREAM | flags, 0)) {
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(address);
        EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(listen(fd, 8), 0);
        EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    }
    Fd fd;
    sockaddr_in address = {};
};

// Requests with user_data 1 are what a test is about; 2 is what runs before it, 9 who cancels it.
class AtWork : public testing::TestWithParam<unsigned> {
  protected:
    RawRing ring{16, GetParam()};
    const Pipe pipe;
    const Pipe nonblocking{O_NONBLOCK};
    char bytes[large] = {};
    GoesOnSeldom goes_on_seldom;

    Sqe read_of(int fd, unsigned flags = 0) { return sqe::read(fd, bytes, 1).data(1).flag(flags); }

    void expect_result(const Sqe& sqe, int result) {
        ASSERT_THAT(ring.submit(sqe), Gives(1));
        EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(1, result)));
    }

    // Inside its call whoever cancels it is told so, and it ends with what the call then gives.
    void expect_blocked(const Interruption& seen, int result) {
        EXPECT_THAT(seen.cancellation, Gives(-EALREADY));
        EXPECT_THAT(seen.request, Gives(result));
    }
    void expect_blocks(const Sqe& request, int result) { expect_blocked(interrupt(ring, request), result); }
    // It waits for readiness.
    void expect_waiting() {
        const std::vector<Cqe> early = ring.linger();
        if (goes_on_seldom.excuses(early)) return;
        EXPECT_THAT(early, testing::IsEmpty());
        ASSERT_THAT(ring.submit(sqe::cancel(1).data(9)), Gives(1));
        EXPECT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(9, 0), Completes(1, -ECANCELED)));
    }
};

}  // namespace ringside::test
