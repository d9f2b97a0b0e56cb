// Chains: IOSQE_IO_LINK and IOSQE_IO_HARDLINK. In which order the members run, and what severs a chain where.
//
// Within a chain the order of completions is certain. Between a chain and what is submitted beside it only this much
// is: everything completes. The kernel happens to complete what is behind a chain before the chain's second member.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned link = IOSQE_IO_LINK;
constexpr unsigned hardlink = IOSQE_IO_HARDLINK;
constexpr unsigned skip = IOSQE_CQE_SKIP_SUCCESS;
constexpr uint8_t no_such_opcode = 250;
constexpr unsigned deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

Sqe nop(uint64_t data, unsigned flags = 0) { return sqe::nop().data(data).flag(flags); }

// A request that fails when it is issued.
Sqe failing(uint64_t data, unsigned flags = 0) {
    return sqe::nop(IORING_NOP_INJECT_RESULT).set(&Sqe::len, -EIO).data(data).flag(flags);
}

// One that is turned down when it is submitted.
Sqe malformed(uint64_t data, unsigned flags = 0) { return Sqe(no_such_opcode).data(data).flag(flags); }

void write_byte(const Pipe& pipe) { ASSERT_EQ(write(pipe.write_end, "x", 1), 1); }

class Chain : public testing::TestWithParam<unsigned> {
  protected:
    RawRing ring{256, GetParam()};
    const Pipe pipe;
    char bytes[16] = {};

    Sqe waiting_read(uint64_t data, unsigned flags = 0) {
        return sqe::read(pipe.read_end, bytes, 1).data(data).flag(flags);
    }
};

INSTANTIATE_TEST_SUITE_P(Modes, Chain, testing::Values(0U, IORING_SETUP_SUBMIT_ALL, deferred),
                         [](const testing::TestParamInfo<unsigned>& mode) -> std::string {
                             if (mode.param == 0) return "plain";
                             return mode.param == deferred ? "deferred" : "submit_all";
                         });

TEST_P(Chain, of_any_length_completes_in_its_order) {
    for (const unsigned kind : {link, hardlink}) {
        for (const unsigned length : {1U, 2U, 3U, 17U, 256U}) {
            for (unsigned at = 0; at < length; ++at) ring.push(nop(at, at + 1 < length ? kind : 0));
            ASSERT_THAT(ring.enter(length), Gives(length));
            const std::vector<Cqe> completions = ring.wait(length);
            ASSERT_EQ(completions.size(), length);
            for (unsigned at = 0; at < length; ++at) EXPECT_THAT(completions[at], Completes(at, 0));
        }
    }
}

TEST_P(Chain, runs_each_member_when_the_one_before_is_done) {
    const Fd file = memory_file_with("");
    char first[6] = {}, second[6] = {};
    EXPECT_THAT(
        ring.submit(sqe::write(file, "hello", 5).data(1).flag(link), sqe::read(file, first, 5).data(2).flag(link),
                    sqe::write(file, "world", 5).data(3).flag(link), sqe::read(file, second, 5).data(4)),
        Gives(4));
    EXPECT_THAT(ring.wait(4), ElementsAre(Completes(1, 5), Completes(2, 5), Completes(3, 5), Completes(4, 5)));
    EXPECT_STREQ(first, "hello");
    EXPECT_STREQ(second, "world");
}

TEST_P(Chain, several_at_once_keep_each_its_own_order) {
    constexpr unsigned chains = 20, length = 10;
    for (unsigned chain = 0; chain < chains; ++chain) {
        for (unsigned at = 0; at < length; ++at) {
            // Some of the chains are cut short by a failure in their middle.
            const unsigned flag = at + 1 < length ? link : 0;
            const uint64_t data = chain * 100 + at;
            ring.push(chain % 3 == 1 && at == 4 ? failing(data, flag) : nop(data, flag));
        }
        ring.push(nop(chain * 100 + 99));
    }
    EXPECT_THAT(ring.enter(chains * (length + 1)), Gives(chains * (length + 1)));
    std::map<uint64_t, std::vector<Cqe>> by_chain;
    for (const Cqe& cqe : ring.wait(chains * (length + 1))) {
        if (cqe.user_data % 100 != 99) by_chain[cqe.user_data / 100].push_back(cqe);
    }
    for (unsigned chain = 0; chain < chains; ++chain) {
        ASSERT_EQ(by_chain[chain].size(), length);
        for (unsigned at = 0; at < length; ++at) {
            const bool cut = chain % 3 == 1 && at >= 4;
            const int result = !cut ? 0 : at == 4 ? -EIO : -ECANCELED;
            EXPECT_THAT(by_chain[chain][at], Completes(chain * 100 + at, result));
        }
    }
}

TEST_P(Chain, waits_for_a_member_that_waits) {
    EXPECT_THAT(ring.submit(nop(1, link), waiting_read(2, link), nop(3, link), nop(4)), Gives(4));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_byte(pipe);
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(2, 1), Completes(3, 0), Completes(4, 0)));
}

TEST_P(Chain, does_not_hold_up_what_is_submitted_behind_it) {
    EXPECT_THAT(ring.submit(waiting_read(1, link), nop(2), nop(3)), Gives(3));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, 0)));
    write_byte(pipe);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(2, 0)));
}

TEST_P(Chain, is_severed_by_a_failure_wherever_it_is) {
    EXPECT_THAT(ring.submit(failing(1, link), nop(2, link), nop(3)), Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, -EIO), Completes(2, -ECANCELED), Completes(3, -ECANCELED)));
    EXPECT_THAT(ring.submit(nop(1, link), failing(2, link), nop(3)), Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, -EIO), Completes(3, -ECANCELED)));
    EXPECT_THAT(ring.submit(nop(1, link), nop(2, link), failing(3)), Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, 0), Completes(3, -EIO)));
}

TEST_P(Chain, by_hard_links_survives_failures) {
    EXPECT_THAT(ring.submit(failing(1, hardlink), failing(2, hardlink), nop(3)), Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, -EIO), Completes(2, -EIO), Completes(3, 0)));
}

TEST_P(Chain, of_both_kinds_of_links_is_severed_behind_the_soft_ones) {
    EXPECT_THAT(ring.submit(failing(1, hardlink), failing(2, link), nop(3, hardlink), nop(4)), Gives(4));
    EXPECT_THAT(ring.wait(4), ElementsAre(Completes(1, -EIO), Completes(2, -EIO), Completes(3, -ECANCELED),
                                          Completes(4, -ECANCELED)));
    // A member with both flags holds as a hard one does.
    EXPECT_THAT(ring.submit(failing(1, link | hardlink), nop(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EIO), Completes(2, 0)));
}

TEST_P(Chain, is_severed_by_a_file_that_is_none) {
    EXPECT_THAT(ring.submit(sqe::read(-1, bytes, 1).data(1).flag(link), nop(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EBADF), Completes(2, -ECANCELED)));
    EXPECT_THAT(ring.submit(nop(1, link), sqe::read(-1, bytes, 1).data(2).flag(link), nop(3)), Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, -EBADF), Completes(3, -ECANCELED)));
}

TEST_P(Chain, looks_up_a_members_file_when_its_turn_comes) {
    // IORING_FEAT_LINKED_FILE: the descriptor is opened by the chain itself.
    const int number = dup(pipe.read_end);
    close(number);
    EXPECT_THAT(ring.submit(sqe::openat(AT_FDCWD, "/dev/zero", O_RDONLY | O_CLOEXEC).data(1).flag(link),
                            sqe::read(number, bytes, 4).data(2).flag(link), sqe::close(number).data(3)),
                Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, number), Completes(2, 4), Completes(3, 0)));
}

TEST_P(Chain, is_severed_by_a_short_read_or_write) {
    const Fd file = memory_file_with("short");
    EXPECT_THAT(ring.submit(sqe::read(file, bytes, 6).data(1).flag(link), nop(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 5), Completes(2, -ECANCELED)));
    EXPECT_THAT(ring.submit(sqe::read(file, bytes, 5).data(1).flag(link), nop(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 5), Completes(2, 0)));
    EXPECT_THAT(ring.submit(sqe::read(file, bytes, 6).data(1).flag(hardlink), nop(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 5), Completes(2, 0)));
    EXPECT_THAT(ring.submit(sqe::read(file, bytes, 6, 5).data(1).flag(link), nop(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 0), Completes(2, -ECANCELED)));

    const iovec vectors[] = {{bytes, 3}, {bytes + 3, 3}};
    EXPECT_THAT(ring.submit(sqe::readv(file, vectors, 2).data(1).flag(link), nop(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 5), Completes(2, -ECANCELED)));

    // A pipe that has room for one page takes no more of two.
    const Pipe nonblocking(O_NONBLOCK);
    ASSERT_GT(fcntl(nonblocking.write_end, F_SETPIPE_SZ, 4096), 0);
    const std::string pages(8192, 'x');
    EXPECT_THAT(ring.submit(sqe::write(nonblocking.write_end, pages.data(), 8192).data(1).flag(link), nop(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 4096), Completes(2, -ECANCELED)));
}

TEST_P(Chain, is_severed_by_a_short_read_that_had_to_wait) {
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, bytes, 4).data(1).flag(link), nop(2)), Gives(2));
    write_byte(pipe);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(2, -ECANCELED)));
}

TEST_P(Chain, is_severed_by_a_short_receive_only_when_all_was_to_be_waited_for) {
    const Ends ends = unix_pair(SOCK_STREAM);
    const auto receive = [&](uint32_t message_flags) {
        return sqe::transfer(IORING_OP_RECV, ends.far, bytes, 8, 0)
            .set(&Sqe::msg_flags, message_flags)
            .data(1)
            .flag(link);
    };
    ASSERT_EQ(write(ends.near, "abc", 3), 3);
    EXPECT_THAT(ring.submit(receive(0), nop(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 3), Completes(2, 0)));
    ASSERT_EQ(write(ends.near, "abc", 3), 3);
    ASSERT_EQ(shutdown(ends.near, SHUT_WR), 0);
    EXPECT_THAT(ring.submit(receive(MSG_WAITALL), nop(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 3), Completes(2, -ECANCELED)));
}

TEST_P(Chain, is_severed_by_the_cancellation_of_a_member) {
    EXPECT_THAT(ring.submit(waiting_read(1, link), nop(2, link), nop(3)), Gives(3));
    // Those behind are not to be found yet.
    EXPECT_THAT(ring.run(sqe::cancel(2).data(8)), Gives(-ENOENT));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(4), UnorderedElementsAre(Completes(9, 0), Completes(1, -ECANCELED), Completes(2, -ECANCELED),
                                                   Completes(3, -ECANCELED)));
}

TEST_P(Chain, by_hard_links_goes_on_behind_a_cancelled_member) {
    EXPECT_THAT(ring.submit(waiting_read(1, hardlink), nop(2)), Gives(2));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(9, 0), Completes(1, -ECANCELED), Completes(2, 0)));
}

TEST_P(Chain, goes_on_behind_a_poll) {
    EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN).data(1).flag(link), waiting_read(2)), Gives(2));
    write_byte(pipe);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, POLLIN), Completes(2, 1)));
}

// --- Where a chain ends ---------------------------------------------------------------------------------------------

TEST_P(Chain, ends_with_its_submission) {
    // The first has a link and nothing behind it in its submission: the second is no part of its chain.
    EXPECT_THAT(ring.submit(failing(1, link)), Gives(1));
    EXPECT_THAT(ring.submit(nop(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -EIO), Completes(2, 0)));

    ring.push(waiting_read(1, link));
    ring.push(nop(2));
    EXPECT_THAT(ring.enter(1), Gives(1));
    EXPECT_THAT(ring.enter(1), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    write_byte(pipe);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
}

TEST_P(Chain, without_an_end_runs_all_the_same) {
    EXPECT_THAT(ring.submit(nop(1, link), nop(2, link), nop(3, link)), Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, 0), Completes(3, 0)));
    EXPECT_THAT(ring.submit(nop(1, link), failing(2, link), nop(3, link)), Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, -EIO), Completes(3, -ECANCELED)));
}

TEST_P(Chain, is_followed_by_another_in_the_same_submission) {
    EXPECT_THAT(ring.submit(failing(1, link), nop(2), failing(3, link), nop(4), nop(5)), Gives(5));
    EXPECT_THAT(ring.wait(5), UnorderedElementsAre(Completes(1, -EIO), Completes(2, -ECANCELED), Completes(3, -EIO),
                                                   Completes(4, -ECANCELED), Completes(5, 0)));
}

// --- Malformed members ----------------------------------------------------------------------------------------------

TEST_P(Chain, with_a_malformed_head_is_consumed_whole) {
    for (const unsigned kind : {link, hardlink}) {
        EXPECT_THAT(ring.submit(malformed(1, kind), nop(2, kind), nop(3), nop(4)), Gives(4));
        EXPECT_THAT(ring.wait(4), UnorderedElementsAre(Completes(1, -EINVAL), Completes(2, -ECANCELED),
                                                       Completes(3, -ECANCELED), Completes(4, 0)));
    }
}

TEST_P(Chain, with_a_malformed_member_in_its_middle_runs_nothing_of_it) {
    for (const unsigned kind : {link, hardlink}) {
        EXPECT_THAT(ring.submit(nop(1, kind), malformed(2, kind), nop(3), nop(4)), Gives(4));
        EXPECT_THAT(ring.wait(4), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -EINVAL),
                                                       Completes(3, -ECANCELED), Completes(4, 0)));
    }
}

TEST_P(Chain, with_a_malformed_tail_ends_the_submission) {
    const bool goes_on = ring.has(IORING_SETUP_SUBMIT_ALL);
    EXPECT_THAT(ring.submit(nop(1, link), nop(2, link), malformed(3), nop(4)), Gives(goes_on ? 4 : 3));
    if (!goes_on) {
        EXPECT_THAT(ring.enter(1), Gives(1));
    }
    EXPECT_THAT(ring.wait(4), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ECANCELED),
                                                   Completes(3, -EINVAL), Completes(4, 0)));
}

TEST_P(Chain, with_several_malformed_members_names_each) {
    EXPECT_THAT(ring.submit(nop(1, link), malformed(2, link), nop(3, link), malformed(4, link), nop(5)), Gives(5));
    EXPECT_THAT(ring.wait(5), ElementsAre(Completes(1, -ECANCELED), Completes(2, -EINVAL), Completes(3, -ECANCELED),
                                          Completes(4, -EINVAL), Completes(5, -ECANCELED)));
}

TEST_P(Chain, with_a_malformed_member_and_no_end_runs_nothing_of_it) {
    EXPECT_THAT(ring.submit(nop(1, link), malformed(2, link)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -ECANCELED), Completes(2, -EINVAL)));
}

// --- Members without completions of their own ------------------------------------------------------------------------

TEST_P(Chain, of_silent_members_tells_of_its_last_alone) {
    EXPECT_THAT(ring.submit(nop(1, link | skip), nop(2, link | skip), nop(3)), Gives(3));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, 0)));
    EXPECT_THAT(ring.linger(), IsEmpty());
}

TEST_P(Chain, severed_by_a_silent_member_tells_of_that_alone) {
    EXPECT_THAT(ring.submit(nop(1, link | skip), failing(2, link | skip), nop(3, link), nop(4)), Gives(4));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, -EIO)));
    EXPECT_THAT(ring.linger(), IsEmpty());
}

TEST_P(Chain, severed_by_a_member_that_is_heard_tells_of_the_silent_ones_behind_it) {
    EXPECT_THAT(ring.submit(nop(1, link | skip), failing(2, link), nop(3, link | skip), nop(4, skip)), Gives(4));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(2, -EIO), Completes(3, -ECANCELED), Completes(4, -ECANCELED)));
}

TEST_P(Chain, by_hard_links_hears_of_silent_failures_and_goes_on) {
    EXPECT_THAT(ring.submit(failing(1, hardlink | skip), nop(2, hardlink | skip), nop(3)), Gives(3));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EIO), Completes(3, 0)));
    EXPECT_THAT(ring.linger(), IsEmpty());
}

TEST_P(Chain, with_a_silent_head_and_a_malformed_member_tells_of_the_head_alone) {
    EXPECT_THAT(ring.submit(nop(1, link | skip), malformed(2, link), nop(3)), Gives(3));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -ECANCELED)));
    EXPECT_THAT(ring.linger(), IsEmpty());
}

TEST_P(Chain, with_a_malformed_silent_member_tells_of_all) {
    EXPECT_THAT(ring.submit(nop(1, link), malformed(2, link | skip), nop(3, skip)), Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, -ECANCELED), Completes(2, -EINVAL), Completes(3, -ECANCELED)));
}

TEST_P(Chain, with_a_silent_member_and_its_timeout_tells_of_what_is_not_silent) {
    static constexpr __kernel_timespec soon = {0, 5'000'000}, late = {60, 0};
    const auto limit = [](const __kernel_timespec& time, unsigned flags) {
        return sqe::timeout(&time).set(&Sqe::opcode, IORING_OP_LINK_TIMEOUT).data(2).flag(flags);
    };
    // In time: the member is silent, its timeout is told of as cancelled.
    EXPECT_THAT(ring.submit(nop(1, link | skip), limit(late, 0)), Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, -ECANCELED)));
    EXPECT_THAT(ring.submit(nop(1, link | skip), limit(late, skip), nop(3)), Gives(3));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, 0)));
    EXPECT_THAT(ring.submit(nop(1, link | skip), limit(late, link | skip), nop(3)), Gives(3));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, 0)));
    // Too late: the member's failure is told, the timeout is not when it is silent.
    EXPECT_THAT(ring.submit(waiting_read(1, link | skip), limit(soon, link | skip), nop(3)), Gives(3));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -ECANCELED)));
    EXPECT_THAT(ring.linger(), IsEmpty());
}

// --- Members for a worker --------------------------------------------------------------------------------------------

TEST_P(Chain, of_asynchronous_members_completes_in_its_order) {
    const Fd file = memory_file_with("");
    for (int round = 0; round < 20; ++round) {
        EXPECT_THAT(
            ring.submit(sqe::write(file, "hello", 5).data(1).flag(link | IOSQE_ASYNC), nop(2, link | IOSQE_ASYNC),
                        sqe::read(file, bytes, 5).data(3).flag(link | IOSQE_ASYNC), nop(4)),
            Gives(4));
        EXPECT_THAT(ring.wait(4), ElementsAre(Completes(1, 5), Completes(2, 0), Completes(3, 5), Completes(4, 0)));
    }
}

TEST_P(Chain, is_severed_by_an_asynchronous_member) {
    EXPECT_THAT(ring.submit(sqe::read(-1, bytes, 1).data(1).flag(link | IOSQE_ASYNC), nop(2, IOSQE_ASYNC)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EBADF), Completes(2, -ECANCELED)));
    const Fd file = memory_file_with("short");
    EXPECT_THAT(ring.submit(nop(1, link), sqe::read(file, bytes, 6).data(2).flag(link | IOSQE_ASYNC), nop(3)),
                Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, 5), Completes(3, -ECANCELED)));
}

TEST_P(Chain, gives_what_it_has_sent_to_who_has_waited_longer) {
    EXPECT_THAT(ring.submit(waiting_read(1)), Gives(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_THAT(ring.submit(sqe::write(pipe.write_end, "x", 1).data(2).flag(link), waiting_read(3)), Gives(2));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 1), Completes(2, 1)));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    write_byte(pipe);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, 1)));
}

}  // namespace
}  // namespace ringside::test
