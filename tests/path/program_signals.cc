// What a program does with signals is no business of its rings. The engine has to get its threads out of calls that
// block, and a signal is the only way. It used to claim a real-time signal that had no handler, once and for ever: a
// daemon that then reset all signals died of the next cancellation, and one that set handlers of its own for all of
// them waited for ever in it, with the ring's lock held.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <string>
#include <thread>

#include "support/eventually.h"
#include "support/files.h"
#include "support/interruption.h"
#include "support/process.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr int last_signal = 64;

std::atomic<unsigned> on_this_thread, on_others;

void count(int) { ++(gettid() == getpid() ? on_this_thread : on_others); }

void set_all(void (*handler)(int)) {
    for (int number = 1; number <= last_signal; ++number) signal(number, handler);
}

// By the bare system call, which knows no signals of libc's own.
void set_all_by_bare_calls(void (*handler)(int)) {
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)();
        uint64_t mask;
    } action = {handler, 0, nullptr, 0};
    for (int number = 1; number <= last_signal; ++number) syscall(SYS_rt_sigaction, number, &action, nullptr, 8);
}

void block_all() {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
}

struct Change {
    const char* name;
    void (*make)();
};

const Change changes[] = {
    {"nothing_changed", [] {}},
    {"reset", [] { set_all(SIG_DFL); }},
    {"ignored", [] { set_all(SIG_IGN); }},
    {"handled", [] { set_all(count); }},
    {"blocked", block_all},
    {"blocked_and_handled",
     [] {
         block_all();
         set_all(count);
     }},
    {"reset_by_bare_calls", [] { set_all_by_bare_calls(SIG_DFL); }},
    {"ignored_by_bare_calls", [] { set_all_by_bare_calls(SIG_IGN); }},
};

// What a child of this process ends with: its process's signals are its own. It gets the time that a test may take.
int ending_within_patience(const std::function<void()>& body) {
    fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        body();
        _exit(testing::Test::HasFailure() ? 1 : 0);
    }
    int status = -1;
    const bool ended = eventually([&] { return waitpid(child, &status, WNOHANG) == child; });
    EXPECT_TRUE(ended) << "hangs";
    if (!ended) {
        kill(child, SIGKILL);
        waitpid(child, &status, 0);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

// Requests that block: in a worker's call, and in a call of a thread that waits for one futex.
struct Blocked {
    RawRing ring{16};
    const Pipe from, to;
    uint32_t word = 0;

    Sqe splice() const { return sqe::splice(from.read_end, -1, to.write_end, -1, 1).data(1).flag(IOSQE_ASYNC); }
    Sqe wait_for_futex() const { return sqe::futex_wait(&word, 0).data(2); }

    void begin() {
        EXPECT_THAT(ring.submit(splice(), wait_for_futex()), Gives(2));
        sleep_ms(20);
    }

    void cancel_both() {
        const Interruption seen = interrupt(ring, splice());
        EXPECT_THAT(seen.cancellation, Gives(-EALREADY));
        EXPECT_THAT(seen.request, AnyOf(-EINTR, restart));
        EXPECT_THAT(ring.submit(wait_for_futex()), Gives(1));
        sleep_ms(20);
        EXPECT_THAT(ring.submit(sqe::cancel(2).data(3)), Gives(1));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, -ECANCELED), Completes(3, 1)));
    }
};

class ProgramSignals : public testing::TestWithParam<Change> {};

INSTANTIATE_TEST_SUITE_P(All, ProgramSignals, testing::ValuesIn(changes),
                         [](const testing::TestParamInfo<Change>& change) { return std::string(change.param.name); });

TEST_P(ProgramSignals, changed_before_the_first_request_leave_cancellation_alone) {
    EXPECT_EQ(ending_within_patience([] {
                  GetParam().make();
                  Blocked blocked;
                  blocked.cancel_both();
                  blocked.cancel_both();
              }),
              0);
}

TEST_P(ProgramSignals, changed_after_a_cancellation_leave_the_next_one_alone) {
    EXPECT_EQ(ending_within_patience([] {
                  Blocked blocked;
                  blocked.cancel_both();
                  GetParam().make();
                  blocked.cancel_both();
                  EXPECT_EQ(on_others.load(), 0u);
              }),
              0);
}

TEST_P(ProgramSignals, changed_while_requests_block_leave_their_cancellation_alone) {
    EXPECT_EQ(ending_within_patience([] {
                  Blocked blocked;
                  blocked.begin();
                  GetParam().make();
                  RawRing& ring = blocked.ring;
                  EXPECT_THAT(ring.submit(sqe::cancel(1).data(3)), Gives(1));
                  EXPECT_THAT(ring.submit(sqe::cancel(2).data(4)), Gives(1));
                  EXPECT_THAT(ring.wait(4),
                              UnorderedElementsAre(AnyOf(Completes(1, -EINTR), Completes(1, restart)),
                                                   Completes(2, -ECANCELED), Completes(3, -EALREADY), Completes(4, 1)));
                  EXPECT_EQ(on_others.load(), 0u);
              }),
              0);
}

TEST_P(ProgramSignals, changed_while_requests_block_leave_the_end_of_the_ring_alone) {
    EXPECT_EQ(ending_within_patience([] {
                  const size_t threads = count_threads();
                  Blocked blocked;
                  blocked.begin();
                  GetParam().make();
                  EXPECT_EQ(blocked.ring.close(), 0);
                  blocked.ring.unmap();
                  if (provider_under_test() != provider::Kind::kernel) {
                      EXPECT_TRUE(eventually([&] { return count_threads() <= threads; }));
                  }
              }),
              0);
}

TEST_P(ProgramSignals, changed_while_requests_block_leave_the_end_of_the_process_alone) {
    EXPECT_EQ(ending_within_patience([] {
                  static Blocked* blocked = new Blocked;
                  blocked->begin();
                  GetParam().make();
                  exit(testing::Test::HasFailure() ? 1 : 0);
              }),
              0);
}

// The main thread blocks all signals for a while, as many programs do that take them by sigwait(3) or signalfd(2). What
// is sent to the process meanwhile is the program's to take, and no thread of the engine's is there to take it first.
TEST(ProgramSignal, that_is_sent_to_the_process_is_taken_by_no_thread_of_the_ring) {
    EXPECT_EQ(ending_within_patience([] {
                  Blocked blocked;
                  blocked.cancel_both();
                  set_all(count);
                  block_all();
                  blocked.begin();
                  unsigned sent = 0;
                  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) sent += kill(getpid(), number) == 0;
                  sleep_ms(20);
                  EXPECT_EQ(on_others.load(), 0u);
                  sigset_t none;
                  sigemptyset(&none);
                  sigprocmask(SIG_SETMASK, &none, nullptr);
                  EXPECT_EQ(on_this_thread.load(), sent);
              }),
              0);
}

TEST(ProgramSignal, without_a_handler_waits_for_sigwait) {
    EXPECT_EQ(ending_within_patience([] {
                  Blocked blocked;
                  block_all();
                  blocked.cancel_both();
                  blocked.begin();
                  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) {
                      EXPECT_EQ(kill(getpid(), number), 0);
                      sigset_t set;
                      sigemptyset(&set);
                      sigaddset(&set, number);
                      const timespec patience = {2, 0};
                      EXPECT_EQ(sigtimedwait(&set, nullptr, &patience), number);
                  }
              }),
              0);
}

// libc's cancellation of threads, which is done by a signal, too.
void cancel_thread() {
    std::atomic<bool> cleaned = false;
    pthread_t thread;
    const auto body = [](void* argument) -> void* {
        struct Cleaner {
            std::atomic<bool>* cleaned;
            ~Cleaner() { *cleaned = true; }
        } cleaner{static_cast<std::atomic<bool>*>(argument)};
        for (;;) pause();
    };
    ASSERT_EQ(pthread_create(&thread, nullptr, body, &cleaned), 0);
    sleep_ms(10);
    ASSERT_EQ(pthread_cancel(thread), 0);
    void* result = nullptr;
    ASSERT_EQ(pthread_join(thread, &result), 0);
    EXPECT_EQ(result, PTHREAD_CANCELED);
    EXPECT_TRUE(cleaned);
}

TEST(ProgramSignal, of_a_cancelled_thread_arrives_after_and_between_cancelled_requests) {
    EXPECT_EQ(ending_within_patience([] {
                  Blocked blocked;
                  for (int round = 0; round < 3; ++round) {
                      blocked.cancel_both();
                      cancel_thread();
                      cancel_thread();
                  }
                  blocked.begin();
                  cancel_thread();
                  EXPECT_EQ(blocked.ring.close(), 0);
              }),
              0);
}

TEST(ProgramSignal, of_a_cancelled_thread_arrives_before_requests_are_cancelled) {
    EXPECT_EQ(ending_within_patience([] {
                  cancel_thread();
                  Blocked blocked;
                  blocked.cancel_both();
                  cancel_thread();
              }),
              0);
}

// --- No signal to be had --------------------------------------------------------------------------------------------

// A policy refuses handlers of signals, so that nobody can get a thread out of its call.
void refuse_handlers() {
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    EXPECT_EQ(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(rt_sigaction), 0), 0);
    EXPECT_EQ(seccomp_load(filter), 0);
    seccomp_release(filter);
}

bool is_engine() { return provider_under_test() != provider::Kind::kernel; }

TEST(WithoutSignals, cancelled_request_ends_late_and_nothing_hangs) {
    EXPECT_EQ(ending_within_patience([] {
                  refuse_handlers();
                  Blocked blocked;
                  RawRing& ring = blocked.ring;
                  EXPECT_THAT(ring.submit(blocked.splice()), Gives(1));
                  sleep_ms(20);
                  EXPECT_THAT(ring.submit(sqe::cancel(1).data(3)), Gives(1));
                  EXPECT_THAT(ring.wait(1), Contains(Completes(3, -EALREADY)));
                  // On the kernel the splice may end meanwhile.
                  EXPECT_THAT(ring.submit(sqe::nop().data(4)), Gives(1));
                  EXPECT_THAT(ring.wait(1), Contains(Completes(4, 0)));
                  EXPECT_EQ(write(blocked.from.write_end, "x", 1), 1);
                  if (is_engine()) {
                      EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
                  }
              }),
              0);
}

TEST(WithoutSignals, wait_for_a_futex_is_refused_by_the_engine) {
    EXPECT_EQ(ending_within_patience([] {
                  refuse_handlers();
                  Blocked blocked;
                  EXPECT_THAT(blocked.ring.submit(blocked.wait_for_futex()), Gives(1));
                  if (is_engine()) {
                      EXPECT_THAT(blocked.ring.wait(1), ElementsAre(Completes(2, -ENOMEM)));
                  } else {
                      EXPECT_THAT(blocked.ring.linger(), IsEmpty());
                  }
              }),
              0);
}

// close(2) of a ring waited for workers inside of calls, for as long as these took.
TEST(WithoutSignals, ring_is_closed_while_a_request_blocks) {
    EXPECT_EQ(ending_within_patience([] {
                  refuse_handlers();
                  const size_t threads = count_threads();
                  Blocked blocked;
                  EXPECT_THAT(blocked.ring.submit(blocked.splice()), Gives(1));
                  sleep_ms(20);
                  const Stopwatch stopwatch;
                  EXPECT_EQ(blocked.ring.close(), 0);
                  EXPECT_LT(stopwatch.elapsed_ms(), 5000);
                  RawRing next(8);
                  EXPECT_THAT(next.run(sqe::nop()), Gives(0));
                  EXPECT_EQ(next.close(), 0);
                  // All ends when the call does.
                  EXPECT_EQ(write(blocked.from.write_end, "x", 1), 1);
                  if (is_engine()) {
                      EXPECT_TRUE(eventually([&] { return count_threads() <= threads; }));
                  }
              }),
              0);
}

}  // namespace
}  // namespace ringside::test
