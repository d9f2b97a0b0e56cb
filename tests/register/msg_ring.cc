// IORING_OP_MSG_RING and IORING_REGISTER_SEND_MSG_RING: completions and files for another ring.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "register/busy_ring.h"
#include "register/fixed_files.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr unsigned deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

Sqe message(int ring_fd, uint64_t user_data, int32_t result) {
    return Sqe(IORING_OP_MSG_RING, ring_fd).set(&Sqe::off, user_data).set(&Sqe::len, result);
}

// The file in slot `from` of the sender into `file_index` (a slot plus 1, or any) of the receiver.
Sqe send_fd(int ring_fd, unsigned from, unsigned file_index, uint64_t user_data = 0) {
    return Sqe(IORING_OP_MSG_RING, ring_fd)
        .set(&Sqe::off, user_data)
        .set(&Sqe::addr, uint64_t{IORING_MSG_SEND_FD})
        .set(&Sqe::addr3, from)
        .set(&Sqe::file_index, file_index);
}

TEST(MsgRing, posts_a_completion_on_the_other_ring) {
    RawRing from, to;
    EXPECT_THAT(from.run(message(to.fd(), 77, 123).data(1)), Gives(0));
    EXPECT_THAT(to.reap(), ElementsAre(Completes(77, 123)));
    EXPECT_THAT(from.run(message(to.fd(), 78, -5)), Gives(0));
    EXPECT_THAT(to.reap(), ElementsAre(Completes(78, -5)));
}

TEST(MsgRing, passes_flags_only_when_told_to) {
    RawRing from, to;
    Sqe with_flags = message(to.fd(), 77, 1).set(&Sqe::file_index, 0x50);
    EXPECT_THAT(from.run(with_flags), Gives(-EINVAL));
    EXPECT_THAT(from.run(with_flags.set(&Sqe::msg_ring_flags, IORING_MSG_RING_FLAGS_PASS)), Gives(0));
    EXPECT_THAT(to.reap(), ElementsAre(Completes(77, 1, 0x50)));
}

TEST(MsgRing, may_be_to_itself) {
    RawRing ring;
    EXPECT_THAT(ring.submit(message(ring.fd(), 77, 5).data(1)), Gives(1));
    EXPECT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(77, 5), Completes(1, 0)));
}

TEST(MsgRing, that_asks_for_a_worker_finds_its_target_there) {
    // It used to go to the worker without ever having looked for a target.
    RawRing from, to;
    EXPECT_THAT(from.run(message(-1, 77, 1).flag(IOSQE_ASYNC)), Gives(-EBADF));
    EXPECT_THAT(from.run(message(to.fd(), 77, 123).flag(IOSQE_ASYNC)), Gives(0));
    EXPECT_THAT(to.wait(1), ElementsAre(Completes(77, 123)));
}

TEST(MsgRing, keeps_the_order_of_a_batch) {
    RawRing from(32), to(32);
    for (uint64_t number = 0; number < 32; ++number) from.push(message(to.fd(), number, 0));
    EXPECT_THAT(from.submit_pushed(32), Gives(32));
    const std::vector<Cqe> received = to.reap();
    ASSERT_EQ(received.size(), 32u);
    for (uint64_t number = 0; number < 32; ++number) EXPECT_EQ(received[number].user_data, number);
}

TEST(MsgRing, that_finds_the_other_queue_full_overflows_it) {
    RawRing from(8), to(1);
    for (uint64_t number = 0; number < 4; ++number) {
        EXPECT_THAT(from.run(message(to.fd(), number, 0)), Gives(0));
    }
    EXPECT_EQ(to.ready(), 2u);
    EXPECT_EQ(to.sq_flags().load() & IORING_SQ_CQ_OVERFLOW, IORING_SQ_CQ_OVERFLOW);
    EXPECT_THAT(to.wait(4), ElementsAre(Completes(0, 0), Completes(1, 0), Completes(2, 0), Completes(3, 0)));
}

TEST(MsgRing, wakes_a_thread_that_waits_for_the_other_ring) {
    RawRing from, to;
    std::thread waiter([&] { EXPECT_THAT(to.wait(1), ElementsAre(Completes(77, 1))); });
    sleep_ms(20);
    EXPECT_THAT(from.run(message(to.fd(), 77, 1)), Gives(0));
    waiter.join();
}

TEST(MsgRing, is_shown_by_a_deferred_ring_when_that_enters) {
    RawRing from;
    RawRing to(8, deferred | IORING_SETUP_TASKRUN_FLAG);
    EXPECT_THAT(from.run(message(to.fd(), 77, 1)), Gives(0));
    EXPECT_EQ(to.ready(), 0u);
    EXPECT_EQ(to.sq_flags().load() & IORING_SQ_TASKRUN, IORING_SQ_TASKRUN);
    EXPECT_THAT(to.wait(1), ElementsAre(Completes(77, 1)));
}

TEST(MsgRing, wakes_a_thread_that_waits_for_a_deferred_ring) {
    RawRing from;
    std::atomic<int> fd{-1};
    std::thread waiter([&] {
        RawRing to(8, deferred);
        fd = to.fd();
        EXPECT_THAT(to.wait(1), ElementsAre(Completes(77, 1)));
    });
    ASSERT_TRUE(eventually([&] { return fd != -1; }));
    sleep_ms(20);
    EXPECT_THAT(from.run(message(fd, 77, 1)), Gives(0));
    waiter.join();
}

TEST(MsgRing, fills_a_large_completion_with_zeroes) {
    RawRing from;
    RawRing to(8, IORING_SETUP_CQE32);
    EXPECT_THAT(from.run(message(to.fd(), 77, 1)), Gives(0));
    EXPECT_THAT(to.reap(), ElementsAre(Completes(77, 1)));
}

TEST(MsgRing, tells_what_is_no_ring) {
    RawRing ring;
    const Pipe pipe;
    EXPECT_THAT(ring.run(message(1'000'000, 1, 1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(message(-1, 1, 1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(message(pipe.read_end, 1, 1)), Gives(-EBADFD));
    const Fd path_only(open("/", O_PATH | O_CLOEXEC));
    EXPECT_THAT(ring.run(message(path_only, 1, 1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::fixed(message(0, 1, 1))), Gives(-EBADF));
    EXPECT_THAT(register_files(ring, {pipe.read_end}), Gives(0));
    EXPECT_THAT(ring.run(sqe::fixed(message(0, 1, 1))), Gives(-EBADFD));
    RawRing closed;
    const int number = closed.fd();
    closed.unmap();
    EXPECT_EQ(closed.close(), 0);
    EXPECT_THAT(ring.run(message(number, 1, 1)), Gives(-EBADF));
}

TEST(MsgRing, is_not_for_a_ring_that_is_not_enabled) {
    RawRing from;
    RawRing to(8, IORING_SETUP_R_DISABLED);
    EXPECT_THAT(from.run(message(to.fd(), 1, 1)), Gives(-EBADFD));
    EXPECT_THAT(to.register_call(IORING_REGISTER_ENABLE_RINGS, nullptr, 0), Gives(0));
    EXPECT_THAT(from.run(message(to.fd(), 1, 1)), Gives(0));
}

TEST(MsgRing, refuses_fields_that_it_does_not_know) {
    RawRing ring;
    const Sqe good = message(ring.fd(), 1, 1);
    const auto spoilt = [&](auto field, auto value) {
        Sqe entry = good;
        return ring.run(entry.set(field, value));
    };
    EXPECT_THAT(spoilt(&Sqe::ioprio, 1), Gives(-EINVAL));
    EXPECT_THAT(spoilt(&Sqe::buf_index, 1), Gives(-EINVAL));
    EXPECT_THAT(spoilt(&Sqe::addr, 2), Gives(-EINVAL));
    EXPECT_THAT(spoilt(&Sqe::addr3, 1), Gives(-EINVAL));
    EXPECT_THAT(spoilt(&Sqe::file_index, 1), Gives(-EINVAL));
    EXPECT_THAT(spoilt(&Sqe::msg_ring_flags, 4), Gives(-EINVAL));
    EXPECT_THAT(spoilt(&Sqe::msg_ring_flags, IORING_MSG_RING_CQE_SKIP), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_PERSONALITY, nullptr, 0), Gives(1));
    EXPECT_THAT(spoilt(&Sqe::personality, 1), Gives(-EINVAL));
    EXPECT_EQ(ring.ready(), 0u);
}

TEST(MsgRing, that_fails_breaks_its_chain) {
    RawRing ring;
    EXPECT_THAT(ring.submit(message(1'000'000, 1, 1).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EBADF), Completes(2, -ECANCELED)));
}

TEST(MsgRing, from_both_sides_at_once_loses_and_reorders_nothing) {
    // Each holds its own ring while it sends to the other's.
    constexpr uint64_t rounds = 300, batch = 16;
    RawRing rings[2] = {RawRing(64), RawRing(64)};
    std::atomic<int> ready{0};
    const auto run = [&](unsigned self) {
        RawRing& own = rings[self];
        const int other = rings[1 - self].fd();
        uint64_t sent = 0, answered = 0, received = 0;
        ++ready;
        while (ready != 2) std::this_thread::yield();
        const int64_t give_up = now_ns() + patience_ms * 1'000'000;
        while ((sent < rounds || answered < rounds * batch || received < rounds * batch) && now_ns() < give_up) {
            if (sent < rounds && answered == sent * batch) {
                for (uint64_t i = 0; i < batch; ++i) own.push(message(other, 1'000'000 + sent * batch + i, 0).data(1));
                EXPECT_THAT(own.submit_pushed(batch), Gives(batch));
                ++sent;
            }
            own.enter(0, 0, IORING_ENTER_GETEVENTS);
            for (const Cqe& cqe : own.reap()) {
                EXPECT_EQ(cqe.res, 0);
                if (cqe.user_data == 1) {
                    ++answered;
                } else {
                    EXPECT_EQ(cqe.user_data, 1'000'000 + received);
                    ++received;
                }
            }
        }
        EXPECT_EQ(answered, rounds * batch);
        EXPECT_EQ(received, rounds * batch);
    };
    std::thread other([&] { run(1); });
    run(0);
    other.join();
}

TEST(Child, of_the_engine_cannot_reach_its_parents_ring) {
    RawRing parents;
    const int ending = ending_of_child([&] {
        RawRing own;
        return -own.run(message(parents.fd(), 77, 5)).res;
    });
    const bool by_kernel = provider_under_test() == provider::Kind::kernel;
    EXPECT_EQ(ending, by_kernel ? 0 : EBADFD);
    EXPECT_EQ(parents.ready(), by_kernel ? 1u : 0u);
}

TEST(MsgRingFd, hands_a_file_over) {
    RawRing from, to;
    Fd file = file_with("a");
    EXPECT_THAT(register_files(from, {-1, file}), Gives(0));
    EXPECT_THAT(register_sparse(to, 4), Gives(0));
    file.reset();
    EXPECT_THAT(from.run(send_fd(to.fd(), 1, 3, 77)), Gives(0));
    EXPECT_THAT(to.reap(), ElementsAre(Completes(77, 0)));
    EXPECT_EQ(first_byte(to, 2), 'a');
    EXPECT_THAT(unregister_files(from), Gives(0));
    EXPECT_EQ(first_byte(to, 2), 'a');
}

TEST(MsgRingFd, reaches_a_ring_that_is_at_work) {
    constexpr unsigned slots = 4, turns = 50;
    RawRing from;
    BusyRing to;
    const Fd file = file_with("a");
    EXPECT_THAT(register_files(from, {file}), Gives(0));
    EXPECT_THAT(register_sparse(to.ring(), slots), Gives(0));
    for (unsigned turn = 0; turn < turns; ++turn) {
        const Sqe silent =
            send_fd(to.ring().fd(), 0, 1 + turn % slots).set(&Sqe::msg_ring_flags, IORING_MSG_RING_CQE_SKIP);
        EXPECT_THAT(from.run(silent), Gives(0));
    }
    to.leave();
    for (unsigned slot = 0; slot < slots; ++slot) EXPECT_EQ(first_byte(to.ring(), slot), 'a');
}

TEST(MsgRingFd, finds_an_empty_slot_and_tells_both_which) {
    RawRing from, to;
    const Fd file = file_with("a");
    EXPECT_THAT(register_files(from, {file}), Gives(0));
    EXPECT_THAT(register_files(to, {file, -1}), Gives(0));
    EXPECT_THAT(from.run(send_fd(to.fd(), 0, IORING_FILE_INDEX_ALLOC, 77)), Gives(1));
    EXPECT_THAT(to.reap(), ElementsAre(Completes(77, 1)));
    EXPECT_THAT(from.run(send_fd(to.fd(), 0, IORING_FILE_INDEX_ALLOC, 77)), Gives(-ENFILE));
    EXPECT_THAT(to.reap(), IsEmpty());
}

TEST(MsgRingFd, can_be_silent_on_the_other_side) {
    RawRing from, to;
    const Fd file = file_with("a");
    EXPECT_THAT(register_files(from, {file}), Gives(0));
    EXPECT_THAT(register_sparse(to, 1), Gives(0));
    EXPECT_THAT(from.run(send_fd(to.fd(), 0, 1).set(&Sqe::msg_ring_flags, IORING_MSG_RING_CQE_SKIP)), Gives(0));
    EXPECT_THAT(to.linger(5), IsEmpty());
    EXPECT_EQ(first_byte(to, 0), 'a');
}

TEST(MsgRingFd, tells_each_error) {
    RawRing from, to;
    const Fd file = file_with("a");
    EXPECT_THAT(from.run(send_fd(to.fd(), 0, 1)), Gives(-EBADF));
    EXPECT_THAT(register_files(from, {file, -1}), Gives(0));
    EXPECT_THAT(from.run(send_fd(to.fd(), 0, 1)), Gives(-ENXIO));
    EXPECT_THAT(register_sparse(to, 2), Gives(0));
    EXPECT_THAT(from.run(send_fd(to.fd(), 1, 1)), Gives(-EBADF));
    EXPECT_THAT(from.run(send_fd(to.fd(), 2, 1)), Gives(-EBADF));
    EXPECT_THAT(from.run(send_fd(to.fd(), 0, 3)), Gives(-EINVAL));
    EXPECT_THAT(from.run(send_fd(to.fd(), 0, 0)), Gives(-EINVAL));
    EXPECT_THAT(from.run(send_fd(to.fd(), 0, 1).set(&Sqe::len, 1)), Gives(-EINVAL));
    EXPECT_THAT(from.run(send_fd(from.fd(), 0, 1)), Gives(-EINVAL));
    EXPECT_THAT(from.run(send_fd(file, 0, 1)), Gives(-EBADFD));
    const RawRing disabled(8, IORING_SETUP_R_DISABLED);
    EXPECT_THAT(from.run(send_fd(disabled.fd(), 0, 1)), Gives(-EBADFD));
    EXPECT_THAT(to.reap(), IsEmpty());
}

TEST(MsgRingFd, replaces_what_is_in_the_slot_and_tells_its_tag) {
    RawRing from, to;
    const Fd a = file_with("a"), b = file_with("b");
    EXPECT_THAT(register_files(from, {a}), Gives(0));
    EXPECT_THAT(register_tagged(to, {b}, {10}), Gives(0));
    EXPECT_THAT(from.run(send_fd(to.fd(), 0, 1, 77)), Gives(0));
    EXPECT_THAT(to.reap(), ElementsAre(Completes(10, 0), Completes(77, 0)));
    EXPECT_EQ(first_byte(to, 0), 'a');
}

int send_without_ring(Sqe entry) {
    return provider::register_call(provider_under_test(), ~0U, IORING_REGISTER_SEND_MSG_RING, &entry, 1);
}

TEST(SendMsgRing, posts_a_completion_without_a_ring_of_ones_own) {
    RawRing to;
    EXPECT_THAT(send_without_ring(message(to.fd(), 77, 5)), Gives(0));
    EXPECT_THAT(to.reap(), ElementsAre(Completes(77, 5)));
    EXPECT_THAT(
        send_without_ring(
            message(to.fd(), 78, 5).set(&Sqe::file_index, 3).set(&Sqe::msg_ring_flags, IORING_MSG_RING_FLAGS_PASS)),
        Gives(0));
    EXPECT_THAT(to.reap(), ElementsAre(Completes(78, 5, 3)));
}

TEST(SendMsgRing, looks_at_half_of_the_fields_that_hold_its_command_and_slot) {
    RawRing to;
    EXPECT_THAT(send_without_ring(message(to.fd(), 76, 5).set(&Sqe::addr3, uint64_t{1} << 32)), Gives(0));
    EXPECT_THAT(to.reap(), ElementsAre(Completes(76, 5)));
    EXPECT_THAT(send_without_ring(message(to.fd(), 77, 5).set(&Sqe::addr, uint64_t{1} << 32)), Gives(0));
    EXPECT_THAT(to.reap(), ElementsAre(Completes(77, 5)));
    EXPECT_THAT(to.run(message(to.fd(), 78, 5).set(&Sqe::addr, uint64_t{3} << 32 | 2)), Gives(-EINVAL));
}

TEST(SendMsgRing, wakes_a_thread_that_waits) {
    RawRing to;
    std::thread sender([&] {
        sleep_ms(20);
        EXPECT_THAT(send_without_ring(message(to.fd(), 77, 5)), Gives(0));
    });
    EXPECT_THAT(to.wait(1), ElementsAre(Completes(77, 5)));
    sender.join();
}

TEST(SendMsgRing, tells_each_error) {
    RawRing to;
    const Pipe pipe;
    EXPECT_THAT(send_without_ring(sqe::nop()), Gives(-EINVAL));
    EXPECT_THAT(send_without_ring(message(to.fd(), 1, 1).flag(IOSQE_ASYNC)), Gives(-EINVAL));
    EXPECT_THAT(send_without_ring(message(to.fd(), 1, 1).set(&Sqe::buf_index, 1)), Gives(-EINVAL));
    EXPECT_THAT(send_without_ring(send_fd(to.fd(), 0, 1)), Gives(-EINVAL));
    EXPECT_THAT(send_without_ring(message(1'000'000, 1, 1)), Gives(-EBADF));
    EXPECT_THAT(send_without_ring(message(pipe.read_end, 1, 1)), Gives(-EBADFD));
    const RawRing disabled(8, IORING_SETUP_R_DISABLED);
    EXPECT_THAT(send_without_ring(message(disabled.fd(), 1, 1)), Gives(-EBADFD));
    const auto answer = [](void* address, unsigned count) {
        return provider::register_call(provider_under_test(), ~0U, IORING_REGISTER_SEND_MSG_RING, address, count);
    };
    EXPECT_THAT(answer(ForbiddenPage().address(), 1), Gives(-EFAULT));
    Sqe good = message(to.fd(), 1, 1);
    EXPECT_THAT(answer(&good, 0), Gives(-EINVAL));
    EXPECT_THAT(answer(&good, 2), Gives(-EINVAL));
    EXPECT_THAT(to.reap(), IsEmpty());
}

}  // namespace
}  // namespace ringside::test
