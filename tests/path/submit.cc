// io_uring_enter(2), the submitting half: what is consumed, what is returned, what becomes of entries that are no good.
#include <errno.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <thread>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

int enter_fd(int fd, unsigned to_submit, unsigned flags = 0) {
    return provider::enter(provider_under_test(), fd, to_submit, 0, flags, nullptr, 0);
}

// An opcode that no kernel knows.
constexpr uint8_t no_such_opcode = 250;

TEST(Submit, with_nothing_to_do_returns_zero) {
    RawRing ring;
    EXPECT_THAT(ring.enter(0), Gives(0));
    EXPECT_THAT(ring.enter(1), Gives(0));
    EXPECT_THAT(ring.enter(UINT_MAX), Gives(0));
}

TEST(Submit, takes_no_more_than_is_asked_for) {
    RawRing ring;
    for (uint64_t number = 1; number <= 4; ++number) ring.push(sqe::nop().data(number));
    EXPECT_THAT(ring.enter(3), Gives(3));
    EXPECT_EQ(ring.sq_head().load(), 3u);
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, 0), Completes(3, 0)));
    EXPECT_THAT(ring.enter(1), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(4, 0)));
}

TEST(Submit, takes_no_more_than_is_there) {
    RawRing ring;
    ring.push(sqe::nop().data(1));
    ring.push(sqe::nop().data(2));
    EXPECT_THAT(ring.enter(100), Gives(2));
    EXPECT_EQ(ring.sq_head().load(), 2u);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 0), Completes(2, 0)));
}

TEST(Submit, takes_a_full_queue_at_once_and_again_and_again) {
    RawRing ring(8);
    for (unsigned round = 0; round < 5; ++round) {
        for (uint64_t number = 0; number < 8; ++number) ring.push(sqe::nop().data(number));
        EXPECT_THAT(ring.enter(8), Gives(8));
        EXPECT_EQ(ring.wait(8).size(), 8u);
    }
    EXPECT_EQ(ring.sq_head().load(), 40u);
    EXPECT_EQ(ring.cq_tail().load(), 40u);
}

TEST(Submit, follows_the_index_array_not_the_order_of_the_entries) {
    RawRing ring(8);
    for (unsigned index = 0; index < 8; ++index) *ring.sqe_at(index) = sqe::nop().data(index);
    constexpr unsigned order[] = {5, 0, 7, 7, 2};
    for (unsigned index = 0; index < 5; ++index) ring.sq_array(index).store(order[index]);
    ring.sq_tail().store(5);
    EXPECT_THAT(ring.enter(5), Gives(5));
    EXPECT_THAT(ring.wait(5),
                ElementsAre(Completes(5, 0), Completes(0, 0), Completes(7, 0), Completes(7, 0), Completes(2, 0)));
}

TEST(Submit, without_an_index_array_takes_entries_in_their_order) {
    RawRing ring(4, IORING_SETUP_NO_SQARRAY);
    for (unsigned round = 0; round < 3; ++round) {
        EXPECT_THAT(ring.submit(sqe::nop().data(1), sqe::nop().data(2), sqe::nop().data(3)), Gives(3));
        EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, 0), Completes(3, 0)));
    }
}

TEST(Submit, takes_large_entries) {
    RawRing ring(4, IORING_SETUP_SQE128);
    for (unsigned round = 0; round < 3; ++round) {
        EXPECT_THAT(ring.submit(sqe::nop().data(1), sqe::nop().data(2), sqe::nop().data(3)), Gives(3));
        EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, 0), Completes(3, 0)));
    }
}

TEST(Submit, gives_large_completions) {
    RawRing ring(4, IORING_SETUP_CQE32);
    for (unsigned round = 0; round < 3; ++round) {
        EXPECT_THAT(ring.submit(sqe::nop().data(1), sqe::nop().data(2), sqe::nop().data(3)), Gives(3));
        EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, 0), Completes(3, 0)));
    }
}

TEST(Submit, lets_the_entries_be_reused_as_soon_as_it_returns) {
    RawRing ring(1);
    const Pipe pipe;
    char buffer[8] = {};
    iovec vector = {buffer, sizeof(buffer)};
    EXPECT_THAT(ring.submit(sqe::readv(pipe.read_end, &vector, 1).data(1)), Gives(1));
    // The read waits; its entry and its iovec are overwritten (IORING_FEAT_SUBMIT_STABLE).
    memset(static_cast<void*>(ring.sqe_at(0)), 0xff, sizeof(io_uring_sqe));
    vector = {nullptr, 0};
    EXPECT_EQ(write(pipe.write_end, "hello", 5), 5);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
    EXPECT_STREQ(buffer, "hello");
}

TEST(Submit, on_what_is_no_file_descriptor_gives_ebadf) {
    EXPECT_THAT(enter_fd(-1, 0), Gives(-EBADF));
    EXPECT_THAT(enter_fd(1'000'000, 0), Gives(-EBADF));
    RawRing ring;
    const int number = ring.fd();
    ring.close();
    EXPECT_THAT(enter_fd(number, 0), Gives(-EBADF));
}

TEST(Submit, on_what_is_no_ring_gives_eopnotsupp) {
    const Fd file = memory_file_with("");
    const Pipe pipe;
    EXPECT_THAT(enter_fd(file, 0), Gives(-EOPNOTSUPP));
    EXPECT_THAT(enter_fd(pipe.read_end, 1, IORING_ENTER_GETEVENTS), Gives(-EOPNOTSUPP));
}

TEST(Submit, with_unknown_flags_gives_einval_and_submits_nothing) {
    RawRing ring;
    ring.push(sqe::nop());
    for (const unsigned flag : {1U << 8, 1U << 9, 1U << 31})
        EXPECT_THAT(ring.enter(1, 0, flag), Gives(-EINVAL)) << flag;
    EXPECT_EQ(ring.sq_head().load(), 0u);
    // The flags are looked at before the file descriptor.
    EXPECT_THAT(enter_fd(-1, 0, 1U << 8), Gives(-EINVAL));
}

TEST(Submit, takes_flags_of_a_polling_thread_that_is_not_there) {
    RawRing ring;
    ring.push(sqe::nop());
    EXPECT_THAT(ring.enter(1, 0, IORING_ENTER_SQ_WAKEUP | IORING_ENTER_SQ_WAIT | IORING_ENTER_NO_IOWAIT), Gives(1));
    EXPECT_EQ(ring.wait(1).size(), 1u);
}

TEST(Submit, on_a_disabled_ring_gives_ebadfd_until_it_is_enabled) {
    RawRing ring(8, IORING_SETUP_R_DISABLED);
    ring.push(sqe::nop().data(1));
    EXPECT_THAT(ring.enter(1), Gives(-EBADFD));
    EXPECT_THAT(ring.enter(0, 0, IORING_ENTER_GETEVENTS), Gives(-EBADFD));
    EXPECT_EQ(ring.sq_head().load(), 0u);
    EXPECT_THAT(ring.register_call(IORING_REGISTER_ENABLE_RINGS, nullptr, 0), Gives(0));
    EXPECT_THAT(ring.enter(1), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_ENABLE_RINGS, nullptr, 0), Gives(-EBADFD));
}

TEST(Submit, stops_behind_an_entry_that_is_no_good) {
    RawRing ring;
    // The bad entry itself counts as consumed and completes with its error.
    EXPECT_THAT(ring.submit(sqe::nop().data(1), Sqe(no_such_opcode).data(2), sqe::nop().data(3)), Gives(2));
    EXPECT_EQ(ring.sq_head().load(), 2u);
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 0), Completes(2, -EINVAL)));
    EXPECT_THAT(ring.enter(1), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, 0)));
}

TEST(Submit, goes_on_behind_a_bad_entry_with_submit_all) {
    RawRing ring(8, IORING_SETUP_SUBMIT_ALL);
    EXPECT_THAT(ring.submit(sqe::nop().data(1), Sqe(no_such_opcode).data(2), sqe::nop().data(3)), Gives(3));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, 0), Completes(2, -EINVAL), Completes(3, 0)));
}

TEST(Submit, goes_on_behind_a_request_that_fails_when_issued) {
    // A file descriptor that is not open is found out when the request is issued, not when the entry is read.
    RawRing ring;
    char byte;
    EXPECT_THAT(ring.submit(sqe::nop().data(1), sqe::read(-1, &byte, 1).data(2), sqe::nop().data(3)), Gives(3));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, 0), Completes(2, -EBADF), Completes(3, 0)));
}

TEST(Submit, does_not_wait_when_it_took_less_than_was_asked_for) {
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::nop().data(1)), Gives(1));
    ring.reap();
    // Neither with an empty queue nor behind a bad entry is there any waiting for four completions.
    EXPECT_THAT(ring.enter(1, 4, IORING_ENTER_GETEVENTS), Gives(0));
    ring.push(Sqe(no_such_opcode).data(2));
    ring.push(sqe::nop().data(3));
    EXPECT_THAT(ring.enter(2, 4, IORING_ENTER_GETEVENTS), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, -EINVAL)));
}

TEST(Submit, refuses_unknown_flags_of_an_entry) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::nop().data(1).flag(1U << 7)), Gives(-EINVAL));
}

TEST(Submit, refuses_every_opcode_that_does_not_exist) {
    // 6.18 knows IORING_OP_PIPE as its last.
    RawRing ring;
    for (unsigned opcode = IORING_OP_PIPE + 1; opcode <= 255; ++opcode) {
        EXPECT_THAT(ring.run(Sqe(static_cast<uint8_t>(opcode)).data(opcode)), Gives(-EINVAL)) << "opcode " << opcode;
    }
}

TEST(Submit, refuses_a_personality_that_was_never_registered) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::nop().set(&Sqe::personality, 1)), Gives(-EINVAL));
}

TEST(Submit, refuses_buffer_selection_where_the_operation_has_no_buffer) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::nop().flag(IOSQE_BUFFER_SELECT)), Gives(-EOPNOTSUPP));
}

TEST(Submit, finds_no_fixed_file_where_none_is_registered) {
    RawRing ring;
    char byte;
    EXPECT_THAT(ring.run(sqe::read(0, &byte, 1).flag(IOSQE_FIXED_FILE)), Gives(-EBADF));
}

TEST(Submit, runs_a_request_asynchronously_when_told_to) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::nop().data(1).flag(IOSQE_ASYNC)), Gives(0));
    const Fd file = memory_file_with("content");
    char buffer[8] = {};
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 7).data(2).flag(IOSQE_ASYNC)), Gives(7));
    EXPECT_STREQ(buffer, "content");
}

TEST(Submit, can_skip_the_completion_of_what_succeeds) {
    RawRing ring;
    char byte;
    EXPECT_THAT(ring.submit(sqe::nop().data(1).flag(IOSQE_CQE_SKIP_SUCCESS),
                            sqe::read(-1, &byte, 1).data(2).flag(IOSQE_CQE_SKIP_SUCCESS), sqe::nop().data(3)),
                Gives(3));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, -EBADF), Completes(3, 0)));
    EXPECT_THAT(ring.linger(), IsEmpty());
}

TEST(Submit, keeps_a_single_issuer_ring_to_its_task) {
    RawRing ring(8, IORING_SETUP_SINGLE_ISSUER);
    ring.push(sqe::nop().data(1));
    std::thread([&] {
        EXPECT_THAT(ring.enter(1), Gives(-EEXIST));
        EXPECT_THAT(ring.register_call(IORING_REGISTER_PROBE, nullptr, 0), Gives(-EEXIST));
    }).join();
    EXPECT_THAT(ring.enter(1), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
}

TEST(Submit, gives_a_single_issuer_ring_to_whoever_enables_it) {
    RawRing ring(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED);
    ring.push(sqe::nop().data(1));
    std::thread([&] {
        EXPECT_THAT(ring.register_call(IORING_REGISTER_ENABLE_RINGS, nullptr, 0), Gives(0));
        EXPECT_THAT(ring.enter(1), Gives(1));
    }).join();
    EXPECT_THAT(ring.enter(1), Gives(-EEXIST));
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 0)));
}

}  // namespace
}  // namespace ringside::test
