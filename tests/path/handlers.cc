// Signal handlers that make io_uring's calls, on a ring that their own thread is using at that moment. The kernel runs
// a handler when a call is through, or waits; the engine's calls are interrupted like any other code of the program.
//
// A write to a pipe that nobody reads raises SIGPIPE within the call that makes it.
#include <errno.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include <atomic>
#include <functional>
#include <thread>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

bool on_kernel() { return provider_under_test() == provider::Kind::kernel; }

// Has a signal handled by a function, once, for as long as the object lives.
class Handled {
  public:
    Handled(int number, std::function<void()> action) : number_(number) {
        handler = std::move(action);
        ran = false;
        struct sigaction wanted = {};
        wanted.sa_handler = [](int) {
            if (ran.exchange(true)) return;
            const int before = errno;
            handler();
            errno = before;
        };
        sigaction(number_, &wanted, &before_);
    }
    ~Handled() { sigaction(number_, &before_, nullptr); }
    Handled(const Handled&) = delete;
    Handled& operator=(const Handled&) = delete;

    bool has_run() const { return ran; }

  private:
    static inline std::function<void()> handler;
    static inline std::atomic<bool> ran;
    int number_;
    struct sigaction before_;
};

// A write that raises SIGPIPE where it is made.
struct Broken {
    Broken() { pipe.read_end.reset(); }
    Sqe write() const { return sqe::write(pipe.write_end, "x", 1).data(1); }
    Pipe pipe;
};

// The memory for its first requests a ring has from malloc, which is no function for handlers.
void warm_up(RawRing& ring) { EXPECT_THAT(ring.run(sqe::nop()), Gives(0)); }

TEST(Handler, that_submits_to_the_ring_that_it_interrupts_is_heard_when_that_is_through) {
    for (const unsigned flags : {0U, unsigned{IORING_SETUP_SUBMIT_ALL}}) {
        RawRing ring(8, flags);
        const Broken broken;
        int answer = -1;
        const Handled handled(SIGPIPE, [&] { answer = ring.submit(sqe::nop().data(2), sqe::nop().data(3)); });
        EXPECT_THAT(ring.submit(broken.write()), Gives(1));
        EXPECT_TRUE(handled.has_run());
        // None of them is taken yet while another call is going on.
        EXPECT_EQ(answer, on_kernel() ? 2 : 0);
        EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, -EPIPE), Completes(2, 0), Completes(3, 0)));
        EXPECT_EQ(ring.sq_head().load(), ring.sq_tail().load());
    }
}

// The interrupted call submits what it was to submit, and no more.
TEST(Handler, that_submits_leaves_the_interrupted_call_its_entries) {
    RawRing ring;
    const Broken broken;
    const Handled handled(SIGPIPE, [&] { ring.submit(sqe::nop().data(4)); });
    EXPECT_THAT(ring.submit(broken.write(), sqe::nop().data(2), sqe::nop().data(3)), Gives(3));
    EXPECT_THAT(ring.wait(4),
                UnorderedElementsAre(Completes(1, -EPIPE), Completes(2, 0), Completes(3, 0), Completes(4, 0)));
}

TEST(Handler, that_submits_ends_the_wait_that_follows) {
    for (const unsigned flags : {0U, unsigned{IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN}}) {
        RawRing ring(8, flags);
        const Broken broken;
        const Handled handled(SIGPIPE, [&] { ring.submit(sqe::nop().data(2)); });
        ring.push(broken.write());
        // The kernel's wait may end with the signal.
        const int result = ring.enter(1, 2, IORING_ENTER_GETEVENTS);
        EXPECT_EQ(result, 1);
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -EPIPE), Completes(2, 0)));
    }
}

TEST(Handler, in_a_wait_may_submit) {
    RawRing ring;
    warm_up(ring);
    std::atomic<int> answer = -1;
    const Handled handled(SIGUSR1, [&] { answer = ring.submit(sqe::nop().data(2)); });
    const pthread_t waiting = pthread_self();
    std::thread other([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        pthread_kill(waiting, SIGUSR1);
    });
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    other.join();
    // It may have come a moment before the wait.
    EXPECT_TRUE(answer == 1 || (answer == 0 && !on_kernel()));
}

// Entries are pushed while signals are kept away, as a program has to do it, and submitted while they are not.
TEST(Handler, that_comes_at_any_time_is_heard) {
    constexpr unsigned wanted = 100;
    RawRing ring(64);
    warm_up(ring);
    std::atomic<unsigned> times = 0;
    const Handled before(SIGALRM, [] {});
    struct sigaction action = {};
    static std::function<void()> submit;
    submit = [&] {
        if (times.load() == wanted) return;
        ring.submit(sqe::nop().data(2));
        ++times;
    };
    action.sa_handler = [](int) { submit(); };
    sigaction(SIGALRM, &action, nullptr);
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    const itimerval often = {{0, 100}, {0, 100}}, never = {};
    setitimer(ITIMER_REAL, &often, nullptr);
    unsigned own = 0, seen = 0;
    while (times.load() < wanted) {
        pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
        for (unsigned i = 0; i < 8; ++i) ring.push(sqe::nop().data(1));
        own += 8;
        pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
        EXPECT_EQ(ring.enter(8, 1, IORING_ENTER_GETEVENTS), 8);
        seen += static_cast<unsigned>(ring.reap().size());
    }
    setitimer(ITIMER_REAL, &never, nullptr);
    seen += static_cast<unsigned>(ring.wait(own + wanted - seen).size());
    EXPECT_EQ(seen, own + wanted);
    EXPECT_EQ(ring.sq_head().load(), ring.sq_tail().load());
}

TEST(Handler, may_use_another_ring) {
    RawRing ring, another;
    warm_up(another);
    const Broken broken;
    int answer = 0;
    const Handled handled(SIGPIPE, [&] {
        another.push(sqe::nop().data(2));
        answer = another.enter(1, 1, IORING_ENTER_GETEVENTS);
    });
    EXPECT_THAT(ring.submit(broken.write()), Gives(1));
    EXPECT_EQ(answer, 1);
    EXPECT_THAT(another.reap(), ElementsAre(Completes(2, 0)));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EPIPE)));
}

// What it waits for can only come behind it.
TEST(Handler, cannot_wait_on_the_ring_that_it_interrupts_on_the_engine) {
    RawRing ring;
    const Broken broken;
    int waited = 0, registered = 0;
    const Handled handled(SIGPIPE, [&] {
        ring.push(sqe::nop().data(2));
        waited = ring.enter(1, 1, IORING_ENTER_GETEVENTS);
        io_uring_probe probe = {};
        registered = ring.register_call(IORING_REGISTER_PROBE, &probe, 0);
    });
    EXPECT_THAT(ring.submit(broken.write()), Gives(1));
    EXPECT_EQ(waited, on_kernel() ? 1 : -EDEADLK);
    EXPECT_EQ(registered, on_kernel() ? 0 : -EDEADLK);
    // The entry is there for the next call.
    if (!on_kernel()) {
        EXPECT_THAT(ring.enter(1), Gives(1));
    }
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -EPIPE), Completes(2, 0)));
}

TEST(Handler, cannot_close_the_ring_that_it_interrupts_on_the_engine) {
    RawRing ring;
    const Broken broken;
    int closed = -1;
    const Handled handled(SIGPIPE, [&] { closed = provider::close(provider_under_test(), ring.fd()); });
    ring.submit(broken.write());
    EXPECT_EQ(closed, on_kernel() ? 0 : -EDEADLK);
    if (on_kernel()) {
        EXPECT_THAT(ring.enter(0), Gives(-EBADF));
        ring.unmap();
    } else {
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EPIPE)));
    }
}

}  // namespace
}  // namespace ringside::test
