// A ring's descriptor in poll() and epoll: readable while there is something to reap, whatever way the program reaps.
//
// A program that reaps by io_uring_for_each_cqe() and io_uring_cq_advance() makes no call that would tell the engine.
// An event loop of that kind went round and round, its descriptor being readable for ever; and one that waits for edges
// got no second one.
#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "liburing/ring.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

constexpr int patience_ms = 10'000;

// What the kernel completes for a thread interrupts its calls.
template <typename Call>
int uninterrupted(Call call) {
    for (;;) {
        const int result = call();
        if (result >= 0 || errno != EINTR) return result;
    }
}

bool readable(int fd, int timeout_ms = 0) {
    pollfd entry = {fd, POLLIN, 0};
    return uninterrupted([&] { return poll(&entry, 1, timeout_ms); }) == 1 && (entry.revents & POLLIN) != 0;
}

// Takes all completions that are there from memory, without a call.
unsigned reap_from_memory(Uring& ring) {
    unsigned head, count = 0;
    io_uring_cqe* cqe;
    io_uring_for_each_cqe(ring.get(), head, cqe) count++;
    io_uring_cq_advance(ring.get(), count);
    return count;
}

// An epoll set with the ring in it.
class Set {
  public:
    Set(Uring& ring, uint32_t events) : fd_(epoll_create1(EPOLL_CLOEXEC)) {
        epoll_event event = {};
        event.events = events;
        EXPECT_EQ(epoll_ctl(fd_, EPOLL_CTL_ADD, ring->ring_fd, &event), 0);
    }
    bool has_event(int timeout_ms = 0) {
        epoll_event event;
        return uninterrupted([&] { return epoll_wait(fd_, &event, 1, timeout_ms); }) == 1;
    }

  private:
    Fd fd_;
};

TEST(RingDescriptor, is_readable_while_completions_wait) {
    Uring ring(8);
    EXPECT_FALSE(readable(ring->ring_fd));
    ring.run_nops(2);
    EXPECT_TRUE(readable(ring->ring_fd));
    ring.reap();
    EXPECT_FALSE(readable(ring->ring_fd));
    ring.run_nops(1);
    EXPECT_TRUE(readable(ring->ring_fd));
}

TEST(RingDescriptor, becomes_readable_when_a_request_completes_by_itself) {
    Uring ring(8);
    Pipe pipe;
    ring.await_readable(pipe.read_end, 1);
    ASSERT_EQ(io_uring_submit(ring.get()), 1);
    EXPECT_FALSE(readable(ring->ring_fd));
    std::thread writer([&] {
        sleep_ms(20);
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    });
    EXPECT_TRUE(readable(ring->ring_fd, patience_ms));
    writer.join();
    EXPECT_EQ(ring.reap(), std::vector<__u64>{1});
}

// Work that waits for the program's next call makes it readable, too, whoever makes that work.
TEST(RingDescriptor, of_a_ring_that_defers_its_work_is_readable_while_work_waits) {
    Uring ring(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    ring.run_nops(1);
    ring.reap();
    EXPECT_FALSE(readable(ring->ring_fd));
    io_uring_sqe* sqe = io_uring_get_sqe(ring.get());
    io_uring_prep_nop(sqe);
    sqe->flags |= IOSQE_IO_LINK;
    io_uring_prep_nop(io_uring_get_sqe(ring.get()));
    ASSERT_EQ(io_uring_submit(ring.get()), 2);
    EXPECT_EQ(reap_from_memory(ring), 1u);
    EXPECT_TRUE(readable(ring->ring_fd));
    EXPECT_EQ(io_uring_get_events(ring.get()), 0);
    EXPECT_TRUE(readable(ring->ring_fd));
    EXPECT_EQ(reap_from_memory(ring), 1u);
    EXPECT_TRUE(eventually([&] { return !readable(ring->ring_fd); }));

    sqe = io_uring_get_sqe(ring.get());
    io_uring_prep_nop(sqe);
    sqe->flags |= IOSQE_ASYNC;
    ASSERT_EQ(io_uring_submit(ring.get()), 1);
    EXPECT_TRUE(readable(ring->ring_fd, patience_ms));
    EXPECT_EQ(io_uring_get_events(ring.get()), 0);
    EXPECT_EQ(reap_from_memory(ring), 1u);
}

TEST(RingDescriptor, can_be_part_of_an_epoll_set) {
    Uring ring(8);
    Set set(ring, EPOLLIN);
    EXPECT_FALSE(set.has_event());
    ring.run_nops(1);
    EXPECT_TRUE(set.has_event());
    ring.reap();
    EXPECT_FALSE(set.has_event());
}

TEST(RingDescriptor, can_be_part_of_a_set_within_a_set) {
    Uring ring(8);
    const Fd inner(epoll_create1(EPOLL_CLOEXEC)), outer(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event = {};
    event.events = EPOLLIN;
    ASSERT_EQ(epoll_ctl(inner, EPOLL_CTL_ADD, ring->ring_fd, &event), 0);
    ASSERT_EQ(epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event), 0);
    EXPECT_EQ(epoll_wait(outer, &event, 1, 0), 0);
    ring.run_nops(1);
    EXPECT_EQ(epoll_wait(outer, &event, 1, 0), 1);
    EXPECT_EQ(reap_from_memory(ring), 1u);
    EXPECT_TRUE(eventually([&] { return epoll_wait(outer, &event, 1, 0) == 0; }));
}

// In how many sets, each within the next, a descriptor can be.
int levels_around(int fd) {
    std::vector<int> sets;
    for (int inner = fd; sets.size() < 20; inner = sets.back()) {
        const int outer = epoll_create1(EPOLL_CLOEXEC);
        epoll_event event = {};
        event.events = EPOLLIN;
        const int added = epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event);
        sets.push_back(outer);
        if (added < 0) break;
    }
    for (const int set : sets) close(set);
    return static_cast<int>(sets.size()) - 1;
}

// The engine's is a set itself.
TEST(RingDescriptor, can_be_nested_one_level_less_deep_on_the_engine) {
    Uring ring(8);
    const Pipe pipe;
    const int missing = provider_under_test() == provider::Kind::engine ? 1 : 0;
    EXPECT_EQ(levels_around(ring->ring_fd), levels_around(pipe.read_end) - missing);
}

TEST(RingDescriptor, cannot_be_read) {
    Uring ring(8);
    ring.run_nops(1);
    char bytes[8];
    EXPECT_EQ(read(ring->ring_fd, bytes, sizeof(bytes)), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST(PolledRing, is_unreadable_when_it_was_reaped_from_memory) {
    Uring ring(8);
    EXPECT_FALSE(readable(ring->ring_fd));
    for (int round = 0; round < 5; ++round) {
        ring.run_nops(2);
        EXPECT_TRUE(readable(ring->ring_fd));
        EXPECT_EQ(reap_from_memory(ring), 2u);
        EXPECT_TRUE(eventually([&] { return !readable(ring->ring_fd); }));
    }
}

TEST(PolledRing, is_unreadable_when_it_was_reaped_late) {
    Uring ring(8);
    Set set(ring, EPOLLIN);
    ring.run_nops(2);
    sleep_ms(50);
    EXPECT_TRUE(set.has_event());
    EXPECT_EQ(reap_from_memory(ring), 2u);
    EXPECT_TRUE(eventually([&] { return !set.has_event(); }));
}

TEST(PolledRing, stays_readable_until_all_is_reaped) {
    Uring ring(8);
    Set set(ring, EPOLLIN);
    ring.run_nops(3);
    for (int left = 3; left > 0; --left) {
        sleep_ms(5);
        EXPECT_TRUE(set.has_event());
        io_uring_cq_advance(ring.get(), 1);
    }
    EXPECT_TRUE(eventually([&] { return !set.has_event(); }));
}

// What an event loop does: it waits, reaps from memory, and waits again, with nothing to submit.
TEST(PolledRing, tells_of_each_completion_that_comes_by_itself) {
    Uring ring(8);
    Set set(ring, EPOLLIN);
    Pipe pipe;
    io_uring_sqe* const sqe = io_uring_get_sqe(ring.get());
    io_uring_prep_poll_multishot(sqe, pipe.read_end, POLLIN);
    ASSERT_EQ(io_uring_submit(ring.get()), 1);
    for (int round = 0; round < 10; ++round) {
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        EXPECT_TRUE(set.has_event(patience_ms));
        EXPECT_TRUE(eventually([&] { return reap_from_memory(ring) == 1; }));
        EXPECT_TRUE(eventually([&] { return !set.has_event(); }));
    }
}

TEST(PolledRing, of_a_worker_is_unreadable_when_it_was_reaped_from_memory) {
    Uring ring(8);
    Set set(ring, EPOLLIN);
    ASSERT_TRUE(ring.add_nop(1));
    ring->sq.sqes[0].flags |= IOSQE_ASYNC;
    ASSERT_EQ(io_uring_submit(ring.get()), 1);
    EXPECT_TRUE(set.has_event(patience_ms));
    EXPECT_TRUE(eventually([&] { return reap_from_memory(ring) == 1; }));
    EXPECT_TRUE(eventually([&] { return !set.has_event(); }));
}

TEST(PolledRing, gives_an_edge_for_each_completion) {
    Uring ring(8);
    Set set(ring, EPOLLIN | EPOLLET);
    for (int round = 0; round < 5; ++round) {
        ring.run_nops(1);
        EXPECT_TRUE(set.has_event());
        EXPECT_EQ(reap_from_memory(ring), 1u);
    }
    // Though what came before is not reaped.
    ring.run_nops(1);
    EXPECT_TRUE(set.has_event());
    ring.run_nops(1);
    EXPECT_TRUE(set.has_event());
}

// The engine does not look all the time whether somebody begins to poll; but whoever does is told within moments.
TEST(RingPolledLate, gives_an_edge_for_each_completion) {
    for (const int calls_before : {1, 3, 20, 200}) {
        Uring ring(8);
        for (int call = 0; call < calls_before; ++call) {
            ring.run_nops(1);
            EXPECT_EQ(reap_from_memory(ring), 1u);
        }
        Set set(ring, EPOLLIN | EPOLLET);
        set.has_event();
        for (int round = 0; round < 5; ++round) {
            ring.run_nops(1);
            EXPECT_TRUE(set.has_event(patience_ms)) << "after " << calls_before << " calls, round " << round;
            EXPECT_EQ(reap_from_memory(ring), 1u);
        }
    }
}

TEST(RingPolledLate, is_unreadable_soon_after_one_of_its_calls) {
    Uring ring(8);
    for (int call = 0; call < 200; ++call) {
        ring.run_nops(1);
        EXPECT_EQ(reap_from_memory(ring), 1u);
    }
    readable(ring->ring_fd);
    EXPECT_TRUE(eventually([&] {
        ring.run_nops(1);
        EXPECT_TRUE(readable(ring->ring_fd));
        EXPECT_EQ(reap_from_memory(ring), 1u);
        sleep_ms(20);
        return !readable(ring->ring_fd);
    }));
    // From then on at once.
    ring.run_nops(1);
    EXPECT_EQ(reap_from_memory(ring), 1u);
    EXPECT_TRUE(eventually([&] { return !readable(ring->ring_fd); }));
}

TEST(RingThatNobodyPolls, needs_no_thread) {
    const size_t before = count_threads();
    Uring ring(8);
    for (int call = 0; call < 200; ++call) {
        ring.run_nops(1);
        EXPECT_EQ(reap_from_memory(ring), 1u);
    }
    sleep_ms(30);
    ring.run_nops(1);
    EXPECT_LE(count_threads(), before);
}

}  // namespace
}  // namespace ringside::test
