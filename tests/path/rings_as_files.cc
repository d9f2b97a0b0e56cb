// A ring's descriptor as the file that another ring's requests, or its own, are about.
#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>

#include <thread>

#include "ops/net_sqe.h"
#include "support/eventually.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(RingAsFile, is_polled_for_its_completions) {
    RawRing ring, other;
    EXPECT_THAT(ring.run(sqe::poll_add(other.fd(), POLLIN | POLLOUT)), Gives(POLLOUT));
    EXPECT_THAT(ring.submit(sqe::poll_add(other.fd(), POLLIN).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_THAT(other.submit(sqe::nop()), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
    EXPECT_THAT(ring.run(sqe::poll_add(other.fd(), POLLIN)), Gives(POLLIN));
    EXPECT_THAT(ring.run(sqe::poll_add(other.fd(), POLLIN).flag(IOSQE_ASYNC)), Gives(POLLIN));
    // What has been reaped is not told of.
    EXPECT_EQ(other.reap().size(), 1u);
    EXPECT_THAT(ring.submit(sqe::poll_add(other.fd(), POLLIN).data(2)), Gives(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_THAT(ring.submit(sqe::cancel(2).data(3)), Gives(1));
    EXPECT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(2, -ECANCELED), Completes(3, 0)));
}

// Its own completions would tell of themselves for ever.
TEST(RingAsFile, that_is_polled_again_and_again_is_told_of_once) {
    RawRing ring, other;
    EXPECT_THAT(ring.submit(sqe::poll_add(other.fd(), POLLIN, IORING_POLL_ADD_MULTI).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_THAT(other.submit(sqe::nop()), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
    EXPECT_THAT(ring.submit(sqe::poll_remove(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, -ENOENT)));
}

TEST(RingAsFile, may_be_polled_by_itself) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::poll_add(ring.fd(), POLLIN).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    ring.push(sqe::nop().data(2));
    EXPECT_THAT(ring.enter(1, 2, IORING_ENTER_GETEVENTS), Gives(1));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(2, 0), Completes(1, POLLIN)));
}

TEST(RingAsFile, is_watched_by_epoll) {
    RawRing ring, other;
    const Fd set(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event = {EPOLLIN, {.u64 = 9}}, got[2];
    const auto control = [&](int operation) { return ring.run(sqe::epoll_ctl(set, operation, other.fd(), &event)); };
    EXPECT_THAT(control(EPOLL_CTL_ADD), Gives(0));
    EXPECT_THAT(control(EPOLL_CTL_ADD), Gives(-EEXIST));
    EXPECT_EQ(epoll_wait(set, got, 2, 0), 0);
    EXPECT_THAT(other.submit(sqe::nop()), Gives(1));
    EXPECT_EQ(epoll_wait(set, got, 2, 10'000), 1);
    EXPECT_EQ(got[0].data.u64, 9u);
    EXPECT_THAT(control(EPOLL_CTL_MOD), Gives(0));
    EXPECT_THAT(control(EPOLL_CTL_DEL), Gives(0));
    EXPECT_THAT(control(EPOLL_CTL_DEL), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::epoll_ctl(other.fd(), EPOLL_CTL_ADD, set, &event)), Gives(-EINVAL));
}

TEST(RingAsFile, has_no_device_no_space_and_no_length) {
    RawRing ring, other;
    for (const unsigned flag : {0U, IOSQE_ASYNC}) {
        EXPECT_THAT(ring.run(sqe::fsync(other.fd()).flag(flag)), Gives(-EINVAL));
        EXPECT_THAT(ring.run(sqe::sync_file_range(other.fd(), 0, 0, 0).flag(flag)), Gives(-ESPIPE));
        EXPECT_THAT(ring.run(sqe::fallocate(other.fd(), 0, 0, 10).flag(flag)), Gives(-ENODEV));
        EXPECT_THAT(ring.run(sqe::ftruncate(other.fd(), 10).flag(flag)), Gives(-EINVAL));
    }
}

// Two that hold their own rings while they want each other's.
TEST(RingAsFile, that_polls_the_one_that_polls_it_holds_up_nobody) {
    RawRing one, another;
    const auto poll = [](RawRing& ring, const RawRing& other) {
        for (int i = 0; i < 2000; ++i) {
            const Cqe completion = ring.run(sqe::poll_add(other.fd(), POLLOUT));
            EXPECT_GT(completion.res, 0);
        }
    };
    std::thread thread([&] { poll(one, another); });
    poll(another, one);
    thread.join();
}

}  // namespace
}  // namespace ringside::test
