// IORING_OP_ASYNC_CANCEL: which requests are found, and what becomes of them and of the cancellation.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <seccomp.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>
#include <vector>

#include "ops/net_sqe.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr unsigned all = IORING_ASYNC_CANCEL_ALL;
constexpr unsigned any = IORING_ASYNC_CANCEL_ANY;
const __kernel_timespec never = milliseconds_of(3'600'000);

// A ring with a request of each kind that waits: a read (1), a poll (2), both of `pipe`, and a timeout (3).
struct Waiting {
    Waiting() {
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1),
                                sqe::poll_add(pipe.read_end, POLLIN).data(2), sqe::timeout(&never).data(3)),
                    Gives(3));
    }
    Pipe pipe;
    char byte = 0;
    RawRing ring;
};

TEST(Cancel, finds_a_request_of_any_kind_by_its_user_data) {
    for (const uint64_t target : {1, 2, 3}) {
        Waiting waiting;
        EXPECT_THAT(waiting.ring.submit(sqe::cancel(target).data(9)), Gives(1));
        EXPECT_THAT(waiting.ring.wait(2), UnorderedElementsAre(Completes(target, -ECANCELED), Completes(9, 0)));
        EXPECT_THAT(waiting.ring.linger(2), IsEmpty());
    }
}

TEST(Cancel, of_what_is_not_there_gives_enoent) {
    Waiting waiting;
    EXPECT_THAT(waiting.ring.run(sqe::cancel(4).data(9)), Gives(-ENOENT));
    EXPECT_THAT(waiting.ring.run(sqe::nop().data(4)), Gives(0));
    EXPECT_THAT(waiting.ring.run(sqe::cancel(4).data(9)), Gives(-ENOENT));
}

TEST(Cancel, does_not_find_itself) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::cancel(9).data(9)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::cancel(0, any).data(9)), Gives(0));
}

TEST(Cancel, finds_a_request_of_its_own_batch) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1), sqe::cancel(1).data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
}

TEST(Cancel, finds_what_asked_for_a_worker_in_its_own_batch) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::nop().data(1).flag(IOSQE_ASYNC), sqe::cancel(1).data(2)), Gives(2));
    const std::vector<Cqe> completions = ring.wait(2);
    ASSERT_EQ(completions.size(), 2u);
    // The kernel's worker may be faster.
    EXPECT_THAT(completions, testing::AnyOf(UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)),
                                            UnorderedElementsAre(Completes(1, 0), Completes(2, -ENOENT)),
                                            UnorderedElementsAre(Completes(1, 0), Completes(2, -EALREADY))));
}

TEST(Cancel, takes_the_user_data_flag_for_what_it_does_anyway) {
    Waiting waiting;
    EXPECT_THAT(waiting.ring.submit(sqe::cancel(1, IORING_ASYNC_CANCEL_USERDATA).data(9)), Gives(1));
    EXPECT_THAT(waiting.ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(9, 0)));
}

TEST(Cancel, of_one_of_several_with_the_same_data_leaves_the_others) {
    RawRing ring;
    const Pipe pipe;
    char bytes[3];
    for (char& byte : bytes) EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(9, 0)));
    EXPECT_EQ(write(pipe.write_end, "xy", 2), 2);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(1, 1)));
}

TEST(Cancel, of_all_with_the_same_data_gives_their_number) {
    RawRing ring;
    const Pipe pipe;
    char bytes[3];
    for (char& byte : bytes) EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::cancel(1, all).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(4), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(1, -ECANCELED),
                                                   Completes(1, -ECANCELED), Completes(9, 3)));
}

TEST(Cancel, of_all_where_there_is_none_gives_zero) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::cancel(1, all)), Gives(0));
    EXPECT_THAT(ring.run(sqe::cancel(0, any)), Gives(0));
    EXPECT_THAT(ring.run(sqe::cancel(0, any | all)), Gives(0));
}

TEST(Cancel, of_any_takes_everything_in_flight) {
    Waiting waiting;
    EXPECT_THAT(waiting.ring.submit(sqe::cancel(0, any).data(9)), Gives(1));
    EXPECT_THAT(waiting.ring.wait(4), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ECANCELED),
                                                           Completes(3, -ECANCELED), Completes(9, 3)));
}

TEST(Cancel, by_file_finds_requests_on_that_file) {
    Waiting waiting;
    EXPECT_THAT(waiting.ring.submit(sqe::cancel_fd(waiting.pipe.read_end, all).data(9)), Gives(1));
    EXPECT_THAT(waiting.ring.wait(3),
                UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ECANCELED), Completes(9, 2)));
    EXPECT_THAT(waiting.ring.run(sqe::cancel_fd(waiting.pipe.read_end).data(9)), Gives(-ENOENT));
}

TEST(Cancel, by_file_takes_one_unless_told_to_take_all) {
    RawRing ring;
    const Pipe pipe;
    char bytes[2];
    for (char& byte : bytes) EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::cancel_fd(pipe.read_end).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(9, 0)));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
}

TEST(Cancel, by_file_means_the_file_and_not_the_number) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    const Fd copy(dup(pipe.read_end));
    EXPECT_THAT(ring.submit(sqe::cancel_fd(copy).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(9, 0)));
}

// Asked for each request by a system call, this took 3 ms among 4,000 (the kernel: 19 us).
TEST(Cancel, by_file_finds_those_of_its_file_among_many_files) {
    RawRing ring{64};
    constexpr unsigned count = 40;
    std::vector<Ends> pairs;
    char byte;
    for (unsigned i = 0; i < count; ++i) {
        pairs.push_back(unix_pair(SOCK_STREAM));
        EXPECT_THAT(
            ring.submit(sqe::recv(pairs[i].near, &byte, 1).data(i), sqe::poll_add(pairs[i].near, POLLIN).data(i)),
            Gives(2));
    }
    for (const unsigned i : {0u, 17u, count - 1}) {
        const Fd copy(dup(pairs[i].near));
        EXPECT_THAT(ring.submit(sqe::cancel_fd(i == 17 ? copy : pairs[i].near, all).data(100)), Gives(1));
        EXPECT_THAT(ring.wait(3),
                    UnorderedElementsAre(Completes(i, -ECANCELED), Completes(i, -ECANCELED), Completes(100, 2)));
    }
    EXPECT_THAT(ring.linger(2), IsEmpty());
}

TEST(Cancel, by_file_does_not_find_those_of_a_closed_file_with_its_number) {
    RawRing ring;
    char byte;
    Ends former = unix_pair(SOCK_STREAM);
    const int number = former.near;
    EXPECT_THAT(ring.submit(sqe::recv(number, &byte, 1).data(1)), Gives(1));
    const Ends later = unix_pair(SOCK_STREAM);
    ASSERT_EQ(dup2(later.near, number), number);
    EXPECT_THAT(ring.run(sqe::cancel_fd(number, all).data(9)), Gives(0));
    EXPECT_THAT(ring.submit(sqe::recv(number, &byte, 1).data(2)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::cancel_fd(number, all).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, -ECANCELED), Completes(9, 1)));
    EXPECT_EQ(write(former.far, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
}

void expect_that_eventfds_are_told_apart() {
    RawRing ring;
    uint64_t counter;
    const Fd one(eventfd(0, EFD_CLOEXEC)), other(eventfd(0, EFD_CLOEXEC));
    EXPECT_THAT(ring.submit(sqe::read(one, &counter, 8).data(1), sqe::read(other, &counter, 8).data(2)), Gives(2));
    EXPECT_THAT(ring.submit(sqe::cancel_fd(other, all).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, -ECANCELED), Completes(9, 1)));
    EXPECT_THAT(ring.linger(2), IsEmpty());
}

TEST(Cancel, by_file_tells_eventfds_apart) { expect_that_eventfds_are_told_apart(); }

// Before Linux 6.10 the kernel cannot compare two descriptors by F_DUPFD_QUERY, and a container's profile may refuse
// kcmp(2).
bool become_old_kernel() {
    constexpr unsigned f_dupfd_query = 1027;
    const scmp_arg_cmp queries = {1, SCMP_CMP_EQ, f_dupfd_query, 0};
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    const bool made = filter != nullptr && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kcmp), 0) == 0 &&
                      seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(fcntl), 1, &queries) == 0 &&
                      seccomp_load(filter) == 0;
    seccomp_release(filter);
    return made;
}

// The engine went by device and inode there, by which all eventfds are one file.
TEST(Cancel, by_file_tells_eventfds_apart_on_an_old_kernel_in_a_container) {
    const auto checks = [] {
        if (!become_old_kernel()) return 2;
        expect_that_eventfds_are_told_apart();
        return HasFailure() ? 1 : 0;
    };
    EXPECT_EQ(ending_of_child(checks), 0);
}

TEST(Cancel, by_file_of_what_is_not_open_gives_ebadf) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::cancel_fd(-1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::cancel_fd(1'000'000)), Gives(-EBADF));
    const Fd path_only(open("/tmp", O_PATH | O_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::cancel_fd(path_only)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::cancel_fd(0, IORING_ASYNC_CANCEL_FD_FIXED)), Gives(-EBADF));
}

TEST(Cancel, by_file_and_user_data_needs_both_to_match) {
    Waiting waiting;
    const auto both = [&](uint64_t target) {
        return sqe::cancel_fd(waiting.pipe.read_end, IORING_ASYNC_CANCEL_USERDATA).set(&Sqe::addr, target).data(9);
    };
    EXPECT_THAT(waiting.ring.run(both(3)), Gives(-ENOENT));
    EXPECT_THAT(waiting.ring.submit(both(1)), Gives(1));
    EXPECT_THAT(waiting.ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(9, 0)));
}

TEST(Cancel, by_operation_finds_requests_of_that_operation) {
    Waiting waiting;
    const auto by_operation = [](uint32_t opcode) {
        return sqe::cancel(0, IORING_ASYNC_CANCEL_OP | all).set(&Sqe::len, opcode).data(9);
    };
    EXPECT_THAT(waiting.ring.submit(by_operation(IORING_OP_POLL_ADD)), Gives(1));
    EXPECT_THAT(waiting.ring.wait(2), UnorderedElementsAre(Completes(2, -ECANCELED), Completes(9, 1)));
    EXPECT_THAT(waiting.ring.submit(by_operation(IORING_OP_READ)), Gives(1));
    EXPECT_THAT(waiting.ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(9, 1)));
    EXPECT_THAT(waiting.ring.run(by_operation(IORING_OP_READ)), Gives(0));
}

TEST(Cancel, refuses_flags_that_contradict_each_other) {
    RawRing ring;
    const Pipe pipe;
    EXPECT_THAT(ring.run(sqe::cancel_fd(pipe.read_end, any)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::cancel(0, any | IORING_ASYNC_CANCEL_OP)), Gives(-EINVAL));
    for (unsigned bit = 6; bit < 32; ++bit) EXPECT_THAT(ring.run(sqe::cancel(0, 1U << bit)), Gives(-EINVAL)) << bit;
}

TEST(Cancel, breaks_the_chain_behind_the_request) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
                Gives(2));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(3),
                UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ECANCELED), Completes(9, 0)));
}

TEST(Cancel, ends_a_multishot_request) {
    RawRing ring;
    const Pipe pipe;
    EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN, IORING_POLL_ADD_MULTI).data(1)), Gives(1));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN, IORING_CQE_F_MORE)));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(9)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(9, 0)));
}

TEST(Cancel, racing_with_data_leaves_one_completion_of_either_kind) {
    RawRing ring;
    const Pipe pipe;
    for (int round = 0; round < 200; ++round) {
        char byte;
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        EXPECT_THAT(ring.submit(sqe::cancel(1).data(9)), Gives(1));
        const std::vector<Cqe> completions = ring.wait(2);
        ASSERT_THAT(completions, SizeIs(2));
        const Cqe& read = completions[0].user_data == 1 ? completions[0] : completions[1];
        const Cqe& cancel = completions[0].user_data == 9 ? completions[0] : completions[1];
        ASSERT_THAT(cancel, testing::AnyOf(Completes(9, 0), Completes(9, -ENOENT), Completes(9, -EALREADY)));
        ASSERT_THAT(read, testing::AnyOf(Completes(1, 1), Completes(1, -ECANCELED)));
        // A byte that was read is gone from the pipe, one that was not is still there.
        ASSERT_EQ(pipe.drain(), read.res == 1 ? 0u : 1u);
    }
}

TEST(Cancel, of_a_thousand_requests_finds_each) {
    RawRing ring(2048);
    const Pipe pipe;
    std::vector<char> bytes(1000);
    for (uint64_t index = 0; index < 1000; ++index) ring.push(sqe::read(pipe.read_end, &bytes[index], 1).data(index));
    EXPECT_THAT(ring.submit_pushed(1000), Gives(1000));
    for (uint64_t index = 0; index < 1000; ++index) ring.push(sqe::cancel(999 - index).data(10'000));
    EXPECT_THAT(ring.submit_pushed(1000), Gives(1000));
    unsigned cancelled = 0;
    for (const Cqe& cqe : ring.wait(2000)) {
        EXPECT_EQ(cqe.res, cqe.user_data == 10'000 ? 0 : -ECANCELED);
        cancelled += cqe.res == -ECANCELED ? 1 : 0;
    }
    EXPECT_EQ(cancelled, 1000u);
}

TEST(Cancel, of_any_among_thousands_takes_each_once) {
    constexpr unsigned count = 4000;
    RawRing ring(4096);
    const Pipe pipe;
    for (uint64_t index = 0; index < count; ++index) ring.push(sqe::poll_add(pipe.read_end, POLLIN).data(index * 7919));
    EXPECT_THAT(ring.submit_pushed(count), Gives(count));
    constexpr unsigned everything = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
    EXPECT_THAT(ring.submit(sqe::cancel(0).data(1).set(&Sqe::cancel_flags, everything)), Gives(1));
    std::set<uint64_t> cancelled;
    for (const Cqe& cqe : ring.wait(count + 1)) {
        EXPECT_EQ(cqe.res, cqe.user_data == 1 ? static_cast<int>(count) : -ECANCELED);
        EXPECT_TRUE(cancelled.insert(cqe.user_data).second) << cqe.user_data;
    }
    EXPECT_EQ(cancelled.size(), count + 1);
}

}  // namespace
}  // namespace ringside::test
