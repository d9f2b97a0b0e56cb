// Children that fork(2) did not make: no handler of fork runs in them. And those of vfork(2), which run on their
// parent's memory.
//
// The engine knew of a child by fork's handler alone. In a child made by _Fork(), clone(2) or the bare system call it
// took the parent's rings for its own: it read and wrote the parent's memory by process_vm_readv(2), joined threads
// that were not there when it closed a ring, and wrote into the parent's CQ.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"
#include "support/sanitizers.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

bool on_kernel() { return provider_under_test() == provider::Kind::kernel; }

// A way to make a child without fork(2).
struct Way {
    const char* name;
    pid_t (*make)();
};

pid_t by_clone() { return static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr)); }

pid_t by_clone3() {
    clone_args arguments = {};
    arguments.exit_signal = SIGCHLD;
    return static_cast<pid_t>(syscall(SYS_clone3, &arguments, sizeof(arguments)));
}

const Way ways[] = {{"_Fork", _Fork}, {"clone", by_clone}, {"clone3", by_clone3}};

// How the child ended, or `still_running` when it did not for long.
constexpr int still_running = 1000;

int ending_in_time(pid_t child) {
    int status = 0;
    if (eventually([&] { return waitpid(child, &status, WNOHANG) == child; })) {
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return still_running;
}

// Also where fork() runs no handlers, and glibc sees to none of its own state: the child makes system calls and little
// else.
class UnseenFork : public testing::TestWithParam<Way> {
  protected:
    void SetUp() override {
        EXPECT_THAT(
            ring.submit(sqe::read(pipe.read_end, &bytes[0], 1).data(1),
                        sqe::read(other.read_end, &bytes[1], 1).data(2).flag(IOSQE_ASYNC), sqe::timeout(&late).data(3)),
            Gives(3));
        // The child has the locks of malloc as they are. The engine's threads may hold one while they start.
        EXPECT_THAT(ring.linger(20), IsEmpty());
    }

    template <typename Body>
    int ending_of_child(Body body) {
        const pid_t child = GetParam().make();
        if (child == 0) _exit(body());
        return ending_in_time(child);
    }

    // All of it completes, as if nothing had happened.
    void expect_undisturbed() {
        EXPECT_THAT(ring.linger(5), IsEmpty());
        for (const Pipe* each : {&pipe, &other}) EXPECT_EQ(write(each->write_end, "x", 1), 1);
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 1), Completes(2, 1)));
        EXPECT_THAT(ring.submit(sqe::timeout_remove(3).data(4)), Gives(1));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(3, -ECANCELED), Completes(4, 0)));
        EXPECT_EQ(bytes[0], 'x');
        EXPECT_EQ(bytes[1], 'x');
    }

    const __kernel_timespec late = {60, 0};
    RawRing ring{16};
    const Pipe pipe, other;
    char bytes[2] = {};
};

INSTANTIATE_TEST_SUITE_P(Ways, UnseenFork, testing::ValuesIn(ways), [](const testing::TestParamInfo<Way>& way) {
    return std::string(way.param.name + (*way.param.name == '_'));
});

TEST_P(UnseenFork, child_that_exits_leaves_the_parent_alone) {
    EXPECT_EQ(ending_of_child([] { return 7; }), 7);
    expect_undisturbed();
}

TEST_P(UnseenFork, child_that_submits_is_heard_in_the_kernel_and_refused_by_the_engine) {
    const int answer = on_kernel() ? 1 : -EBADF;
    EXPECT_EQ(ending_of_child([&] {
                  ring.push(sqe::nop().data(9));
                  return ring.enter(1) == answer ? 0 : 1;
              }),
              0);
    if (!on_kernel()) {
        EXPECT_THAT(ring.reap(), IsEmpty());
        EXPECT_THAT(ring.enter(1), Gives(1));
    }
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(9, 0)));
    expect_undisturbed();
}

TEST_P(UnseenFork, child_that_registers_is_refused_by_the_engine) {
    const int fds[] = {pipe.read_end};
    EXPECT_EQ(ending_of_child([&] {
                  const int result = ring.register_call(IORING_REGISTER_FILES, const_cast<int*>(fds), 1);
                  return result == (on_kernel() ? 0 : -EBADF) ? 0 : 1;
              }),
              0);
    expect_undisturbed();
}

TEST_P(UnseenFork, child_that_closes_the_ring_neither_hangs_nor_disturbs_the_parent) {
    EXPECT_EQ(ending_of_child([&] { return provider::close(provider_under_test(), ring.fd()) == 0 ? 0 : 1; }), 0);
    EXPECT_THAT(ring.reap(), IsEmpty());
    expect_undisturbed();
}

TEST_P(UnseenFork, child_writes_into_its_own_memory) {
    static io_uring_params params;
    params = {};
    EXPECT_EQ(ending_of_child([&] {
                  const int fd = setup_ring(4, &params);
                  if (fd < 0) return 1;
                  return params.sq_entries == 4 && params.features != 0 ? 0 : 2;
              }),
              0);
    EXPECT_EQ(params.sq_entries, 0u);
    EXPECT_EQ(params.features, 0u);
    expect_undisturbed();
}

TEST_P(UnseenFork, child_reads_its_own_memory) {
    if (!child_may_start_threads) GTEST_SKIP() << "see support/sanitizers.h";
    static __kernel_timespec time;
    time = {60, 0};
    EXPECT_EQ(ending_of_child([&] {
                  time = milliseconds_of(5);
                  RawRing own;
                  own.submit(sqe::timeout(&time).data(1));
                  return own.wait(1) == std::vector<Cqe>{{1, -ETIME, 0}} ? 0 : 1;
              }),
              0);
    expect_undisturbed();
}

TEST_P(UnseenFork, grandchild_of_a_child_with_a_ring_of_its_own_is_refused_that_too) {
    if (!child_may_start_threads) GTEST_SKIP() << "see support/sanitizers.h";
    EXPECT_EQ(ending_of_child([&] {
                  RawRing own;
                  if (own.run(sqe::nop()).res != 0) return 1;
                  const int inner = ending_of_child([&] {
                      own.push(sqe::nop().data(2));
                      return own.enter(1) == (on_kernel() ? 1 : -EBADF) ? 0 : 1;
                  });
                  if (inner != 0) return 2;
                  if (!on_kernel() && own.enter(1) != 1) return 3;
                  return own.wait(1).size() == 1 ? 0 : 4;
              }),
              0);
    expect_undisturbed();
}

// The parent's other threads are anywhere in the engine when the child is made, with its locks.
TEST_P(UnseenFork, child_of_busy_threads_hangs_at_no_lock) {
    std::atomic<bool> over = false;
    RawRing busy;
    std::thread user([&] {
        while (!over) busy.run(sqe::nop());
    });
    std::thread maker([&] {
        while (!over) RawRing short_lived;
    });
    // The child makes no ring of its own: malloc's locks are as they are.
    for (int round = 0; round < 50; ++round) {
        EXPECT_EQ(ending_of_child([&] {
                      if (busy.enter(0) != (on_kernel() ? 0 : -EBADF)) return 1;
                      return provider::close(provider_under_test(), busy.fd()) == 0 ? 0 : 2;
                  }),
                  0);
    }
    over = true;
    user.join();
    maker.join();
    expect_undisturbed();
}

// --- Children on their parent's memory ------------------------------------------------------------------------------

class SharedMemoryChild : public UnseenFork {
  protected:
    // With a table of descriptors of its own, as vfork(2) makes it, but on a stack of its own, so that the test may do
    // more there than exec.
    static int ending_of_clone(int (*body)(void*), void* argument = nullptr) {
        alignas(16) static char stack[256 * 1024];
        return ending_in_time(clone(body, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, argument));
    }
};

INSTANTIATE_TEST_SUITE_P(Ways, SharedMemoryChild, testing::Values(Way{"vfork", nullptr}),
                         [](const testing::TestParamInfo<Way>& way) { return std::string(way.param.name); });

TEST_P(SharedMemoryChild, that_closes_the_ring_closes_its_own_descriptor) {
    int fd = ring.fd();
    const auto body = [](void* number) {
        return provider::close(provider_under_test(), *static_cast<int*>(number)) == 0 ? 0 : 1;
    };
    EXPECT_EQ(ending_of_clone(body, &fd), 0);
    EXPECT_THAT(ring.reap(), IsEmpty());
    expect_undisturbed();
}

TEST_P(SharedMemoryChild, is_not_taken_for_a_copy) {
    EXPECT_EQ(ending_of_clone([](void*) { return 0; }), 0);
    EXPECT_THAT(ring.submit(sqe::nop().data(7)), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(7, 0)));
    expect_undisturbed();
}

TEST_P(SharedMemoryChild, that_starts_another_program_leaves_the_parent_alone) {
    pid_t child;
    char name[] = "true";
    char* arguments[] = {name, nullptr};
    ASSERT_EQ(posix_spawn(&child, "/bin/true", nullptr, nullptr, arguments, environ), 0);
    EXPECT_EQ(ending_in_time(child), 0);
    expect_undisturbed();
}

// --- Children of fork(2)
// -----------------------------------------------------------------------------------------------

// The engine answered a child with EBADF without a word, and servers tried again for ever.
TEST(ForkedChild, is_told_once_why_it_may_not_use_the_ring) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
    const Pipe report;
    const pid_t child = fork();
    if (child == 0) {
        dup2(report.write_end, STDERR_FILENO);
        ring.enter(1);
        ring.enter(1);
        io_uring_probe probe = {};
        ring.register_call(IORING_REGISTER_PROBE, &probe, 0);
        _exit(0);
    }
    EXPECT_EQ(ending_in_time(child), 0);
    char told[1024] = {};
    fcntl(report.read_end, F_SETFL, O_NONBLOCK);
    const ssize_t size = read(report.read_end, told, sizeof(told) - 1);
    if (on_kernel()) {
        EXPECT_EQ(size, -1);
        return;
    }
    const std::string text(told);
    EXPECT_THAT(text, testing::HasSubstr("fork"));
    EXPECT_THAT(text, testing::HasSubstr("EBADF"));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

// The eventfds of direct transfers, of polling threads and of the program's notification stayed open in the child.
TEST(ForkedChild, has_no_descriptor_of_the_engines) {
    const TemporaryDirectory directory;
    const Fd direct(open(directory.add("direct", std::string(4096, 'x')).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    ASSERT_GE(direct, 0) << "a file system with O_DIRECT under /tmp is needed";
    int eventfd = ::eventfd(0, EFD_CLOEXEC);
    const Fd owner(eventfd);
    AlignedBuffer memory(4096);
    // A child without a ring, since what an earlier ring has left to the process is not left to a child.
    const int before = ending_of_child([] { return static_cast<int>(count_fds()); });
    RawRing ring;
    ASSERT_EQ(ring.register_call(IORING_REGISTER_EVENTFD, &eventfd, 1), 0);
    EXPECT_THAT(ring.run(sqe::read(direct, memory.data(), 4096)), Gives(4096));
    EXPECT_EQ(ending_of_child([] { return static_cast<int>(count_fds()); }), before + 1);
}

}  // namespace
}  // namespace ringside::test
