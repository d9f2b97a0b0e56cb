// IORING_OP_FUTEX_WAIT, FUTEX_WAKE and FUTEX_WAITV.
#include <errno.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using sqe::every_waiter;
using sqe::futex_32;
using sqe::futex_private;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// NUMA options of a futex, which only some kernels know.
constexpr uint32_t futex_node = 4, futex_policy = 8;

// futex(2) as any program calls it; how many were woken.
long wake(const uint32_t& word, int count, uint64_t mask = every_waiter) {
    return syscall(SYS_futex, &word, FUTEX_WAKE_BITSET, count, nullptr, nullptr, static_cast<uint32_t>(mask));
}
long wake_private(const uint32_t& word, int count) { return syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, count); }

futex_waitv waiter(const uint32_t& word, uint64_t value = 0, uint32_t kind = futex_32) {
    return {.val = value, .uaddr = address_of(&word), .flags = kind, .__reserved = 0};
}

class Futex : public testing::Test {
  protected:
    void submit_wait(uint64_t data, const uint32_t& futex, uint64_t mask = every_waiter, uint32_t kind = futex_32) {
        EXPECT_THAT(ring.submit(sqe::futex_wait(&futex, futex, mask, kind).data(data)), Gives(1));
    }

    RawRing ring{256};
    // Futexes with room for a node behind each.
    struct alignas(8) {
        uint32_t word = 0;
        uint32_t node = 0;
    } first, second;
    uint32_t& word = first.word;
};

// --- Waiting --------------------------------------------------------------------------------------------------------

TEST_F(Futex, waits_to_be_woken) {
    submit_wait(1, word);
    EXPECT_THAT(ring.linger(), IsEmpty());
    EXPECT_EQ(wake(word, 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    EXPECT_EQ(wake(word, 1), 0);
}

TEST_F(Futex, waits_as_soon_as_it_is_submitted) {
    // A program may wake it right after its submission, without a value that tells of it.
    for (uint64_t round = 0; round < 500; ++round) {
        submit_wait(round, word);
        ASSERT_EQ(wake(word, 1), 1) << round;
        ASSERT_THAT(ring.wait(1), ElementsAre(Completes(round, 0)));
    }
}

TEST_F(Futex, does_not_wait_for_another_value) {
    EXPECT_THAT(ring.run(sqe::futex_wait(&word, 1)), Gives(-EAGAIN));
    word = 0xffffffff;
    EXPECT_THAT(ring.run(sqe::futex_wait(&word, 0)), Gives(-EAGAIN));
    EXPECT_EQ(wake(word, 1), 0);
}

TEST_F(Futex, of_one_process_is_apart_from_one_of_all) {
    submit_wait(1, word, every_waiter, futex_32 | futex_private);
    submit_wait(2, word);
    EXPECT_EQ(wake_private(word, 10), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    EXPECT_EQ(wake(word, 10), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
}

TEST_F(Futex, wakes_as_many_as_it_is_told_in_order_of_their_submission) {
    for (uint64_t data = 0; data < 5; ++data) submit_wait(data, word);
    EXPECT_EQ(wake(word, 2), 2);
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(0, 0), Completes(1, 0)));
    EXPECT_THAT(ring.linger(), IsEmpty());
    EXPECT_EQ(wake(word, 10), 3);
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(2, 0), Completes(3, 0), Completes(4, 0)));
}

TEST_F(Futex, wakes_those_whose_mask_is_met) {
    submit_wait(1, word, 1);
    submit_wait(2, word, 2);
    submit_wait(4, word, 4 | 1);
    EXPECT_EQ(wake(word, 10, 8), 0);
    EXPECT_EQ(wake(word, 10, 1), 2);
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 0), Completes(4, 0)));
    EXPECT_THAT(ring.linger(), IsEmpty());
    EXPECT_EQ(wake(word, 10, 2), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
}

TEST_F(Futex, waits_by_the_hundred_and_holds_up_nobody) {
    constexpr unsigned count = 1000;
    std::vector<uint32_t> words(count);
    for (unsigned done = 0; done < count; done += 200) {
        for (unsigned index = done; index < done + 200; ++index)
            ring.push(sqe::futex_wait(&words[index], 0).data(index));
        ASSERT_THAT(ring.submit_pushed(200), Gives(200));
    }
    EXPECT_THAT(ring.run(sqe::nop().data(count)), Gives(0));
    const Fd file = memory_file_with("");
    EXPECT_THAT(ring.run(sqe::ftruncate(file, 5)), Gives(0));
    for (unsigned index = 0; index < count; ++index) ASSERT_EQ(wake(words[index], 1), 1) << index;
    EXPECT_EQ(ring.wait(count).size(), count);
}

TEST_F(Futex, of_another_process_is_waited_for) {
    void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    auto& shared = *static_cast<uint32_t*>(memory);
    submit_wait(1, shared);
    EXPECT_EQ(ending_of_child([&] { return wake(shared, 1) == 1 ? 0 : 1; }), 0);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    munmap(memory, 4096);
}

TEST_F(Futex, in_memory_that_can_only_be_read_is_waited_for) {
    const Fd file = memory_file_with(std::string(4096, '\0'));
    void* memory = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, file, 0);
    ASSERT_NE(memory, MAP_FAILED);
    submit_wait(1, *static_cast<uint32_t*>(memory));
    EXPECT_EQ(wake(*static_cast<uint32_t*>(memory), 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    munmap(memory, 4096);
    // But not in private memory that nobody ever wrote to, where there is nothing yet that could be shared.
    memory = mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    EXPECT_THAT(ring.run(sqe::futex_wait(memory, 0)), Gives(-EFAULT));
    munmap(memory, 4096);
}

TEST_F(Futex, with_options_of_memory_nodes_is_waited_for) {
    for (const uint32_t kind :
         {futex_32 | futex_node, futex_32 | futex_policy, futex_32 | futex_node | futex_private}) {
        submit_wait(1, word, every_waiter, kind);
        EXPECT_THAT(ring.linger(5), IsEmpty()) << kind;
        EXPECT_THAT(ring.submit(sqe::futex_wake(&word, 1, every_waiter, kind).data(3)), Gives(1));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 0), Completes(3, 1))) << kind;
    }
    // The node stands behind the word, so both have to be aligned.
    EXPECT_THAT(ring.run(sqe::futex_wait(&first.node, 0, every_waiter, futex_32 | futex_node)), Gives(-EINVAL));
}

TEST_F(Futex, that_waits_when_its_process_is_stopped_waits_on) {
    // The kernel begins such a wait again when the process goes on: it must not be forgotten where it waits.
    submit_wait(1, word);
    submit_wait(2, second.word, 4);
    const futex_waitv both[] = {waiter(first.node), waiter(second.node)};
    EXPECT_THAT(ring.submit(sqe::futex_waitv(both, 2).data(3)), Gives(1));
    const pid_t parent = getpid();
    const int ending = ending_of_child([&] {
        kill(parent, SIGSTOP);
        usleep(50'000);
        return kill(parent, SIGCONT);
    });
    EXPECT_EQ(ending, 0);
    // The threads of the engine need a moment to wait again.
    EXPECT_TRUE(eventually([&] { return wake(word, 1) == 1; }));
    EXPECT_TRUE(eventually([&] { return wake(second.word, 1, 4) == 1; }));
    EXPECT_TRUE(eventually([&] { return wake(second.node, 1) == 1; }));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, 0), Completes(2, 0), Completes(3, 1)));
}

// --- Waking ---------------------------------------------------------------------------------------------------------

TEST_F(Futex, wakes_a_waiting_thread) {
    std::thread thread([&] { syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, nullptr); });
    EXPECT_TRUE(eventually(
        [&] { return ring.run(sqe::futex_wake(&word, 5, every_waiter, futex_32 | futex_private)).res == 1; }));
    thread.join();
}

TEST_F(Futex, wakes_requests_of_its_own_ring) {
    submit_wait(1, word);
    submit_wait(2, word);
    EXPECT_THAT(ring.submit(sqe::futex_wake(&word, 1).data(3)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 0), Completes(3, 1)));
    EXPECT_THAT(ring.submit(sqe::futex_wake(&word, 1).data(4)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, 0), Completes(4, 1)));
}

TEST_F(Futex, wakes_none_when_told_none) {
    submit_wait(1, word);
    EXPECT_THAT(ring.run(sqe::futex_wake(&word, 0).data(2)), Gives(0));
    EXPECT_THAT(ring.linger(), IsEmpty());
    EXPECT_EQ(wake(word, 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
}

TEST_F(Futex, wake_tells_each_error) {
    const auto wake_at = [&](uint64_t address, uint32_t kind, uint64_t count = 1) {
        return ring.run(sqe::futex_wake(nullptr, count, every_waiter, kind).set(&Sqe::addr, address));
    };
    const uint64_t good = address_of(&word);
    EXPECT_THAT(wake_at(0, futex_32), Gives(-EFAULT));
    EXPECT_THAT(wake_at(0, futex_32 | futex_private), Gives(0));
    EXPECT_THAT(wake_at(good + 1, futex_32), Gives(-EINVAL));
    EXPECT_THAT(wake_at(good + 1, futex_32, 0), Gives(-EINVAL));
    EXPECT_THAT(wake_at(good, futex_32, uint64_t{1} << 32), Gives(-EINVAL));
    EXPECT_THAT(wake_at(static_cast<uint64_t>(-4096), futex_32 | futex_private), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::futex_wake(&word, 1, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::futex_wake(&word, 0, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::futex_wake(&word, 1, uint64_t{1} << 32)), Gives(-EINVAL));
}

TEST_F(Futex, kinds_that_there_are_not_are_refused) {
    for (const uint32_t kind : {0u, 1u, 3u, 2u | 16, 2u | 32, 2u | 64, 2u | 256, 2u | 1U << 31}) {
        EXPECT_THAT(ring.run(sqe::futex_wait(&word, 0, every_waiter, kind)), Gives(-EINVAL)) << kind;
        EXPECT_THAT(ring.run(sqe::futex_wake(&word, 1, every_waiter, kind)), Gives(-EINVAL)) << kind;
        const futex_waitv one = waiter(word, 0, kind);
        EXPECT_THAT(ring.run(sqe::futex_waitv(&one, 1)), Gives(-EINVAL)) << kind;
    }
}

TEST_F(Futex, wait_tells_each_error) {
    const ForbiddenPage page;
    const auto* forbidden = static_cast<const char*>(page.address());
    EXPECT_THAT(ring.run(sqe::futex_wait(nullptr, 0)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::futex_wait(nullptr, 0, every_waiter, futex_32 | futex_private)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::futex_wait(forbidden, 0)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::futex_wait(forbidden + 1, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::futex_wait(&word, 0, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::futex_wait(nullptr, 1, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::futex_wait(&word, uint64_t{1} << 32)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::futex_wait(&word, 0, uint64_t{1} << 32)), Gives(-EINVAL));
}

// --- Several at once ------------------------------------------------------------------------------------------------

TEST_F(Futex, of_several_the_one_that_was_woken_is_told) {
    uint32_t words[3] = {5, 6, 7};
    const futex_waitv all[] = {waiter(words[0], 5), waiter(words[1], 6, futex_32 | futex_private), waiter(words[2], 7)};
    for (int index = 0; index < 3; ++index) {
        EXPECT_THAT(ring.submit(sqe::futex_waitv(all, 3).data(1)), Gives(1));
        EXPECT_EQ(index == 1 ? wake_private(words[1], 1) : wake(words[index], 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, index)));
        for (const uint32_t& each : words) EXPECT_EQ(wake(each, 1) + wake_private(each, 1), 0);
    }
}

TEST_F(Futex, of_several_that_are_one_the_last_is_told) {
    const futex_waitv twice[] = {waiter(word), waiter(word)};
    EXPECT_THAT(ring.submit(sqe::futex_waitv(twice, 2).data(1)), Gives(1));
    EXPECT_EQ(wake(word, 5), 2);
    const std::vector<Cqe> completions = ring.wait(1);
    ASSERT_EQ(completions.size(), 1u);
    // Both are woken, one after the other: which one the waiter sees is a matter of luck.
    EXPECT_THAT(completions[0].res, testing::AnyOf(0, 1));
}

TEST_F(Futex, of_several_that_are_woken_at_once_the_kernel_alone_tells_the_first) {
    const futex_waitv both[] = {waiter(word), waiter(second.word)};
    EXPECT_THAT(ring.submit(sqe::futex_waitv(both, 2).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::futex_wake(&word, 1).data(2), sqe::futex_wake(&second.word, 1).data(3)), Gives(2));
    const std::vector<Cqe> completions = ring.wait(3);
    const bool on_kernel = provider_under_test() == provider::Kind::kernel;
    const auto told = on_kernel ? testing::Matcher<int>(0) : testing::Matcher<int>(testing::AnyOf(0, 1));
    EXPECT_THAT(completions, testing::Contains(
                                 testing::AllOf(testing::Field(&Cqe::user_data, 1u), testing::Field(&Cqe::res, told))));
}

TEST_F(Futex, of_a_hundred_and_twenty_eight_is_the_most) {
    uint32_t words[129] = {};
    futex_waitv all[129];
    for (int index = 0; index < 129; ++index) all[index] = waiter(words[index]);
    EXPECT_THAT(ring.run(sqe::futex_waitv(all, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::futex_waitv(all, 129)), Gives(-EINVAL));
    EXPECT_THAT(ring.submit(sqe::futex_waitv(all, 128).data(1)), Gives(1));
    EXPECT_EQ(wake(words[127], 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 127)));
}

TEST_F(Futex, of_several_each_must_have_its_value) {
    futex_waitv both[] = {waiter(word), waiter(second.word, 1)};
    EXPECT_THAT(ring.run(sqe::futex_waitv(both, 2)), Gives(-EAGAIN));
    EXPECT_EQ(wake(word, 1), 0);
    both[1].val = uint64_t{1} << 32;
    EXPECT_THAT(ring.run(sqe::futex_waitv(both, 2)), Gives(-EINVAL));
}

TEST_F(Futex, of_several_each_is_checked) {
    const ForbiddenPage page;
    futex_waitv both[] = {waiter(word), waiter(second.word)};
    const auto run = [&] { return ring.run(sqe::futex_waitv(both, 2)); };
    both[1].__reserved = 1;
    EXPECT_THAT(run(), Gives(-EINVAL));
    both[1].__reserved = 0;
    both[1].uaddr = 0;
    EXPECT_THAT(run(), Gives(-EFAULT));
    both[1].uaddr = address_of(&word) + 2;
    EXPECT_THAT(run(), Gives(-EINVAL));
    // An address that cannot be is told before a value that is not.
    both[0].val = 1;
    EXPECT_THAT(run(), Gives(-EINVAL));
    both[1].uaddr = address_of(page.address());
    both[1].flags |= futex_private;
    EXPECT_THAT(run(), Gives(-EAGAIN));
    both[0].val = 0;
    EXPECT_THAT(run(), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::futex_waitv(nullptr, 1)), Gives(-EFAULT));
    auto* brink = reinterpret_cast<futex_waitv*>(page.brink(sizeof(futex_waitv)));
    *brink = waiter(word);
    EXPECT_THAT(ring.run(sqe::futex_waitv(brink, 2)), Gives(-EFAULT));
}

TEST_F(Futex, of_several_are_those_of_the_submission) {
    futex_waitv both[] = {waiter(word), waiter(second.word)};
    EXPECT_THAT(ring.submit(sqe::futex_waitv(both, 2).data(1)), Gives(1));
    memset(both, 0xff, sizeof(both));
    EXPECT_EQ(wake(second.word, 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
}

// --- Ways in and out ------------------------------------------------------------------------------------------------

TEST_F(Futex, that_waits_can_be_cancelled) {
    const futex_waitv both[] = {waiter(word), waiter(second.word)};
    submit_wait(1, word);
    submit_wait(2, word, 4);
    EXPECT_THAT(ring.submit(sqe::futex_waitv(both, 2).data(3)), Gives(1));
    for (uint64_t data = 1; data <= 3; ++data) {
        EXPECT_THAT(ring.submit(sqe::cancel(data).data(10)), Gives(1));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(data, -ECANCELED), Completes(10, 1)));
    }
    EXPECT_EQ(wake(word, 1), 0);
    EXPECT_EQ(wake(second.word, 1), 0);
    EXPECT_THAT(ring.run(sqe::cancel(1)), Gives(-ENOENT));
}

TEST_F(Futex, that_is_cancelled_severs_no_chain) {
    // Not even one whose success is silent says that it was cancelled.
    const auto wait_for = [&](unsigned flags) {
        return sqe::futex_wait(&word, word, every_waiter).data(1).flag(IOSQE_IO_LINK | flags);
    };
    EXPECT_THAT(ring.submit(wait_for(0), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(10)), Gives(1));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(10, 1), Completes(2, 0)));
    EXPECT_THAT(ring.submit(wait_for(IOSQE_CQE_SKIP_SUCCESS), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(10)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(10, 1), Completes(2, 0)));
}

TEST_F(Futex, that_wait_can_be_cancelled_all_at_once) {
    for (uint64_t data = 0; data < 20; ++data) submit_wait(1, word);
    EXPECT_THAT(ring.submit(sqe::cancel(1, IORING_ASYNC_CANCEL_ALL).data(2)), Gives(1));
    std::vector<Cqe> expected(20, Cqe{1, -ECANCELED, 0});
    // All of them count as one.
    expected.push_back(Cqe{2, 1, 0});
    EXPECT_THAT(ring.wait(21), testing::UnorderedElementsAreArray(expected));
    EXPECT_EQ(wake(word, 1), 0);
}

TEST_F(Futex, is_either_woken_or_cancelled) {
    // Wakes and cancellations race: each wake that found a waiter, and only such a one, completes a wait.
    int64_t woken = 0, wakes = 0;
    for (uint64_t round = 0; round < 200; ++round) {
        submit_wait(1, word);
        std::thread waker([&] { wakes += wake(word, 1); });
        EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
        for (const Cqe& cqe : ring.wait(2)) woken += cqe.user_data == 1 && cqe.res == 0;
        waker.join();
    }
    EXPECT_EQ(woken, wakes);
}

TEST_F(Futex, that_waits_does_not_keep_its_ring_from_closing) {
    const Holdings before = holdings();
    {
        RawRing other(64);
        for (int count = 0; count < 50; ++count) other.push(sqe::futex_wait(&word, 0));
        EXPECT_THAT(other.submit_pushed(50), Gives(50));
    }
    EXPECT_TRUE(eventually([&] { return wake(word, 100) == 0; }));
    EXPECT_EQ(count_fds(), before.fds);
}

TEST_F(Futex, asked_to_be_asynchronous_waits_all_the_same) {
    EXPECT_THAT(ring.submit(sqe::futex_wait(&word, 0).data(1).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    EXPECT_EQ(wake(word, 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    EXPECT_THAT(ring.run(sqe::futex_wake(&word, 1).flag(IOSQE_ASYNC)), Gives(0));
    EXPECT_THAT(ring.run(sqe::futex_wait(&word, 1).flag(IOSQE_ASYNC)), Gives(-EAGAIN));
}

TEST_F(Futex, links_order_waits_and_wakes) {
    EXPECT_THAT(ring.submit(sqe::futex_wait(&word, 0).data(1).flag(IOSQE_IO_LINK),
                            sqe::futex_wake(&second.word, 1).data(2).flag(IOSQE_IO_LINK),
                            sqe::futex_wait(&word, 7).data(3).flag(IOSQE_IO_LINK), sqe::nop().data(4)),
                Gives(4));
    submit_wait(5, second.word);
    EXPECT_THAT(ring.linger(), IsEmpty());
    EXPECT_EQ(wake(word, 1), 1);
    EXPECT_THAT(ring.wait(5), UnorderedElementsAre(Completes(1, 0), Completes(2, 1), Completes(5, 0),
                                                   Completes(3, -EAGAIN), Completes(4, -ECANCELED)));
}

TEST_F(Futex, is_waited_for_by_a_linked_time_limit) {
    const __kernel_timespec time = milliseconds_of(20);
    EXPECT_THAT(ring.submit(sqe::futex_wait(&word, 0).data(1).flag(IOSQE_IO_LINK),
                            sqe::transfer(IORING_OP_LINK_TIMEOUT, -1, &time, 1, 0).data(2)),
                Gives(2));
    // The time limit reports what cancelling the wait reports, and that is not the usual 0.
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 1)));
    EXPECT_EQ(wake(word, 1), 0);
}

TEST_F(Futex, completes_without_the_program_entering) {
    submit_wait(1, word);
    EXPECT_EQ(wake(word, 1), 1);
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 0)));
}

TEST(FutexOnADeferringRing, completes_when_the_program_enters) {
    RawRing ring(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    uint32_t word = 0;
    EXPECT_THAT(ring.submit(sqe::futex_wait(&word, 0).data(1)), Gives(1));
    EXPECT_EQ(wake(word, 1), 1);
    sleep_ms(10);
    EXPECT_EQ(ring.ready(), 0u);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
}

}  // namespace
}  // namespace ringside::test
