// IORING_SETUP_SQPOLL: a thread takes the entries, the program only wakes it when it says that it sleeps.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>

#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

constexpr unsigned wakeup = IORING_ENTER_SQ_WAKEUP;
constexpr unsigned getevents = IORING_ENTER_GETEVENTS;

io_uring_params polled(unsigned idle_ms, unsigned more_flags = 0) {
    io_uring_params params = params_with(IORING_SETUP_SQPOLL | more_flags);
    params.sq_thread_idle = idle_ms;
    return params;
}

constexpr unsigned link = IOSQE_IO_LINK;

Sqe nop(uint64_t data, unsigned flags = 0) { return sqe::nop().data(data).flag(flags); }

bool sleeps(const RawRing& ring) { return ring.sq_flags().load() & IORING_SQ_NEED_WAKEUP; }

// What every program with a polling thread does after it has moved the tail.
void wake_if_asleep(RawRing& ring) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!sleeps(ring)) return;
    EXPECT_THAT(ring.enter(0, 0, wakeup), Gives(0));
}

TEST(SqPoll, takes_entries_without_a_call_while_it_is_awake) {
    RawRing ring(8, polled(5000));
    ring.push(nop(0));
    wake_if_asleep(ring);
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(0, 0)));
    for (uint64_t number = 1; number <= 50; ++number) {
        ring.push(nop(number));
        EXPECT_THAT(ring.watch(1), ElementsAre(Completes(number, 0)));
        EXPECT_FALSE(sleeps(ring));
    }
}

TEST(SqPoll, sleeps_after_its_idle_time_until_it_is_woken) {
    RawRing ring(8, polled(10));
    EXPECT_TRUE(eventually([&] { return sleeps(ring); }));
    ring.push(nop(1));
    // An entry without the flag wakes nobody.
    EXPECT_THAT(ring.enter(1), Gives(1));
    sleep_ms(20);
    EXPECT_EQ(ring.ready(), 0u);
    EXPECT_TRUE(sleeps(ring));
    EXPECT_THAT(ring.enter(0, 0, wakeup), Gives(0));
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 0)));
    EXPECT_TRUE(eventually([&] { return sleeps(ring); }));
}

TEST(SqPoll, is_woken_though_there_is_nothing_to_take) {
    RawRing ring(8, polled(1));
    EXPECT_TRUE(eventually([&] { return sleeps(ring); }));
    EXPECT_THAT(ring.enter(0, 0, wakeup), Gives(0));
    EXPECT_TRUE(eventually([&] { return sleeps(ring); }));
    ring.push(nop(1));
    wake_if_asleep(ring);
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 0)));
}

TEST(SqPoll, has_enter_return_whatever_number_it_was_given) {
    RawRing ring(8, polled(10));
    EXPECT_THAT(ring.enter(0), Gives(0));
    EXPECT_THAT(ring.enter(5), Gives(5));
    EXPECT_THAT(ring.enter(1000, 0, wakeup), Gives(1000));
    EXPECT_THAT(ring.enter(7, 0, getevents), Gives(7));
    EXPECT_EQ(ring.ready(), 0u);
}

TEST(SqPoll, loses_no_entry_to_a_thread_that_is_going_to_sleep) {
    RawRing ring(8, polled(1));
    for (uint64_t number = 0; number < 200; ++number) {
        // The time between two entries lies around the idle time.
        usleep(900 + static_cast<useconds_t>(number % 20) * 20);
        ring.push(nop(number));
        wake_if_asleep(ring);
        ASSERT_THAT(ring.watch(1), ElementsAre(Completes(number, 0)));
    }
}

TEST(SqPoll, takes_many_entries_through_a_small_queue) {
    RawRing ring(8, polled(50));
    constexpr uint64_t count = 5000;
    uint64_t completed = 0;
    for (uint64_t number = 0; number < count;) {
        if (ring.sq_tail().load() - ring.sq_head().load() < 8) {
            ring.push(nop(number++));
        } else {
            ASSERT_THAT(ring.enter(0, 0, IORING_ENTER_SQ_WAIT | wakeup), Gives(0));
        }
        wake_if_asleep(ring);
        for (const Cqe& cqe : ring.reap()) ASSERT_THAT(cqe, Completes(completed++, 0));
    }
    EXPECT_TRUE(eventually([&] {
        for (const Cqe& cqe : ring.reap()) EXPECT_THAT(cqe, Completes(completed++, 0));
        return completed == count;
    }));
}

TEST(SqPoll, has_a_caller_wait_for_room_in_the_queue) {
    RawRing ring(4, polled(10));
    for (int round = 0; round < 20; ++round) {
        for (uint64_t number = 0; number < 4; ++number) ring.push(nop(number));
        EXPECT_THAT(ring.enter(4, 0, wakeup | IORING_ENTER_SQ_WAIT), Gives(4));
        // The kernel's wait ends early when anything is notified to the thread; programs ask again.
        EXPECT_TRUE(eventually([&] {
            EXPECT_THAT(ring.enter(0, 0, IORING_ENTER_SQ_WAIT), Gives(0));
            return ring.sq_tail().load() - ring.sq_head().load() < 4;
        }));
        EXPECT_EQ(ring.watch(4).size(), 4u);
    }
    // With room there already nobody waits.
    EXPECT_THAT(ring.enter(0, 0, IORING_ENTER_SQ_WAIT), Gives(0));
}

TEST(SqPoll, lets_a_caller_wait_for_completions) {
    RawRing ring(8, polled(10));
    ring.push(nop(1));
    ring.push(nop(2));
    EXPECT_THAT(ring.enter(2, 2, wakeup | getevents), Gives(2));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 0), Completes(2, 0)));
    const __kernel_timespec time = milliseconds_of(20);
    ring.push(sqe::timeout(&time).data(3));
    EXPECT_THAT(ring.enter(1, 1, wakeup | getevents), Gives(1));
    // A timeout may end the wait a moment before the thread has posted its completion.
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, -ETIME)));
    // Without GETEVENTS there is no waiting.
    EXPECT_THAT(ring.enter(0, 1, wakeup), Gives(0));
}

TEST(SqPoll, completes_requests_that_wait_though_nobody_enters) {
    RawRing ring(8, polled(1));
    const Pipe pipe;
    char byte = 0;
    const __kernel_timespec time = milliseconds_of(20);
    ring.push(sqe::read(pipe.read_end, &byte, 1).data(1));
    ring.push(sqe::timeout(&time).data(2));
    wake_if_asleep(ring);
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(2, -ETIME)));
    EXPECT_TRUE(eventually([&] { return sleeps(ring); }));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 1)));
    EXPECT_EQ(byte, 'x');
}

// What has waited is completed by the thread in the kernel. The engine's own threads completed it, and let that one
// sleep.
TEST(SqPoll, is_woken_by_what_completes_and_takes_what_is_queued) {
    RawRing ring(8, polled(20));
    const Pipe pipe;
    char byte;
    const __kernel_timespec time = milliseconds_of(100);
    const auto sleeps_again = [&] {
        EXPECT_TRUE(eventually([&] { return ring.sq_head().load() == ring.sq_tail().load() && sleeps(ring); }));
    };
    // One that waits for a file, one that a worker does, and one that waits for time.
    for (const Sqe& waiting :
         {sqe::read(pipe.read_end, &byte, 1).data(1), sqe::read(pipe.read_end, &byte, 1).data(1).flag(IOSQE_ASYNC),
          sqe::timeout(&time).data(1)}) {
        ring.push(waiting);
        EXPECT_THAT(ring.enter(1, 0, wakeup), Gives(1));
        sleep_ms(10);
        sleeps_again();
        ring.push(nop(2));
        const bool reads = waiting.opcode == IORING_OP_READ;
        if (reads) {
            EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        }
        const int result = reads ? 1 : -ETIME;
        EXPECT_THAT(ring.watch(2), UnorderedElementsAre(Completes(1, result), Completes(2, 0)));
        sleeps_again();
    }
}

TEST(SqPoll, works_on_files_that_are_not_registered) {
    // IORING_FEAT_SQPOLL_NONFIXED
    RawRing ring(8, polled(10));
    EXPECT_TRUE(ring.params().features & IORING_FEAT_SQPOLL_NONFIXED);
    const Fd file = memory_file_with("content");
    char buffer[8] = {};
    ring.push(sqe::read(file, buffer, 7).data(1));
    ring.push(sqe::read(file, buffer, 7).data(2).flag(IOSQE_ASYNC));
    ring.push(sqe::read(-1, buffer, 7).data(3));
    wake_if_asleep(ring);
    EXPECT_THAT(ring.watch(3), UnorderedElementsAre(Completes(1, 7), Completes(2, 7), Completes(3, -EBADF)));
    EXPECT_STREQ(buffer, "content");
}

TEST(SqPoll, goes_on_behind_entries_that_are_no_good) {
    RawRing ring(8, polled(10));
    for (uint64_t number = 1; number <= 6; ++number) ring.push(number % 2 == 0 ? Sqe(250).data(number) : nop(number));
    wake_if_asleep(ring);
    EXPECT_THAT(ring.watch(6), UnorderedElementsAre(Completes(1, 0), Completes(2, -EINVAL), Completes(3, 0),
                                                    Completes(4, -EINVAL), Completes(5, 0), Completes(6, -EINVAL)));
}

TEST(SqPoll, keeps_chains_together) {
    RawRing ring(16, polled(10));
    const Sqe failing = sqe::nop(IORING_NOP_INJECT_RESULT).set(&Sqe::len, -EIO).data(2).flag(IOSQE_IO_LINK);
    // The tail is moved once for all of the chain: between entries that appear singly a chain may end.
    const unsigned tail = ring.sq_tail().load();
    const Sqe chain[] = {nop(1, IOSQE_IO_LINK), failing, nop(3)};
    for (unsigned at = 0; at < 3; ++at) {
        *ring.sqe_at(tail + at) = chain[at];
        ring.sq_array(tail + at).store(tail + at);
    }
    ring.sq_tail().store(tail + 3);
    wake_if_asleep(ring);
    EXPECT_THAT(ring.watch(3), ElementsAre(Completes(1, 0), Completes(2, -EIO), Completes(3, -ECANCELED)));
}

TEST(SqPoll, takes_nothing_from_a_disabled_ring) {
    RawRing ring(8, polled(1, IORING_SETUP_R_DISABLED));
    ring.push(nop(1));
    EXPECT_THAT(ring.enter(1, 0, wakeup), Gives(-EBADFD));
    sleep_ms(20);
    EXPECT_EQ(ring.ready(), 0u);
    EXPECT_THAT(ring.register_call(IORING_REGISTER_ENABLE_RINGS, nullptr, 0), Gives(0));
    EXPECT_THAT(ring.enter(1, 1, wakeup | getevents), Gives(1));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 0)));
}

TEST(SqPoll, wakes_whoever_waits_when_the_queue_overflows) {
    RawRing ring(2, polled(10));
    for (uint64_t number = 0; number < 10; ++number) {
        ring.push(nop(number));
        wake_if_asleep(ring);
        EXPECT_TRUE(eventually([&] { return ring.sq_head().load() == ring.sq_tail().load(); }));
    }
    EXPECT_TRUE(ring.sq_flags().load() & IORING_SQ_CQ_OVERFLOW);
    const std::vector<Cqe> completions = ring.wait(10);
    ASSERT_EQ(completions.size(), 10u);
    for (uint64_t number = 0; number < 10; ++number) EXPECT_THAT(completions[number], Completes(number, 0));
}

TEST(SqPoll, thread_goes_with_its_ring) {
    const auto polling_threads = [] {
        return count_threads_named(provider_under_test() == provider::Kind::kernel ? "iou-sqp-" : "ringside-sqpoll");
    };
    const auto none = [&] { return polling_threads() == 0; };
    // Those of the tests before may still be on their way out.
    EXPECT_TRUE(eventually(none));
    for (const unsigned idle_ms : {1U, 5000U}) {
        RawRing ring(8, polled(idle_ms));
        ring.push(nop(1));
        wake_if_asleep(ring);
        EXPECT_EQ(ring.watch(1).size(), 1u);
        EXPECT_TRUE(idle_ms != 1 || eventually([&] { return sleeps(ring); }));
        EXPECT_EQ(polling_threads(), 1u);
        EXPECT_EQ(ring.close(), 0);
        ring.unmap();
        EXPECT_TRUE(eventually(none)) << polling_threads();
    }
}

TEST(SqPoll, may_be_bound_to_a_processor_that_is_there) {
    const auto answer = [](unsigned processor) {
        io_uring_params params = polled(10, IORING_SETUP_SQ_AFF);
        params.sq_thread_cpu = processor;
        const int result = setup_ring(8, &params);
        if (result >= 0) provider::close(provider_under_test(), result);
        return result < 0 ? result : 0;
    };
    EXPECT_THAT(answer(static_cast<unsigned>(sched_getcpu())), Gives(0));
    for (const unsigned processor : {1023U, 1024U, 100'000U, ~0U})
        EXPECT_THAT(answer(processor), Gives(-EINVAL)) << processor;

    // The processors of the calling thread do not matter, those of the process do.
    cpu_set_t before, only;
    ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
    int first = 0, last = 0;
    for (int at = CPU_SETSIZE - 1; at >= 0; --at) {
        if (!CPU_ISSET(at, &before)) continue;
        first = at;
        if (last == 0) last = at;
    }
    CPU_ZERO(&only);
    CPU_SET(first, &only);
    ASSERT_EQ(sched_setaffinity(0, sizeof(only), &only), 0);
    EXPECT_THAT(answer(static_cast<unsigned>(last)), Gives(0));
    ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}

TEST(SqPoll, bound_to_a_processor_works) {
    io_uring_params params = polled(10, IORING_SETUP_SQ_AFF);
    params.sq_thread_cpu = static_cast<unsigned>(sched_getcpu());
    RawRing ring(8, params);
    ring.push(nop(1));
    wake_if_asleep(ring);
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 0)));
}

TEST(SqPoll, ignores_the_threads_parameters_where_there_is_no_thread) {
    io_uring_params params = {};
    params.sq_thread_cpu = 12345;
    params.sq_thread_idle = 7;
    RawRing ring(8, params);
    EXPECT_THAT(ring.run(nop(1)), Gives(0));
}

TEST(SqPoll, with_a_single_issuer_takes_the_issuers_entries) {
    RawRing ring(8, polled(10, IORING_SETUP_SINGLE_ISSUER));
    ring.push(nop(1));
    EXPECT_THAT(ring.enter(1, 1, wakeup | getevents), Gives(1));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 0)));
}

TEST(SqPoll, may_share_the_thread_of_another_ring) {
    RawRing first(8, polled(10));
    io_uring_params params = polled(10, IORING_SETUP_ATTACH_WQ);
    params.wq_fd = static_cast<unsigned>(first.fd());
    RawRing second(8, params);
    for (int round = 0; round < 20; ++round) {
        for (RawRing* ring : {&first, &second}) {
            ring->push(nop(1));
            wake_if_asleep(*ring);
            EXPECT_THAT(ring->watch(1), ElementsAre(Completes(1, 0)));
        }
    }
    // The second does not need the first.
    EXPECT_EQ(first.close(), 0);
    second.push(nop(2));
    wake_if_asleep(second);
    EXPECT_THAT(second.watch(1), ElementsAre(Completes(2, 0)));
}

// In the kernel it takes eight entries of a ring at a time then, even when a chain ends with them.
TEST(SqPoll, that_is_shared_cuts_chains_in_the_kernel_alone) {
    RawRing first(8, polled(1));
    io_uring_params params = polled(1, IORING_SETUP_ATTACH_WQ);
    params.wq_fd = static_cast<unsigned>(first.fd());
    RawRing second(16, params);
    ASSERT_TRUE(eventually([&] { return sleeps(second); }));
    char byte;
    second.push(sqe::read(-1, &byte, 1).data(1).flag(link));
    for (uint64_t number = 2; number <= 9; ++number) second.push(nop(number, link));
    second.push(nop(10));
    wake_if_asleep(second);
    const int after = provider_under_test() == provider::Kind::kernel ? 0 : -ECANCELED;
    std::vector<testing::Matcher<Cqe>> expected = {Completes(1, -EBADF)};
    for (uint64_t number = 2; number <= 10; ++number) {
        expected.push_back(Completes(number, number <= 8 ? -ECANCELED : after));
    }
    EXPECT_THAT(second.watch(10), testing::UnorderedElementsAreArray(expected));
}

TEST(SqPoll, that_is_shared_is_not_bound_to_a_processor_by_the_second_ring) {
    RawRing first(8, polled(10));
    io_uring_params params = polled(10, IORING_SETUP_ATTACH_WQ | IORING_SETUP_SQ_AFF);
    params.wq_fd = static_cast<unsigned>(first.fd());
    params.sq_thread_cpu = 100'000;
    RawRing second(8, params);
    second.push(nop(1));
    wake_if_asleep(second);
    EXPECT_THAT(second.watch(1), ElementsAre(Completes(1, 0)));
}

TEST(SqPoll, does_not_attach_to_a_ring_without_such_a_thread) {
    const auto attach = [](int fd) {
        io_uring_params params = polled(10, IORING_SETUP_ATTACH_WQ);
        params.wq_fd = static_cast<unsigned>(fd);
        return setup_ring(8, &params);
    };
    const RawRing plain;
    const Pipe pipe;
    EXPECT_THAT(attach(plain.fd()), Gives(-EINVAL));
    EXPECT_THAT(attach(pipe.read_end), Gives(-EINVAL));
    EXPECT_THAT(attach(1'000'000), Gives(-ENXIO));
}

TEST(SqPoll, ring_closed_with_requests_waiting_leaves_nothing_behind) {
    const Pipe pipe;
    char byte;
    for (int round = 0; round < 10; ++round) {
        RawRing ring(8, polled(round % 2 == 0 ? 1 : 1000));
        ring.push(sqe::read(pipe.read_end, &byte, 1).data(1));
        ring.push(sqe::read(pipe.read_end, &byte, 1).data(2).flag(IOSQE_ASYNC));
        wake_if_asleep(ring);
        EXPECT_EQ(ring.close(), 0);
    }
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_EQ(pipe.drain(), 1u);
}

}  // namespace
}  // namespace ringside::test
