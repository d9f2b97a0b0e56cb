// IOSQE_IO_DRAIN: a request that starts when everything submitted before it is done, and before anything behind it.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned drain = IOSQE_IO_DRAIN;
constexpr unsigned link = IOSQE_IO_LINK;
constexpr unsigned skip = IOSQE_CQE_SKIP_SUCCESS;

Sqe nop(uint64_t data, unsigned flags = 0) { return sqe::nop().data(data).flag(flags); }
Sqe malformed(uint64_t data, unsigned flags = 0) { return Sqe(250).data(data).flag(flags); }

class Drain : public testing::TestWithParam<unsigned> {
  protected:
    RawRing ring{128, GetParam()};
    const Pipe pipe;
    char bytes[64] = {};

    Sqe waiting_read(uint64_t data, unsigned flags = 0) {
        return sqe::read(pipe.read_end, &bytes[data % sizeof(bytes)], 1).data(data).flag(flags);
    }
    void write_bytes(size_t count) {
        const std::string content(count, 'x');
        ASSERT_EQ(write(pipe.write_end, content.data(), count), static_cast<ssize_t>(count));
    }
};

INSTANTIATE_TEST_SUITE_P(Modes, Drain, testing::Values(0U, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN),
                         [](const testing::TestParamInfo<unsigned>& mode) {
                             return std::string(mode.param == 0 ? "plain" : "deferred");
                         });

TEST_P(Drain, of_an_idle_ring_runs_at_once) {
    EXPECT_THAT(ring.submit(nop(1, drain)), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    EXPECT_THAT(ring.submit(nop(1), nop(2, drain), nop(3)), Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, 0), Completes(3, 0)));
}

TEST_P(Drain, waits_for_all_that_was_submitted_before) {
    EXPECT_THAT(ring.submit(waiting_read(1), waiting_read(2), waiting_read(3)), Gives(3));
    EXPECT_THAT(ring.submit(nop(4, drain)), Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_bytes(2);
    EXPECT_EQ(ring.wait(2).size(), 2u);
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_bytes(1);
    const std::vector<Cqe> completions = ring.wait(2);
    EXPECT_THAT(completions.back(), Completes(4, 0));
}

TEST_P(Drain, holds_back_what_is_submitted_behind_it) {
    EXPECT_THAT(ring.submit(waiting_read(1), nop(2, drain), nop(3)), Gives(3));
    EXPECT_THAT(ring.submit(nop(4)), Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_bytes(1);
    EXPECT_THAT(ring.wait(4), ElementsAre(Completes(1, 1), Completes(2, 0), Completes(3, 0), Completes(4, 0)));
    // Afterwards nothing is held back any more.
    EXPECT_THAT(ring.submit(waiting_read(5), nop(6)), Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(6, 0)));
    write_bytes(1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(5, 1)));
}

TEST_P(Drain, holds_back_what_is_behind_it_until_it_is_done_itself) {
    EXPECT_THAT(ring.submit(waiting_read(1, drain), nop(2)), Gives(2));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_bytes(1);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(2, 0)));
}

TEST_P(Drain, many_run_one_after_the_other) {
    EXPECT_THAT(ring.submit(waiting_read(0)), Gives(1));
    for (uint64_t number = 1; number < 64; ++number) ring.push(nop(number, drain));
    EXPECT_THAT(ring.enter(63), Gives(63));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_bytes(1);
    const std::vector<Cqe> completions = ring.wait(64);
    ASSERT_EQ(completions.size(), 64u);
    for (uint64_t number = 0; number < 64; ++number) EXPECT_THAT(completions[number], Completes(number, number == 0));
}

TEST_P(Drain, many_that_wait_each_hold_up_the_next) {
    EXPECT_THAT(ring.submit(waiting_read(1), waiting_read(2, drain), waiting_read(3, drain), nop(4, drain)), Gives(4));
    for (uint64_t number = 1; number <= 2; ++number) {
        EXPECT_THAT(ring.linger(5), IsEmpty());
        write_bytes(1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(number, 1)));
    }
    EXPECT_THAT(ring.linger(5), IsEmpty());
    write_bytes(1);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(3, 1), Completes(4, 0)));
}

TEST_P(Drain, waits_for_chains_to_their_end) {
    EXPECT_THAT(ring.submit(waiting_read(1, link), waiting_read(2, link), nop(3), nop(4, drain)), Gives(4));
    write_bytes(1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_bytes(1);
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(2, 1), Completes(3, 0), Completes(4, 0)));
}

TEST_P(Drain, at_the_head_of_a_chain_drains_the_chain) {
    EXPECT_THAT(ring.submit(waiting_read(1), nop(2, drain | link), nop(3), nop(4)), Gives(4));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_bytes(1);
    // What is behind the chain waits for its head, of which alone it is sure that it comes first.
    const std::vector<Cqe> completions = ring.wait(4);
    EXPECT_THAT(completions, UnorderedElementsAre(Completes(1, 1), Completes(2, 0), Completes(3, 0), Completes(4, 0)));
    EXPECT_THAT(completions.front(), Completes(1, 1));
}

TEST_P(Drain, within_a_chain_drains_the_whole_chain_and_what_comes_behind_it) {
    EXPECT_THAT(ring.submit(waiting_read(1), nop(2, link), nop(3, drain | link), nop(4), nop(5)), Gives(5));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_bytes(1);
    EXPECT_THAT(ring.wait(5),
                ElementsAre(Completes(1, 1), Completes(2, 0), Completes(3, 0), Completes(4, 0), Completes(5, 0)));
}

TEST_P(Drain, within_a_chain_holds_the_next_request_until_the_chain_is_done) {
    EXPECT_THAT(ring.submit(nop(1, link), waiting_read(2, drain | link), nop(3), nop(4)), Gives(4));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_bytes(1);
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(2, 1), Completes(3, 0), Completes(4, 0)));
}

TEST_P(Drain, of_a_severed_chain_runs_nothing_of_it) {
    EXPECT_THAT(ring.submit(waiting_read(1), sqe::read(-1, bytes, 1).data(2).flag(drain | link), nop(3)), Gives(3));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_bytes(1);
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 1), Completes(2, -EBADF), Completes(3, -ECANCELED)));
}

TEST_P(Drain, that_is_malformed_fails_at_once) {
    EXPECT_THAT(ring.submit(waiting_read(1)), Gives(1));
    EXPECT_THAT(ring.submit(malformed(2, drain)), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, -EINVAL)));
    write_bytes(1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    EXPECT_THAT(ring.run(nop(3)), Gives(0));
}

// What comes behind the last drain has to drain, too, until some of it goes on at once.
TEST_P(Drain, goes_on_behind_what_fails_in_its_batch) {
    RawRing other(16, GetParam() | IORING_SETUP_SUBMIT_ALL);
    for (const bool fails : {false, true}) {
        EXPECT_THAT(other.run(nop(1, drain)), Gives(0));
        EXPECT_THAT(fails ? other.submit(malformed(2), waiting_read(3)) : other.submit(waiting_read(3)),
                    Gives(fails ? 2 : 1));
        const std::vector<Cqe> failed = other.linger(5);
        EXPECT_EQ(failed, fails ? std::vector<Cqe>({Cqe{2, -EINVAL, 0}}) : std::vector<Cqe>());
        EXPECT_THAT(other.submit(nop(4)), Gives(1));
        if (fails) {
            EXPECT_THAT(other.linger(5), IsEmpty());
        } else {
            EXPECT_THAT(other.wait(1), ElementsAre(Completes(4, 0)));
        }
        write_bytes(1);
        EXPECT_THAT(other.wait(fails ? 2 : 1), testing::Contains(Completes(3, 1)));
    }
}

TEST_P(Drain, in_a_chain_that_is_malformed_fails_at_once) {
    EXPECT_THAT(ring.submit(waiting_read(1)), Gives(1));
    EXPECT_THAT(ring.submit(nop(2, drain | link), malformed(3, link), nop(4)), Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(2, -ECANCELED), Completes(3, -EINVAL), Completes(4, -ECANCELED)));
    write_bytes(1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    EXPECT_THAT(ring.run(nop(5)), Gives(0));
}

TEST_P(Drain, waits_for_a_timeout_to_expire) {
    const __kernel_timespec time = milliseconds_of(20);
    EXPECT_THAT(ring.submit(sqe::timeout(&time).data(1), nop(2, drain)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -ETIME), Completes(2, 0)));
}

TEST_P(Drain, waits_for_asynchronous_work) {
    const Fd file = memory_file_with("content");
    for (int round = 0; round < 20; ++round) {
        EXPECT_THAT(ring.submit(sqe::read(file, bytes, 7).data(1).flag(IOSQE_ASYNC), nop(2, drain)), Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 7), Completes(2, 0)));
    }
}

TEST_P(Drain, may_itself_be_asynchronous) {
    EXPECT_THAT(ring.submit(waiting_read(1), nop(2, drain | IOSQE_ASYNC), nop(3)), Gives(3));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_bytes(1);
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 1), Completes(2, 0), Completes(3, 0)));
}

// A request that is to act while another is held back has to be in flight before that: it waits behind a timeout.
Sqe after_a_while(uint64_t data) {
    static constexpr __kernel_timespec while_of_time = {0, 40'000'000};
    return sqe::timeout(&while_of_time, 0, IORING_TIMEOUT_ETIME_SUCCESS).data(data).flag(link);
}

TEST_P(Drain, waits_for_a_multishot_poll_until_that_has_ended) {
    EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN, IORING_POLL_ADD_MULTI).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(after_a_while(2), sqe::poll_remove(1).data(3)), Gives(2));
    EXPECT_THAT(ring.submit(nop(4, drain)), Gives(1));
    write_bytes(1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN, IORING_CQE_F_MORE)));
    // One more that is to remove it is held back as everything is.
    EXPECT_THAT(ring.submit(sqe::poll_remove(1).data(5)), Gives(1));
    const std::vector<Cqe> completions = ring.wait(5);
    EXPECT_THAT(completions, UnorderedElementsAre(Completes(2, -ETIME), Completes(3, 0), Completes(1, -ECANCELED),
                                                  Completes(4, 0), Completes(5, -ENOENT)));
    EXPECT_THAT(completions.back(), Completes(5, -ENOENT));
}

TEST_P(Drain, waits_for_a_multishot_timeout_until_that_has_ended) {
    const __kernel_timespec time = milliseconds_of(2);
    EXPECT_THAT(ring.submit(sqe::timeout(&time, 3, IORING_TIMEOUT_MULTISHOT).data(1), nop(2, drain)), Gives(2));
    EXPECT_THAT(ring.wait(4),
                ElementsAre(Completes(1, -ETIME, IORING_CQE_F_MORE), Completes(1, -ETIME, IORING_CQE_F_MORE),
                            Completes(1, -ETIME), Completes(2, 0)));
}

TEST_P(Drain, is_not_found_by_a_cancellation) {
    EXPECT_THAT(ring.submit(waiting_read(1)), Gives(1));
    EXPECT_THAT(ring.submit(after_a_while(2), sqe::cancel(4).data(3)), Gives(2));
    EXPECT_THAT(ring.submit(nop(4, drain)), Gives(1));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(2, -ETIME), Completes(3, -ENOENT)));
    write_bytes(1);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(4, 0)));
}

TEST_P(Drain, is_refused_once_a_completion_was_to_be_skipped) {
    EXPECT_THAT(ring.submit(nop(1, drain)), Gives(1));
    EXPECT_THAT(ring.submit(nop(2, skip)), Gives(1));
    EXPECT_THAT(ring.submit(nop(3, drain)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 0), Completes(3, -EOPNOTSUPP)));
    // For good, and for both at once too.
    EXPECT_THAT(ring.run(nop(4, drain)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(ring.run(nop(5, drain | skip)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(ring.run(nop(6)), Gives(0));
}

TEST_P(Drain, with_a_skipped_completion_is_refused_from_the_beginning) {
    EXPECT_THAT(ring.run(nop(1, drain | skip)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(ring.run(nop(2, drain)), Gives(-EOPNOTSUPP));
}

TEST_P(Drain, of_a_ring_that_is_closed_vanishes_with_it) {
    EXPECT_THAT(ring.submit(waiting_read(1), nop(2, drain), nop(3, drain | link), nop(4), waiting_read(5)), Gives(5));
    EXPECT_EQ(ring.close(), 0);
    write_bytes(1);
}

}  // namespace
}  // namespace ringside::test
