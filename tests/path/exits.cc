// The end of a thread that has submitted requests, and of a process: what becomes of those that are in flight, and that
// nothing of them reaches memory or files afterwards.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "path/shared_bytes.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned link = IOSQE_IO_LINK;
constexpr unsigned hardlink = IOSQE_IO_HARDLINK;

Sqe nop(uint64_t data, unsigned flags = 0) { return sqe::nop().data(data).flag(flags); }

// --- The end of a thread --------------------------------------------------------------------------------------------

class ThreadExit : public testing::TestWithParam<unsigned> {
  protected:
    RawRing ring{16, GetParam()};
    const Pipe pipe;
    const Ends ends = unix_pair(SOCK_STREAM);
    char bytes[64] = {};

    Sqe read(uint64_t data, unsigned flags = 0) {
        return sqe::read(pipe.read_end, bytes, sizeof(bytes)).data(data).flag(flags);
    }
    void write_byte() { ASSERT_EQ(write(pipe.write_end, "x", 1), 1); }

    // A thread submits them and ends. A ring for a single issuer becomes that thread's.
    template <typename... Sqes>
    void submit_and_end(const Sqes&... sqes) {
        std::thread([&] {
            if (ring.has(IORING_SETUP_R_DISABLED)) ring.register_call(IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
            EXPECT_THAT(ring.submit(sqes...), Gives(sizeof...(sqes)));
        }).join();
    }
};

INSTANTIATE_TEST_SUITE_P(Modes, ThreadExit,
                         testing::Values(0U, unsigned{IORING_SETUP_COOP_TASKRUN},
                                         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED),
                         [](const testing::TestParamInfo<unsigned>& mode) -> std::string {
                             if (mode.param == 0) return "plain";
                             return mode.param == IORING_SETUP_COOP_TASKRUN ? "cooperative" : "single_issuer";
                         });

TEST_P(ThreadExit, leaves_a_read_that_takes_nothing) {
    submit_and_end(read(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_byte();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -ECANCELED)));
    EXPECT_EQ(pipe.drain(), 1u);
    EXPECT_EQ(bytes[0], 0);
}

TEST_P(ThreadExit, leaves_each_request_that_waits_for_a_file_to_end_when_that_is_ready) {
    const Pipe other;
    const auto receive = sqe::transfer(IORING_OP_RECV, ends.far, bytes, sizeof(bytes), 0).data(1);
    submit_and_end(receive, sqe::poll_add(pipe.read_end, POLLIN).data(2),
                   sqe::poll_add(other.read_end, POLLIN, IORING_POLL_ADD_MULTI).data(3));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_byte();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, -ECANCELED)));
    ASSERT_EQ(write(other.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, -ECANCELED)));
    ASSERT_EQ(write(ends.near, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -ECANCELED)));
    EXPECT_EQ(recv(ends.far, bytes, sizeof(bytes), MSG_DONTWAIT), 1);
}

TEST_P(ThreadExit, keeps_the_part_of_a_receive_that_is_done) {
    ASSERT_EQ(write(ends.near, "ab", 2), 2);
    submit_and_end(sqe::transfer(IORING_OP_RECV, ends.far, bytes, 4, 0).set(&Sqe::msg_flags, MSG_WAITALL).data(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    ASSERT_EQ(write(ends.near, "cd", 2), 2);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 2)));
    EXPECT_STREQ(bytes, "ab");
}

TEST_P(ThreadExit, leaves_chains_that_do_not_go_on) {
    submit_and_end(read(1, link), nop(2, link), nop(3));
    write_byte();
    EXPECT_THAT(ring.wait(3),
                ElementsAre(Completes(1, -ECANCELED), Completes(2, -ECANCELED), Completes(3, -ECANCELED)));
}

TEST_P(ThreadExit, leaves_even_hard_links_without_a_thread_to_go_on_in) {
    submit_and_end(read(1, hardlink), nop(2, hardlink), nop(3));
    write_byte();
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, -ECANCELED), Completes(2, -EFAULT), Completes(3, -EFAULT)));
}

TEST_P(ThreadExit, leaves_a_multishot_timeout_alone) {
    const __kernel_timespec time = milliseconds_of(5);
    submit_and_end(sqe::timeout(&time, 3, IORING_TIMEOUT_MULTISHOT).data(1));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, -ETIME, IORING_CQE_F_MORE),
                                          Completes(1, -ETIME, IORING_CQE_F_MORE), Completes(1, -ETIME)));
}

TEST_P(ThreadExit, leaves_drained_requests_that_are_not_begun) {
    submit_and_end(read(1), nop(2, IOSQE_IO_DRAIN), nop(3));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_byte();
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, -ECANCELED), Completes(2, -EFAULT), Completes(3, -EFAULT)));
}

TEST_P(ThreadExit, ends_what_blocks_in_a_worker) {
    submit_and_end(read(1, link));
    // The kernel's worker may not have begun.
    EXPECT_THAT(ring.wait(1), ElementsAre(AnyOf(Completes(1, -EINTR), Completes(1, -ECANCELED))));
    write_byte();
    EXPECT_EQ(pipe.drain(), 1u);
}

TEST_P(ThreadExit, has_what_ends_by_itself_done_in_full_or_not_at_all) {
    // What a worker had not begun may be cancelled; what it had is over when the thread is.
    const Fd file = memory_file_with("content");
    submit_and_end(sqe::read(file, bytes, 7).data(1).flag(IOSQE_ASYNC),
                   sqe::write(file, "CON", 3).data(2).flag(IOSQE_ASYNC));
    const std::string taken(bytes, 7), left = content_of(file.get());
    const std::vector<Cqe> completions = ring.wait(2);
    ASSERT_EQ(completions.size(), 2u);
    for (const Cqe& cqe : completions) {
        const bool done = cqe.res != -ECANCELED;
        if (cqe.user_data == 1) {
            EXPECT_EQ(cqe.res, done ? 7 : -ECANCELED);
            EXPECT_EQ(bytes[6], done ? 't' : 0);
        } else {
            EXPECT_EQ(cqe.res, done ? 3 : -ECANCELED);
            EXPECT_EQ(content_of(file.get()), done ? "CONtent" : "content");
        }
    }
    EXPECT_EQ(std::string(bytes, 7), taken);
    EXPECT_EQ(content_of(file.get()), left);
}

// Kernels up to some 6.18 ended it with the thread; this one has it wait on.
TEST_P(ThreadExit, leaves_a_wait_for_a_futex_alone) {
    static uint32_t word = 0;
    constexpr int kind = 2;  // FUTEX2_SIZE_U32
    submit_and_end(
        Sqe(IORING_OP_FUTEX_WAIT, kind).set(&Sqe::addr, address_of(&word)).set(&Sqe::addr3, ~0U).data(1).flag(link),
        nop(2));
    EXPECT_THAT(ring.linger(), IsEmpty());
    EXPECT_EQ(syscall(SYS_futex, &word, FUTEX_WAKE, 1), 1);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 0), Completes(2, -EFAULT)));
}

TEST_P(ThreadExit, leaves_requests_that_others_can_cancel) {
    submit_and_end(read(1));
    RawRing other;
    io_uring_sync_cancel_reg cancel = {};
    cancel.addr = 1;
    cancel.timeout = {-1, -1};
    if (ring.has(IORING_SETUP_SINGLE_ISSUER)) {
        EXPECT_THAT(ring.register_call(IORING_REGISTER_SYNC_CANCEL, &cancel, 1), Gives(-EEXIST));
    } else {
        EXPECT_THAT(ring.register_call(IORING_REGISTER_SYNC_CANCEL, &cancel, 1), Gives(0));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -ECANCELED)));
    }
}

TEST_P(ThreadExit, is_not_that_of_the_others) {
    if (ring.has(IORING_SETUP_SINGLE_ISSUER)) {
        submit_and_end(nop(1));
        EXPECT_THAT(ring.enter(1), Gives(-EEXIST));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
        return;
    }
    const Pipe other;
    char byte = 0;
    EXPECT_THAT(ring.submit(sqe::read(other.read_end, &byte, 1).data(1).flag(link), nop(2)), Gives(2));
    submit_and_end(read(3));
    ASSERT_EQ(write(other.write_end, "y", 1), 1);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(2, 0)));
    EXPECT_EQ(byte, 'y');
    write_byte();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, -ECANCELED)));
}

// What is to happen after the thread's end is brought about by another one, which a ring for a single issuer forbids.
class ThreadExitOfMany : public ThreadExit {
  protected:
    const __kernel_timespec late = {100, 0};
};

INSTANTIATE_TEST_SUITE_P(Modes, ThreadExitOfMany, testing::Values(0U),
                         [](const testing::TestParamInfo<unsigned>&) { return std::string("plain"); });

TEST_P(ThreadExitOfMany, leaves_timeouts_alone_but_not_what_follows_them) {
    submit_and_end(sqe::timeout(&late, 1).data(1).flag(link), nop(2, link), nop(3));
    EXPECT_THAT(ring.submit(nop(4)), Gives(1));
    EXPECT_THAT(ring.wait(4), UnorderedElementsAre(Completes(4, 0), Completes(1, 0), Completes(2, -EFAULT),
                                                   Completes(3, -ECANCELED)));
}

TEST_P(ThreadExitOfMany, leaves_a_link_timeout_that_ends_nothing) {
    submit_and_end(read(1, link), sqe::timeout(&late).set(&Sqe::opcode, IORING_OP_LINK_TIMEOUT).data(2));
    const __kernel_timespec soon = milliseconds_of(1);
    EXPECT_THAT(ring.submit(sqe::timeout_update(2, &soon, IORING_LINK_TIMEOUT_UPDATE).data(3)), Gives(1));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(3, 0), Completes(2, -ECANCELED)));
    EXPECT_THAT(ring.linger(), IsEmpty());
    write_byte();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -ECANCELED)));
}

// Nobody is left who has such a child, nor whose memory could be told of it.
TEST(ThreadExitWithChild, leaves_a_wait_for_a_child_that_is_nobodys) {
    for (const bool any : {false, true}) {
        for (const bool told : {false, true}) {
            SCOPED_TRACE(std::string(any ? "any child" : "one child") + (told ? ", told of" : ""));
            RawRing ring;
            siginfo_t info = {};
            const pid_t child = fork();
            if (child == 0) {
                pause();
                _exit(0);
            }
            const Sqe wait = sqe::waitid(any ? P_ALL : P_PID, any ? 0 : child, told ? &info : nullptr, WEXITED).data(1);
            std::thread([&] { EXPECT_THAT(ring.submit(wait), Gives(1)); }).join();
            EXPECT_THAT(ring.linger(), IsEmpty());
            kill(child, SIGKILL);
            // In the kernel it depends on who completes it whether telling is tried at all.
            const int other = told ? -EFAULT : -ECHILD;
            EXPECT_THAT(ring.wait(1), ElementsAre(AnyOf(Completes(1, other), Completes(1, -ECHILD))));
            EXPECT_EQ(info.si_pid, 0);
            EXPECT_EQ(waitpid(child, nullptr, 0), child);
        }
    }
}

TEST(ThreadExitOfPolled, leaves_what_the_submission_thread_has_taken) {
    io_uring_params params = params_with(IORING_SETUP_SQPOLL);
    params.sq_thread_idle = 10;
    RawRing ring(8, params);
    const Pipe pipe;
    char byte = 0;
    constexpr unsigned wake = IORING_ENTER_SQ_WAKEUP;
    std::thread([&] {
        ring.push(sqe::read(pipe.read_end, &byte, 1).data(1));
        EXPECT_THAT(ring.enter(1, 0, wake), Gives(1));
        EXPECT_TRUE(eventually([&] { return ring.sq_head().load() == 1; }));
    }).join();
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_TRUE(eventually([&] {
        EXPECT_THAT(ring.enter(0, 0, wake | IORING_ENTER_GETEVENTS), Gives(0));
        return ring.ready() != 0;
    }));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(1, 1)));
}

// --- The end of a process -------------------------------------------------------------------------------------------

class ProcessExit : public testing::TestWithParam<unsigned> {
  protected:
    const SharedBytes memory;
    const Pipe pipe;

    // In the child: a ring with requests of many kinds in flight, which is left open.
    void leave_requests_in_flight() const {
        static const __kernel_timespec soon = milliseconds_of(5), late = {100, 0};
        auto* ring = new RawRing(16, GetParam());
        ring->submit(sqe::read(pipe.read_end, memory.at(0), 1).data(1),
                     sqe::read(pipe.read_end, memory.at(1), 1).data(2).flag(IOSQE_ASYNC),
                     sqe::poll_add(pipe.read_end, POLLIN).data(3), sqe::timeout(&soon).data(4).flag(hardlink),
                     sqe::read(pipe.read_end, memory.at(2), 1).data(5), sqe::timeout(&late).data(6),
                     sqe::nop().data(7).flag(IOSQE_IO_DRAIN));
        // One that blocks in a worker.
        ring->submit(sqe::read(pipe.read_end, memory.at(3), 1).data(8).flag(link));
    }
    // What is written now is nobody's.
    void expect_nothing_left() const {
        for (int count = 0; count < 8; ++count) ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
        sleep_ms(5);
        EXPECT_EQ(pipe.drain(), 8u);
        EXPECT_EQ(memory.take_count(), 0u);
    }
};

INSTANTIATE_TEST_SUITE_P(Modes, ProcessExit,
                         testing::Values(0U, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                         unsigned{IORING_SETUP_SQPOLL}),
                         [](const testing::TestParamInfo<unsigned>& mode) -> std::string {
                             if (mode.param == 0) return "plain";
                             return mode.param == IORING_SETUP_SQPOLL ? "polled" : "deferred";
                         });

TEST_P(ProcessExit, takes_its_requests_along) {
    const Stopwatch watch;
    EXPECT_EQ(ending_of_child([&] {
                  leave_requests_in_flight();
                  return 3;
              }),
              3);
    EXPECT_LT(watch.elapsed_ms(), patience_ms / 2);
    expect_nothing_left();
}

TEST_P(ProcessExit, by_a_signal_takes_its_requests_along) {
    EXPECT_EQ(ending_of_child([&] {
                  leave_requests_in_flight();
                  return raise(SIGKILL);
              }),
              -SIGKILL);
    expect_nothing_left();
}

TEST_P(ProcessExit, of_one_that_another_thread_waits_in_is_not_held_up) {
    EXPECT_EQ(ending_of_child([&] {
                  RawRing ring(8, GetParam() & ~IORING_SETUP_DEFER_TASKRUN & ~IORING_SETUP_SINGLE_ISSUER);
                  std::thread([&] { ring.enter(0, 1, IORING_ENTER_GETEVENTS); }).detach();
                  sleep_ms(10);
                  leave_requests_in_flight();
                  _exit(4);
                  return 0;
              }),
              4);
    expect_nothing_left();
}

TEST_P(ProcessExit, by_exec_takes_its_requests_along) {
    Pipe mine;
    fcntl(mine.read_end, F_SETFD, FD_CLOEXEC);
    fcntl(mine.write_end, F_SETFD, FD_CLOEXEC);
    const pid_t child = fork();
    if (child == 0) {
        auto* ring = new RawRing(8, GetParam());
        ring->submit(sqe::read(mine.read_end, memory.at(0), 1).data(1),
                     sqe::read(mine.read_end, memory.at(1), 1).data(2).flag(IOSQE_ASYNC),
                     sqe::read(mine.read_end, memory.at(2), 1).data(3).flag(link));
        execl("/bin/sleep", "sleep", "100", nullptr);
        _exit(1);
    }
    mine.read_end.reset();
    // The new program holds no file of the old one's requests open.
    EXPECT_TRUE(eventually([&] {
        pollfd entry = {mine.write_end, 0, 0};
        return poll(&entry, 1, 0) == 1 && (entry.revents & POLLERR) != 0;
    }));
    kill(child, SIGKILL);
    EXPECT_EQ(ending_of(child), -SIGKILL);
    EXPECT_EQ(memory.take_count(), 0u);
}

}  // namespace
}  // namespace ringside::test
