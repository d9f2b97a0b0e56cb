// IORING_OP_POLL_ADD and IORING_OP_POLL_REMOVE: once, many times, updated, removed.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr uint32_t more = IORING_CQE_F_MORE;

TEST(PollAdd, completes_at_once_when_the_file_is_ready) {
    RawRing ring;
    const Pipe pipe;
    EXPECT_THAT(ring.run(sqe::poll_add(pipe.write_end, POLLOUT)), Gives(POLLOUT));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.run(sqe::poll_add(pipe.read_end, POLLIN)), Gives(POLLIN));
}

TEST(PollAdd, gives_only_the_events_asked_for) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    EXPECT_EQ(write(ends.near, "x", 1), 1);
    EXPECT_THAT(ring.run(sqe::poll_add(ends.far, POLLIN)), Gives(POLLIN));
    EXPECT_THAT(ring.run(sqe::poll_add(ends.far, POLLOUT)), Gives(POLLOUT));
    EXPECT_THAT(ring.run(sqe::poll_add(ends.far, POLLIN | POLLOUT)), Gives(POLLIN | POLLOUT));
    EXPECT_THAT(ring.run(sqe::poll_add(ends.far, POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM)),
                Gives(POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM));
}

TEST(PollAdd, waits_until_the_file_is_ready) {
    RawRing ring;
    const Pipe pipe;
    EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
    // Once and no more.
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.linger(5), IsEmpty());
}

TEST(PollAdd, always_tells_of_errors_and_hang_ups) {
    RawRing ring;
    Pipe unread;
    unread.read_end.reset();
    EXPECT_THAT(ring.run(sqe::poll_add(unread.write_end, 0)), Gives(POLLERR));
    Pipe unwritten;
    EXPECT_THAT(ring.submit(sqe::poll_add(unwritten.read_end, POLLIN).data(1)), Gives(1));
    unwritten.write_end.reset();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLHUP)));
}

TEST(PollAdd, tells_of_a_peer_that_stopped_writing) {
    RawRing ring;
    const Ends ends = tcp_pair();
    EXPECT_THAT(ring.submit(sqe::poll_add(ends.far, POLLRDHUP).data(1)), Gives(1));
    shutdown(ends.near, SHUT_WR);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLRDHUP)));
}

TEST(PollAdd, of_a_regular_file_is_always_ready) {
    RawRing ring;
    const Fd file = file_with("");
    EXPECT_THAT(ring.run(sqe::poll_add(file, POLLIN | POLLOUT)), Gives(POLLIN | POLLOUT));
}

TEST(PollAdd, of_what_is_not_open_gives_ebadf) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::poll_add(-1, POLLIN)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::poll_add(1'000'000, POLLIN)), Gives(-EBADF));
    const Fd path(open("/tmp", O_PATH | O_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::poll_add(path, POLLIN)), Gives(-EBADF));
}

TEST(PollAdd, refuses_unknown_flags_and_flags_of_an_update) {
    RawRing ring;
    const Pipe pipe;
    // IORING_POLL_ADD_LEVEL has a name and a number, but no operation takes it.
    for (unsigned bit = 1; bit < 32; ++bit) {
        EXPECT_THAT(ring.run(sqe::poll_add(pipe.write_end, POLLOUT, 1U << bit)), Gives(-EINVAL)) << "bit " << bit;
    }
}

TEST(PollMultishot, cannot_be_silent) {
    // It is refused at its submission, which ends with it, whether or not it would be told of one event only.
    RawRing ring;
    const Pipe pipe;
    for (const uint32_t events : {uint32_t{POLLIN}, uint32_t{POLLIN} | EPOLLONESHOT}) {
        const Sqe poll = sqe::poll_add(pipe.read_end, events, IORING_POLL_ADD_MULTI).data(1);
        EXPECT_THAT(ring.submit(Sqe(poll).flag(IOSQE_CQE_SKIP_SUCCESS), sqe::nop().data(2)), Gives(1));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EINVAL)));
        EXPECT_THAT(ring.enter(1), Gives(1));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    }
}

TEST(PollAdd, several_on_one_file_all_complete) {
    RawRing ring;
    const Pipe pipe;
    EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN).data(1), sqe::poll_add(pipe.read_end, POLLIN).data(2),
                            sqe::poll_add(pipe.read_end, POLLIN | POLLPRI).data(3)),
                Gives(3));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, POLLIN), Completes(2, POLLIN), Completes(3, POLLIN)));
}

TEST(PollAdd, for_different_events_on_one_file_complete_each_on_its_own) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    EXPECT_THAT(ring.submit(sqe::poll_add(ends.far, POLLIN).data(1), sqe::poll_add(ends.far, POLLOUT).data(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, POLLOUT)));
    EXPECT_EQ(write(ends.near, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
}

// Its number was another file's, for which it had been polled, and which is open by another number still.
TEST(PollAdd, is_not_misled_by_the_former_file_of_its_number) {
    for (const unsigned flags : {0U, IORING_POLL_ADD_MULTI}) {
        SCOPED_TRACE(flags);
        RawRing ring;
        const Pipe former;
        const Pipe present;
        const Fd number(dup(former.read_end));
        EXPECT_THAT(ring.submit(sqe::poll_add(number, POLLIN).data(1)), Gives(1));
        EXPECT_EQ(write(former.write_end, "x", 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
        ASSERT_EQ(dup2(present.read_end, number), number.get());
        EXPECT_THAT(ring.submit(sqe::poll_add(number, POLLIN, flags).data(2)), Gives(1));
        EXPECT_EQ(write(former.write_end, "x", 1), 1);
        EXPECT_THAT(ring.linger(), IsEmpty());
        // Nor is the former one, by its old number once more.
        ASSERT_EQ(dup2(former.read_end, number), number.get());
        EXPECT_THAT(ring.submit(sqe::poll_add(number, POLLPRI).data(3)), Gives(1));
        EXPECT_EQ(write(present.write_end, "x", 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, POLLIN, flags != 0 ? more : 0)));
        EXPECT_THAT(ring.linger(3), IsEmpty());
    }
}

// What it waited for was taken each time, by a plain call.
TEST(PollAdd, of_a_registered_file_waits_time_and_again) {
    RawRing ring;
    const Pipe pipe;
    const int files[] = {pipe.read_end};
    ASSERT_THAT(ring.register_call(IORING_REGISTER_FILES, const_cast<int*>(files), 1), Gives(0));
    const auto poll = [&] { return ring.submit(sqe::poll_add(0, POLLIN).flag(IOSQE_FIXED_FILE).data(1)); };
    char byte;
    for (unsigned i = 0; i < 10; ++i) {
        EXPECT_THAT(poll(), Gives(1));
        EXPECT_THAT(ring.linger(1), IsEmpty());
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
        EXPECT_EQ(read(pipe.read_end, &byte, 1), 1);
        // Nobody waits for this.
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        EXPECT_EQ(read(pipe.read_end, &byte, 1), 1);
    }
}

TEST(PollAdd, of_an_epoll_set_is_ready_when_one_in_it_is) {
    RawRing ring;
    const Pipe pipe;
    const Fd epoll(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event = {EPOLLIN, {}};
    ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, pipe.read_end, &event), 0);
    EXPECT_THAT(ring.submit(sqe::poll_add(epoll, POLLIN).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
}

TEST(PollMultishot, tells_each_time_until_it_is_removed) {
    RawRing ring;
    const Fd counter(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    EXPECT_THAT(ring.submit(sqe::poll_add(counter, POLLIN, IORING_POLL_ADD_MULTI).data(1)), Gives(1));
    for (int round = 0; round < 5; ++round) {
        EXPECT_THAT(ring.linger(2), IsEmpty());
        eventfd_write(counter, 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN, more)));
        eventfd_t value;
        eventfd_read(counter, &value);
    }
    EXPECT_THAT(ring.submit(sqe::poll_remove(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
}

// What is always ready never becomes so: the first completion is the last one.
TEST(PollMulti, of_a_file_that_cannot_be_waited_for_ends_at_once) {
    RawRing ring;
    const Fd directory(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const Fd zero(open("/dev/zero", O_RDWR | O_CLOEXEC));
    for (const Fd* file : {&directory, &zero}) {
        for (const uint32_t events :
             {uint32_t{POLLIN}, uint32_t{POLLOUT}, POLLIN | EPOLLET, EPOLLIN | EPOLLEXCLUSIVE}) {
            EXPECT_THAT(ring.run(sqe::poll_add(*file, events, IORING_POLL_ADD_MULTI)),
                        Gives(events & (POLLIN | POLLOUT)));
        }
    }
}

TEST(PollMultishot, tells_of_what_is_ready_when_it_is_added) {
    RawRing ring;
    const Fd counter(eventfd(1, EFD_CLOEXEC));
    EXPECT_THAT(ring.submit(sqe::poll_add(counter, POLLIN, IORING_POLL_ADD_MULTI).data(1)), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN, more)));
    // Edge-triggered: it stays ready and nothing new happens.
    EXPECT_THAT(ring.linger(5), IsEmpty());
    eventfd_write(counter, 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN, more)));
}

TEST(PollMultishot, tells_of_news_though_the_old_was_never_read) {
    RawRing ring;
    const Pipe pipe;
    EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN, IORING_POLL_ADD_MULTI).data(1)), Gives(1));
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN, more)));
    }
}

TEST(PollMultishot, ends_when_the_completion_queue_is_full) {
    RawRing ring(1);
    const Fd counter(eventfd(0, EFD_CLOEXEC));
    EXPECT_THAT(ring.submit(sqe::poll_add(counter, POLLIN, IORING_POLL_ADD_MULTI).data(1)), Gives(1));
    eventfd_write(counter, 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN, more)));
    EXPECT_THAT(ring.submit(sqe::nop().data(2)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::nop().data(3)), Gives(1));
    eventfd_write(counter, 1);
    EXPECT_TRUE(eventually([&] { return (ring.sq_flags().load() & IORING_SQ_CQ_OVERFLOW) != 0; }));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(2, 0), Completes(3, 0), Completes(1, POLLIN)));
    // Nobody looks any more.
    eventfd_write(counter, 1);
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_THAT(ring.run(sqe::poll_remove(1).data(4)), Gives(-ENOENT));
}

TEST(PollRemove, takes_away_a_poll_that_waits) {
    RawRing ring;
    const Pipe pipe;
    EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::poll_remove(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.linger(5), IsEmpty());
}

TEST(PollRemove, in_the_batch_of_the_poll_itself) {
    RawRing ring;
    const Pipe pipe;
    EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN).data(1), sqe::poll_remove(1).data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
}

TEST(PollRemove, of_what_is_not_there_gives_enoent) {
    RawRing ring;
    const Pipe pipe;
    EXPECT_THAT(ring.run(sqe::poll_remove(1)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::poll_add(pipe.write_end, POLLOUT).data(5)), Gives(POLLOUT));
    EXPECT_THAT(ring.run(sqe::poll_remove(5)), Gives(-ENOENT));
}

TEST(PollRemove, takes_away_polls_only) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(patience_ms);
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::timeout(&time).data(1), sqe::read(pipe.read_end, &byte, 1).data(2)), Gives(2));
    EXPECT_THAT(ring.run(sqe::poll_remove(1).data(3)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::poll_remove(2).data(4)), Gives(-ENOENT));
}

TEST(PollRemove, of_one_of_two_with_the_same_data_leaves_the_other) {
    RawRing ring;
    const Pipe pipe;
    EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN).data(1), sqe::poll_add(pipe.read_end, POLLIN).data(1)),
                Gives(2));
    EXPECT_THAT(ring.submit(sqe::poll_remove(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
}

TEST(PollUpdate, changes_the_events) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    EXPECT_THAT(ring.submit(sqe::poll_add(ends.far, POLLPRI).data(1)), Gives(1));
    EXPECT_THAT(ring.run(sqe::poll_update(1, IORING_POLL_UPDATE_EVENTS, POLLIN).data(2)), Gives(0));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_EQ(write(ends.near, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
}

TEST(PollUpdate, to_events_that_are_there_completes_the_poll) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    EXPECT_THAT(ring.submit(sqe::poll_add(ends.far, POLLIN).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::poll_update(1, IORING_POLL_UPDATE_EVENTS, POLLOUT).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, POLLOUT), Completes(2, 0)));
}

TEST(PollUpdate, changes_the_user_data) {
    RawRing ring;
    const Pipe pipe;
    EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN).data(1)), Gives(1));
    EXPECT_THAT(ring.run(sqe::poll_update(1, IORING_POLL_UPDATE_USER_DATA, 0, 7).data(2)), Gives(0));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(7, POLLIN)));
}

TEST(PollUpdate, changes_events_and_user_data_at_once) {
    RawRing ring;
    const Fd counter(eventfd(0, EFD_CLOEXEC));
    EXPECT_THAT(ring.submit(sqe::poll_add(counter, POLLPRI).data(1)), Gives(1));
    constexpr uint32_t both = IORING_POLL_UPDATE_EVENTS | IORING_POLL_UPDATE_USER_DATA;
    EXPECT_THAT(ring.run(sqe::poll_update(1, both, POLLIN, 7).data(2)), Gives(0));
    eventfd_write(counter, 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(7, POLLIN)));
}

TEST(PollUpdate, leaves_once_and_many_times_as_they_are) {
    RawRing ring;
    const Fd counter(eventfd(0, EFD_CLOEXEC));
    EXPECT_THAT(ring.submit(sqe::poll_add(counter, POLLPRI).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::poll_add(counter, POLLPRI, IORING_POLL_ADD_MULTI).data(2)), Gives(1));
    EXPECT_THAT(ring.run(sqe::poll_update(1, IORING_POLL_UPDATE_EVENTS | IORING_POLL_ADD_MULTI, POLLIN).data(9)),
                Gives(0));
    EXPECT_THAT(ring.run(sqe::poll_update(2, IORING_POLL_UPDATE_EVENTS, POLLIN).data(9)), Gives(0));
    eventfd_write(counter, 1);
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, POLLIN), Completes(2, POLLIN, more)));
}

TEST(PollUpdate, of_what_is_not_there_gives_enoent) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::poll_update(1, IORING_POLL_UPDATE_EVENTS, POLLIN)), Gives(-ENOENT));
}

TEST(PollUpdate, refuses_what_makes_no_sense) {
    RawRing ring;
    // New events without the flag for them, or the other way round; unknown flags.
    EXPECT_THAT(ring.run(sqe::poll_update(1, 0, POLLIN)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::poll_update(1, 0, 0, 7)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::poll_update(1, IORING_POLL_UPDATE_USER_DATA, POLLIN, 7)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::poll_update(1, IORING_POLL_UPDATE_EVENTS, POLLIN, 7)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::poll_update(1, IORING_POLL_ADD_MULTI, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::poll_update(1, 1U << 4 | IORING_POLL_UPDATE_EVENTS, POLLIN)), Gives(-EINVAL));
}

}  // namespace
}  // namespace ringside::test
