// IORING_REGISTER_EVENTFD and IORING_REGISTER_EVENTFD_ASYNC: completions told by an eventfd.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;

Fd new_eventfd() { return Fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

int register_eventfd(RawRing& ring, int fd, unsigned opcode = IORING_REGISTER_EVENTFD) {
    return ring.register_call(opcode, &fd, 1);
}

int unregister_eventfd(RawRing& ring) { return ring.register_call(IORING_UNREGISTER_EVENTFD, nullptr, 0); }

// What the eventfd has counted since the last time.
uint64_t count_of(const Fd& eventfd) {
    uint64_t count = 0;
    return read(eventfd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

TEST(Eventfd, is_raised_by_completions) {
    RawRing ring;
    const Fd eventfd = new_eventfd();
    EXPECT_THAT(register_eventfd(ring, eventfd), Gives(0));
    EXPECT_EQ(count_of(eventfd), 0u);
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
    EXPECT_EQ(count_of(eventfd), 1u);
    EXPECT_EQ(count_of(eventfd), 0u);
}

TEST(Eventfd, is_raised_once_a_batch) {
    RawRing ring;
    const Fd eventfd = new_eventfd();
    EXPECT_THAT(register_eventfd(ring, eventfd), Gives(0));
    EXPECT_THAT(ring.submit(sqe::nop(), sqe::nop(), sqe::nop()), Gives(3));
    EXPECT_EQ(count_of(eventfd), 1u);
}

TEST(Eventfd, is_raised_by_a_completion_that_comes_later) {
    RawRing ring;
    const Pipe pipe;
    const Fd eventfd = new_eventfd();
    char byte;
    EXPECT_THAT(register_eventfd(ring, eventfd), Gives(0));
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_EQ(count_of(eventfd), 0u);
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_TRUE(eventually([&] { return count_of(eventfd) == 1; }));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 1)));
}

TEST(Eventfd, outlives_the_programs_own_descriptor) {
    RawRing ring;
    Fd eventfd = new_eventfd();
    const Fd other(dup(eventfd));
    EXPECT_THAT(register_eventfd(ring, eventfd), Gives(0));
    eventfd.reset();
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
    EXPECT_EQ(count_of(other), 1u);
}

TEST(Eventfd, is_left_alone_while_the_ring_says_so_and_once_it_is_unregistered) {
    RawRing ring;
    const Fd eventfd = new_eventfd();
    EXPECT_THAT(register_eventfd(ring, eventfd), Gives(0));
    ring.cq_flags().store(IORING_CQ_EVENTFD_DISABLED);
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
    EXPECT_EQ(count_of(eventfd), 0u);
    ring.cq_flags().store(0);
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
    EXPECT_EQ(count_of(eventfd), 1u);
    EXPECT_THAT(unregister_eventfd(ring), Gives(0));
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
    EXPECT_EQ(count_of(eventfd), 0u);
}

TEST(Eventfd, that_is_for_what_comes_later_ignores_what_completes_inline) {
    RawRing ring;
    const Pipe pipe;
    const Fd eventfd = new_eventfd();
    char byte;
    EXPECT_THAT(register_eventfd(ring, eventfd, IORING_REGISTER_EVENTFD_ASYNC), Gives(0));
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
    EXPECT_EQ(count_of(eventfd), 0u);
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1, 0).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_TRUE(eventually([&] { return count_of(eventfd) != 0; }));
}

// For which completions it is raised, on a ring of either kind. The engine raised it for all that did not complete
// within the submitter's call, so also for what had waited for a file or for time.
struct Completion {
    const char* name;
    void (*cause)(RawRing&, const Pipe&, char&);
    bool is_workers;
};

const __kernel_timespec short_time = {0, 2'000'000};
const __kernel_timespec long_time = {100, 0};

const Completion completions[] = {
    {"in_the_call", [](RawRing& ring, const Pipe&, char&) { ring.submit(sqe::nop()); }, false},
    {"of_the_next_of_a_chain",
     [](RawRing& ring, const Pipe&, char&) {
         ring.submit(sqe::nop().flag(IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS), sqe::nop());
     },
     false},
    {"of_a_read_that_waited",
     [](RawRing& ring, const Pipe& pipe, char& byte) {
         ring.submit(sqe::read(pipe.read_end, &byte, 1));
         EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
     },
     false},
    {"of_a_poll",
     [](RawRing& ring, const Pipe& pipe, char&) {
         ring.submit(sqe::poll_add(pipe.read_end, 1));
         EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
     },
     false},
    {"of_a_timeout", [](RawRing& ring, const Pipe&, char&) { ring.submit(sqe::timeout(&short_time)); }, false},
    {"of_what_is_cancelled",
     [](RawRing& ring, const Pipe&, char&) {
         ring.submit(sqe::timeout(&long_time).data(1));
         ring.submit(sqe::cancel(1).flag(IOSQE_CQE_SKIP_SUCCESS));
     },
     false},
    {"of_a_workers_nop", [](RawRing& ring, const Pipe&, char&) { ring.submit(sqe::nop().flag(IOSQE_ASYNC)); }, true},
    {"of_a_workers_read",
     [](RawRing& ring, const Pipe& pipe, char& byte) {
         EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
         ring.submit(sqe::read(pipe.read_end, &byte, 1).flag(IOSQE_ASYNC));
     },
     true},
    {"of_a_message",
     [](RawRing& ring, const Pipe&, char&) {
         EXPECT_THAT(RawRing().run(Sqe(IORING_OP_MSG_RING, ring.fd())), Gives(0));
     },
     false},
    {"of_a_workers_message",
     [](RawRing& ring, const Pipe&, char&) {
         EXPECT_THAT(RawRing().run(Sqe(IORING_OP_MSG_RING, ring.fd()).flag(IOSQE_ASYNC)), Gives(0));
     },
     true},
    {"of_a_chain_left_open", [](RawRing& ring, const Pipe&, char&) { ring.submit(sqe::nop().flag(IOSQE_IO_LINK)); },
     true},
};

class AsyncEventfd : public testing::TestWithParam<Completion> {};

INSTANTIATE_TEST_SUITE_P(Completions, AsyncEventfd, testing::ValuesIn(completions),
                         [](const auto& completion) { return std::string(completion.param.name); });

TEST_P(AsyncEventfd, is_raised_for_what_workers_complete) {
    for (const unsigned flags : {0U, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN}) {
        RawRing ring(8, flags);
        const Pipe pipe;
        const Fd eventfd = new_eventfd();
        char byte;
        EXPECT_THAT(register_eventfd(ring, eventfd, IORING_REGISTER_EVENTFD_ASYNC), Gives(0));
        GetParam().cause(ring, pipe, byte);
        if (GetParam().is_workers) {
            EXPECT_TRUE(eventually([&] { return count_of(eventfd) == 1; })) << flags;
            EXPECT_EQ(ring.wait(1).size(), 1u);
        } else {
            EXPECT_EQ(ring.wait(1).size(), 1u);
            sleep_ms(2);
            EXPECT_EQ(count_of(eventfd), 0u) << flags;
        }
    }
}

TEST(Eventfd, that_is_for_what_workers_complete_is_raised_for_a_read_of_theirs_that_waited) {
    RawRing ring;
    const Pipe pipe;
    const Fd eventfd = new_eventfd();
    char byte;
    EXPECT_THAT(register_eventfd(ring, eventfd, IORING_REGISTER_EVENTFD_ASYNC), Gives(0));
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).flag(IOSQE_ASYNC)), Gives(1));
    sleep_ms(10);
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_TRUE(eventually([&] { return count_of(eventfd) == 1; }));
    EXPECT_EQ(ring.wait(1).size(), 1u);
}

TEST(Eventfd, registration_tells_each_error) {
    RawRing ring;
    const Fd eventfd = new_eventfd();
    const Fd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    const Fd set(epoll_create1(EPOLL_CLOEXEC));
    const Fd file = file_with("content");
    const Pipe pipe;
    EXPECT_THAT(register_eventfd(ring, -1), Gives(-EBADF));
    EXPECT_THAT(register_eventfd(ring, 1'000'000), Gives(-EBADF));
    for (const int fd : {timer.get(), set.get(), file.get(), pipe.write_end.get()}) {
        EXPECT_THAT(register_eventfd(ring, fd), Gives(-EINVAL));
    }
    EXPECT_EQ(content_of(file.get()), "content");
    EXPECT_EQ(count_of(eventfd), 0u);
    EXPECT_THAT(register_eventfd(ring, eventfd), Gives(0));
    EXPECT_THAT(register_eventfd(ring, eventfd), Gives(-EBUSY));
    EXPECT_THAT(register_eventfd(ring, eventfd, IORING_REGISTER_EVENTFD_ASYNC), Gives(-EBUSY));
    EXPECT_THAT(unregister_eventfd(ring), Gives(0));
    EXPECT_THAT(unregister_eventfd(ring), Gives(-ENXIO));
    EXPECT_THAT(register_eventfd(ring, eventfd), Gives(0));
}

TEST(Eventfd, of_a_ring_that_completes_only_in_its_own_calls_tells_that_it_should_be_called) {
    RawRing ring(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    const Pipe pipe;
    const Fd eventfd = new_eventfd();
    char byte;
    EXPECT_THAT(register_eventfd(ring, eventfd), Gives(0));
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_TRUE(eventually([&] { return count_of(eventfd) != 0; }));
    EXPECT_EQ(ring.ready(), 0u);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
}

TEST(Eventfd, leaves_no_descriptor_behind) {
    const Fd eventfd = new_eventfd();
    const size_t before = count_fds();
    for (int round = 0; round < 3; ++round) {
        RawRing ring;
        EXPECT_THAT(register_eventfd(ring, eventfd), Gives(0));
        EXPECT_THAT(unregister_eventfd(ring), Gives(0));
        EXPECT_THAT(register_eventfd(ring, eventfd), Gives(0));
    }
    EXPECT_EQ(count_fds(), before);
}

}  // namespace
}  // namespace ringside::test
