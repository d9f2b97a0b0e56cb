// EPOLL_CTL and EPOLL_WAIT
#include <errno.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

#include "ops/net_sqe.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

Fd epoll_set() { return Fd(epoll_create1(EPOLL_CLOEXEC)); }

TEST(EpollControl, adds_changes_and_removes) {
    for (const unsigned flag : {0U, IOSQE_ASYNC}) {
        RawRing ring;
        const Fd set = epoll_set();
        const Pipe pipe;
        epoll_event event = {EPOLLIN, {.u64 = 42}}, seen = {};
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        const auto control = [&](int operation) {
            return ring.run(sqe::epoll_ctl(set, operation, pipe.read_end, &event).flag(flag));
        };
        EXPECT_THAT(control(EPOLL_CTL_MOD), Gives(-ENOENT));
        EXPECT_THAT(control(EPOLL_CTL_ADD), Gives(0));
        EXPECT_THAT(control(EPOLL_CTL_ADD), Gives(-EEXIST));
        EXPECT_EQ(epoll_wait(set, &seen, 1, 0), 1);
        EXPECT_EQ(seen.data.u64, 42u);
        event.data.u64 = 43;
        EXPECT_THAT(control(EPOLL_CTL_MOD), Gives(0));
        EXPECT_EQ(epoll_wait(set, &seen, 1, 0), 1);
        EXPECT_EQ(seen.data.u64, 43u);
        EXPECT_THAT(control(EPOLL_CTL_DEL), Gives(0));
        EXPECT_EQ(epoll_wait(set, &seen, 1, 0), 0);
        EXPECT_THAT(control(77), Gives(-EINVAL));
    }
}

TEST(EpollControl, refuses_what_epoll_ctl_refuses) {
    RawRing ring;
    const Fd set = epoll_set(), file = file_with("content");
    const Pipe pipe;
    const epoll_event event = {EPOLLIN, {}};
    EXPECT_THAT(ring.run(sqe::epoll_ctl(set, EPOLL_CTL_ADD, file, &event)), Gives(-EPERM));
    EXPECT_THAT(ring.run(sqe::epoll_ctl(set, EPOLL_CTL_ADD, 1'000'000, &event)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::epoll_ctl(1'000'000, EPOLL_CTL_ADD, pipe.read_end, &event)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::epoll_ctl(pipe.read_end, EPOLL_CTL_ADD, pipe.write_end, &event)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::epoll_ctl(set, EPOLL_CTL_ADD, pipe.read_end, &event).set(&Sqe::buf_index, 1)),
                Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::epoll_ctl(set, EPOLL_CTL_ADD, pipe.read_end, &event).set(&Sqe::splice_fd_in, 1)),
                Gives(-EINVAL));
}

TEST(EpollControl, reads_the_event_when_it_is_submitted) {
    RawRing ring;
    const Fd set = epoll_set();
    const Pipe pipe;
    const auto bad = reinterpret_cast<const epoll_event*>(8);
    EXPECT_THAT(ring.submit(sqe::epoll_ctl(set, EPOLL_CTL_ADD, pipe.read_end, bad).data(1), sqe::nop().data(2)),
                Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EFAULT)));
    EXPECT_THAT(ring.submit_pushed(1), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    // A removal has none.
    EXPECT_THAT(ring.run(sqe::epoll_ctl(set, EPOLL_CTL_DEL, pipe.read_end, bad)), Gives(-ENOENT));
}

TEST(EpollWait, gives_what_is_ready) {
    for (const unsigned flag : {0U, IOSQE_ASYNC}) {
        RawRing ring;
        const Fd set = epoll_set();
        const Pipe first, second;
        for (const Pipe* pipe : {&first, &second}) {
            epoll_event event = {EPOLLOUT, {.fd = pipe->write_end}};
            EXPECT_EQ(epoll_ctl(set, EPOLL_CTL_ADD, pipe->write_end, &event), 0);
        }
        epoll_event events[4] = {};
        EXPECT_THAT(ring.run(sqe::epoll_wait(set, events, 4).flag(flag)), Gives(2));
        EXPECT_EQ(events[0].events | events[1].events, unsigned{EPOLLOUT});
        EXPECT_THAT(ring.run(sqe::epoll_wait(set, events, 1).flag(flag)), Gives(1));
    }
}

TEST(EpollWait, waits_for_something) {
    for (const unsigned flag : {0U, IOSQE_ASYNC}) {
        RawRing ring;
        const Fd set = epoll_set();
        const Pipe pipe;
        epoll_event event = {EPOLLIN, {.u64 = 42}}, seen = {};
        EXPECT_EQ(epoll_ctl(set, EPOLL_CTL_ADD, pipe.read_end, &event), 0);
        EXPECT_THAT(ring.submit(sqe::epoll_wait(set, &seen, 1).data(1).flag(flag)), Gives(1));
        EXPECT_THAT(ring.linger(3), IsEmpty());
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
        EXPECT_EQ(seen.data.u64, 42u);
    }
}

TEST(EpollWait, can_be_cancelled) {
    RawRing ring;
    const Fd set = epoll_set();
    epoll_event seen;
    EXPECT_THAT(ring.submit(sqe::epoll_wait(set, &seen, 1).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
}

TEST(EpollWait, refuses_what_epoll_wait_refuses) {
    RawRing ring;
    const Fd set = epoll_set();
    const Pipe pipe;
    epoll_event event = {EPOLLOUT, {}}, seen;
    EXPECT_EQ(epoll_ctl(set, EPOLL_CTL_ADD, pipe.write_end, &event), 0);
    EXPECT_THAT(ring.run(sqe::epoll_wait(set, &seen, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::epoll_wait(set, &seen, -1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::epoll_wait(set, reinterpret_cast<epoll_event*>(8), 1)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::epoll_wait(pipe.read_end, &seen, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::epoll_wait(1'000'000, &seen, 1)), Gives(-EBADF));
    for (const Sqe& bad :
         {sqe::epoll_wait(set, &seen, 1).set(&Sqe::off, 1), sqe::epoll_wait(set, &seen, 1).set(&Sqe::rw_flags, 1),
          sqe::epoll_wait(set, &seen, 1).set(&Sqe::buf_index, 1),
          sqe::epoll_wait(set, &seen, 1).set(&Sqe::splice_fd_in, 1)}) {
        EXPECT_THAT(ring.run(bad), Gives(-EINVAL));
    }
}

}  // namespace
}  // namespace ringside::test
