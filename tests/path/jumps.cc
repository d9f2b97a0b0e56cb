// Jumps out of a signal's handler while io_uring_enter sleeps, and threads that are cancelled there: the kernel forgets
// such a wait. And handlers that poll, copy or map a ring that their thread is inside of.
//
// The engine kept a note of each waiting thread on that thread's stack, in a list of the ring's: a jump left the note
// there, whoever posted the next completion wrote to it, and the close of the ring waited for it for ever. poll and dup
// from a handler waited for a lock that their own thread had.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include <atomic>
#include <functional>
#include <thread>

#include "entry/engine.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

bool on_kernel() { return provider_under_test() == provider::Kind::kernel; }

thread_local sigjmp_buf way_out;

// SIGUSR1 jumps to where its thread came from.
class Jump : public testing::Test {
  protected:
    Jump() {
        struct sigaction wanted = {};
        wanted.sa_handler = [](int) { siglongjmp(way_out, 1); };
        sigaction(SIGUSR1, &wanted, &before_);
    }
    ~Jump() override { sigaction(SIGUSR1, &before_, nullptr); }

    // Waits, and is out of it by a jump.
    static void leave_a_wait(RawRing& ring) {
        const pthread_t self = pthread_self();
        std::thread other([self] {
            sleep_ms(20);
            pthread_kill(self, SIGUSR1);
        });
        if (sigsetjmp(way_out, 1) == 0) {
            ring.enter(0, 1, IORING_ENTER_GETEVENTS);
            ADD_FAILURE() << "there was no jump";
        }
        other.join();
    }

    Sqe read(uint64_t data) { return sqe::read(pipe.read_end, &byte, 1).data(data); }
    void write_byte() { ASSERT_EQ(write(pipe.write_end, "x", 1), 1); }

    const Pipe pipe;
    char byte = 0;

  private:
    struct sigaction before_;
};

TEST_F(Jump, out_of_a_wait_leaves_the_ring_as_it_was) {
    RawRing ring;
    EXPECT_THAT(ring.submit(read(1)), Gives(1));
    for (int round = 0; round < 5; ++round) leave_a_wait(ring);
    write_byte();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    EXPECT_THAT(ring.run(sqe::nop().data(2)), Gives(0));
}

TEST_F(Jump, out_of_a_wait_is_no_obstacle_to_completions_by_others) {
    RawRing ring;
    EXPECT_THAT(ring.submit(read(1)), Gives(1));
    leave_a_wait(ring);
    // The stack of the wait is used for something else.
    char other[4096];
    memset(other, 0x5a, sizeof(other));
    std::thread([&] { EXPECT_THAT(ring.submit(sqe::nop().data(2)), Gives(1)); }).join();
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(2, 0)));
    write_byte();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    for (const char each : other) ASSERT_EQ(each, 0x5a);
}

TEST_F(Jump, out_of_a_wait_is_no_obstacle_to_the_close) {
    RawRing ring;
    EXPECT_THAT(ring.submit(read(1)), Gives(1));
    leave_a_wait(ring);
    Stopwatch watch;
    EXPECT_EQ(ring.close(), 0);
    EXPECT_LT(watch.elapsed_ms(), patience_ms / 2);
}

TEST_F(Jump, out_of_a_wait_is_no_obstacle_to_the_close_by_another_thread) {
    RawRing ring;
    EXPECT_THAT(ring.submit(read(1)), Gives(1));
    leave_a_wait(ring);
    Stopwatch watch;
    std::thread([&] { EXPECT_EQ(ring.close(), 0); }).join();
    EXPECT_LT(watch.elapsed_ms(), patience_ms / 2);
}

TEST_F(Jump, of_a_thread_that_ends_leaves_the_wait_to_others) {
    RawRing ring;
    EXPECT_THAT(ring.submit(read(1)), Gives(1));
    std::thread([&] { leave_a_wait(ring); }).join();
    std::thread writer([&] {
        sleep_ms(20);
        write_byte();
    });
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    writer.join();
}

TEST_F(Jump, out_of_one_of_two_waits_leaves_the_other) {
    RawRing ring;
    EXPECT_THAT(ring.submit(read(1)), Gives(1));
    std::thread first([&] {
        leave_a_wait(ring);
        EXPECT_THAT(ring.enter(0, 1, IORING_ENTER_GETEVENTS), Gives(0));
    });
    std::thread second([&] { EXPECT_THAT(ring.enter(0, 1, IORING_ENTER_GETEVENTS), Gives(0)); });
    sleep_ms(60);
    write_byte();
    first.join();
    second.join();
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 1)));
}

TEST_F(Jump, out_of_a_wait_of_a_polled_ring_leaves_it_as_it_was) {
    RawRing ring(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    EXPECT_THAT(ring.submit(read(1)), Gives(1));
    leave_a_wait(ring);
    write_byte();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
}

// A handler in a wait may wait itself; the wait that it interrupts ends with EINTR, as after any handler.
TEST(WaitOfAHandler, in_a_wait_on_the_same_ring_gets_its_completion) {
    static RawRing* ring;
    static std::atomic<int> answer;
    RawRing mine;
    ring = &mine;
    answer = -1;
    EXPECT_THAT(mine.run(sqe::nop()), Gives(0));
    struct sigaction wanted = {}, before;
    wanted.sa_handler = [](int) {
        ring->push(sqe::nop().data(2));
        answer = ring->enter(1, 1, IORING_ENTER_GETEVENTS);
        ring->reap();
    };
    sigaction(SIGUSR1, &wanted, &before);
    const pthread_t self = pthread_self();
    std::thread other([self] {
        sleep_ms(20);
        pthread_kill(self, SIGUSR1);
    });
    EXPECT_THAT(mine.enter(0, 1, IORING_ENTER_GETEVENTS), Gives(-EINTR));
    other.join();
    EXPECT_EQ(answer, 1);
    sigaction(SIGUSR1, &before, nullptr);
    EXPECT_THAT(mine.run(sqe::nop().data(3)), Gives(0));
}

TEST(CancelledThread, that_waits_leaves_the_ring_to_others) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    pthread_t thread;
    const auto body = [](void* waited) -> void* {
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, nullptr);
        static_cast<RawRing*>(waited)->enter(0, 1, IORING_ENTER_GETEVENTS);
        return nullptr;
    };
    ASSERT_EQ(pthread_create(&thread, nullptr, body, &ring), 0);
    sleep_ms(20);
    pthread_cancel(thread);
    void* result = nullptr;
    pthread_join(thread, &result);
    EXPECT_EQ(result, PTHREAD_CANCELED);
    std::thread writer([&] {
        sleep_ms(20);
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    });
    EXPECT_THAT(ring.wait(1), UnorderedElementsAre(Completes(1, 1)));
    writer.join();
}

// --- Handlers that do something else with the ring
// --------------------------------------------------------------------

// What of POLLIN and POLLOUT holds, as a poll(2) without a wait tells it.
short poll_of(RawRing& ring, short events) {
    if (on_kernel()) {
        pollfd entry = {ring.fd(), events, 0};
        return poll(&entry, 1, 0) < 0 ? POLLNVAL : entry.revents;
    }
    engine::RingInPoll polled;
    if (!engine::find_polled(ring.fd(), events, polled)) return POLLNVAL;
    const short holds = engine::begin_poll(polled);
    return holds != 0 ? holds : engine::end_poll(polled, false);
}

class HandlerInside : public testing::Test {
  protected:
    HandlerInside() {
        broken.read_end.reset();
        struct sigaction wanted = {};
        wanted.sa_handler = [](int) { handler(); };
        sigaction(SIGPIPE, &wanted, &before_);
    }
    ~HandlerInside() override { sigaction(SIGPIPE, &before_, nullptr); }

    // The handler runs within the call that submits the write.
    void interrupt_a_submission(std::function<void()> action) {
        handler = std::move(action);
        EXPECT_THAT(ring.submit(sqe::write(broken.write_end, "x", 1).data(1)), Gives(1));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EPIPE)));
    }

    RawRing ring;
    Pipe broken;
    static inline std::function<void()> handler;

  private:
    struct sigaction before_;
};

TEST_F(HandlerInside, polls_the_ring) {
    short room = 0;
    interrupt_a_submission([&] { room = poll_of(ring, POLLOUT); });
    EXPECT_EQ(room, POLLOUT);
    EXPECT_EQ(poll_of(ring, POLLIN | POLLOUT), POLLOUT);
}

TEST_F(HandlerInside, asks_for_the_descriptor_to_poll) {
    int polled = 0;
    interrupt_a_submission([&] { polled = on_kernel() ? ring.fd() : engine::readiness_fd(*engine::find(ring.fd())); });
    EXPECT_TRUE(polled >= 0 || (!on_kernel() && polled == -EDEADLK)) << polled;
}

TEST_F(HandlerInside, copies_the_descriptor) {
    int copy = -1;
    interrupt_a_submission([&] {
        copy = dup(ring.fd());
        if (!on_kernel()) engine::note_dup(ring.fd(), copy);
    });
    ASSERT_GE(copy, 0);
    EXPECT_EQ(provider::close(provider_under_test(), copy), 0);
    EXPECT_THAT(ring.run(sqe::nop().data(2)), Gives(0));
}

TEST_F(HandlerInside, maps_the_ring) {
    bool mapped = false;
    interrupt_a_submission([&] {
        void* at = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, ring.fd(), IORING_OFF_SQ_RING);
        mapped = at != MAP_FAILED;
        if (mapped) munmap(at, 4096);
        // The engine's own mapping it may ask for later.
        if (!on_kernel()) engine::map(*engine::find(ring.fd()), IORING_OFF_SQ_RING, 4096);
    });
    EXPECT_TRUE(mapped);
}

}  // namespace
}  // namespace ringside::test
