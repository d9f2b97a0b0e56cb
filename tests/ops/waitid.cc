// IORING_OP_WAITID.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <semaphore>
#include <thread>
#include <vector>

#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr int own_children_only = 0x20000000;  // __WNOTHREAD

// A child that does nothing until it is told to end, and is gone with the object.
class Child {
  public:
    Child() {
        Pipe pipe(O_CLOEXEC);
        pid_ = fork();
        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pipe.write_end.reset();
            unsigned char code = 0;
            _exit(read(pipe.read_end, &code, 1) == 1 ? code : 99);
        }
        command_ = std::move(pipe.write_end);
    }
    ~Child() {
        kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    pid_t pid() const { return pid_; }
    void exit(unsigned char code) const { EXPECT_EQ(write(command_, &code, 1), 1); }
    Fd pidfd(unsigned flags = 0) const { return Fd(static_cast<int>(syscall(SYS_pidfd_open, pid_, flags))); }

    // Lets it end, and returns when it has.
    void end(unsigned char code) const {
        exit(code);
        siginfo_t info;
        EXPECT_EQ(waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT), 0);
    }

  private:
    pid_t pid_;
    Fd command_;
};

class Waitid : public testing::Test {
  protected:
    Waitid() { reset(); }
    void reset() { memset(&info, 0xee, sizeof(info)); }

    bool is_untouched() const {
        siginfo_t untouched;
        memset(&untouched, 0xee, sizeof(untouched));
        return memcmp(&info, &untouched, sizeof(info)) == 0;
    }
    void expect_nothing_told() const {
        EXPECT_EQ(info.si_signo, 0);
        EXPECT_EQ(info.si_errno, 0);
        EXPECT_EQ(info.si_code, 0);
        EXPECT_EQ(info.si_pid, 0);
        EXPECT_EQ(info.si_uid, 0u);
        EXPECT_EQ(info.si_status, 0);
    }
    void expect_told(const Child& child, int code, int status) const {
        EXPECT_EQ(info.si_signo, SIGCHLD);
        EXPECT_EQ(info.si_errno, 0);
        EXPECT_EQ(info.si_code, code);
        EXPECT_EQ(info.si_pid, child.pid());
        EXPECT_EQ(info.si_uid, getuid());
        EXPECT_EQ(info.si_status, status);
        // Nothing else is written.
        unsigned char rest[sizeof(info) - 32];
        memset(rest, 0xee, sizeof(rest));
        EXPECT_EQ(memcmp(reinterpret_cast<const char*>(&info) + 32, rest, sizeof(rest)), 0);
    }
    Sqe wait_for(const Child& child, int options = WEXITED) { return sqe::waitid(P_PID, child.pid(), &info, options); }

    RawRing ring;
    siginfo_t info;
};

TEST_F(Waitid, tells_of_a_child_that_has_ended) {
    const Child child;
    child.end(7);
    EXPECT_THAT(ring.run(wait_for(child)), Gives(0));
    expect_told(child, CLD_EXITED, 7);
    EXPECT_THAT(ring.run(wait_for(child)), Gives(-ECHILD));
    expect_nothing_told();
}

TEST_F(Waitid, waits_for_a_child_to_end) {
    const Child child;
    EXPECT_THAT(ring.submit(wait_for(child).data(1), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    EXPECT_THAT(ring.linger(), IsEmpty());
    EXPECT_TRUE(is_untouched());
    child.exit(8);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    expect_told(child, CLD_EXITED, 8);
}

TEST_F(Waitid, tells_of_a_child_that_was_killed) {
    const Child child;
    EXPECT_THAT(ring.submit(wait_for(child).data(1)), Gives(1));
    kill(child.pid(), SIGTERM);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    expect_told(child, CLD_KILLED, SIGTERM);
}

TEST_F(Waitid, waits_by_pidfd) {
    const Child child;
    Fd pidfd = child.pidfd();
    EXPECT_THAT(ring.submit(sqe::waitid(P_PIDFD, pidfd, &info, WEXITED).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    pidfd.reset();
    child.exit(9);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    expect_told(child, CLD_EXITED, 9);
}

TEST_F(Waitid, waits_for_any_child) {
    const Child one, other;
    EXPECT_THAT(ring.submit(sqe::waitid(P_ALL, 0, &info, WEXITED).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    other.exit(3);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    expect_told(other, CLD_EXITED, 3);
}

TEST_F(Waitid, waits_for_a_process_group) {
    const Child one, other;
    ASSERT_EQ(setpgid(other.pid(), other.pid()), 0);
    EXPECT_THAT(ring.submit(sqe::waitid(P_PGID, other.pid(), &info, WEXITED).data(1)), Gives(1));
    one.exit(1);
    EXPECT_THAT(ring.linger(), IsEmpty());
    other.exit(2);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    expect_told(other, CLD_EXITED, 2);
}

TEST_F(Waitid, tells_of_children_that_stop_and_go_on) {
    const Child child;
    EXPECT_THAT(ring.submit(wait_for(child, WSTOPPED | WCONTINUED).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    kill(child.pid(), SIGSTOP);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    expect_told(child, CLD_STOPPED, SIGSTOP);
    reset();
    const Fd pidfd = child.pidfd();
    EXPECT_THAT(ring.submit(sqe::waitid(P_PIDFD, pidfd, &info, WCONTINUED | WEXITED).data(2)), Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    kill(child.pid(), SIGCONT);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    expect_told(child, CLD_CONTINUED, SIGCONT);
}

TEST_F(Waitid, leaves_a_child_to_be_waited_for_again_when_told_to) {
    const Child child;
    EXPECT_THAT(ring.submit(wait_for(child, WEXITED | WNOWAIT).data(1)), Gives(1));
    child.exit(4);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    expect_told(child, CLD_EXITED, 4);
    EXPECT_THAT(ring.run(wait_for(child)), Gives(0));
}

TEST_F(Waitid, does_not_wait_when_told_not_to) {
    const Child child;
    EXPECT_THAT(ring.run(wait_for(child, WEXITED | WNOHANG)), Gives(0));
    expect_nothing_told();
    reset();
    // A non-blocking pidfd says the same.
    const Fd pidfd = child.pidfd(O_NONBLOCK);
    EXPECT_THAT(ring.run(sqe::waitid(P_PIDFD, pidfd, &info, WEXITED)), Gives(0));
    expect_nothing_told();
}

TEST_F(Waitid, without_children_has_nothing_to_wait_for) {
    EXPECT_THAT(ring.run(sqe::waitid(P_ALL, 0, &info, WEXITED)), Gives(-ECHILD));
    expect_nothing_told();
    EXPECT_THAT(ring.run(sqe::waitid(P_ALL, 0, &info, WEXITED | WNOHANG)), Gives(-ECHILD));
    EXPECT_THAT(ring.run(sqe::waitid(P_PID, 1, &info, WEXITED)), Gives(-ECHILD));
    EXPECT_THAT(ring.run(sqe::waitid(P_ALL, 0, &info, WEXITED | own_children_only)), Gives(-ECHILD));
}

TEST_F(Waitid, refuses_what_makes_no_sense) {
    const Child child;
    const Fd file = memory_file_with("");
    EXPECT_THAT(ring.run(wait_for(child, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(wait_for(child, WNOHANG)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(wait_for(child, WEXITED | 0x100)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::waitid(9, child.pid(), &info, WEXITED)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::waitid(P_PID, 0, &info, WEXITED)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::waitid(P_PID, -1, &info, WEXITED)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::waitid(P_PGID, -1, &info, WEXITED)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::waitid(P_PIDFD, -1, &info, WEXITED)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::waitid(P_PIDFD, 1'000'000, &info, WEXITED)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::waitid(P_PIDFD, file, &info, WEXITED)), Gives(-EBADF));
    EXPECT_TRUE(is_untouched());
}

TEST_F(Waitid, takes_no_place_to_tell_it) {
    const Child child, other;
    child.end(1);
    EXPECT_THAT(ring.run(sqe::waitid(P_PID, child.pid(), nullptr, WEXITED)), Gives(0));
    EXPECT_THAT(ring.run(sqe::waitid(P_PID, child.pid(), nullptr, WEXITED)), Gives(-ECHILD));
    EXPECT_THAT(ring.submit(sqe::waitid(P_PID, other.pid(), nullptr, WEXITED).data(1)), Gives(1));
    other.exit(1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
}

TEST_F(Waitid, to_a_bad_address_is_efault_and_the_child_is_gone) {
    const ForbiddenPage page;
    const Child child, other, third;
    child.end(1);
    EXPECT_THAT(ring.run(sqe::waitid(P_PID, child.pid(), page.address(), WEXITED)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(wait_for(child)), Gives(-ECHILD));
    EXPECT_THAT(ring.run(sqe::waitid(P_PID, child.pid(), page.address(), WEXITED)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::waitid(P_PID, child.pid(), page.address(), 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::waitid(P_PID, other.pid(), page.address(), WEXITED | WNOHANG)), Gives(-EFAULT));
    EXPECT_THAT(ring.submit(sqe::waitid(P_PID, other.pid(), page.address(), WEXITED).data(1)), Gives(1));
    other.exit(1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EFAULT)));
    EXPECT_THAT(ring.run(wait_for(other)), Gives(-ECHILD));
    EXPECT_THAT(ring.submit(sqe::waitid(P_ALL, 0, page.brink(16), WEXITED).data(1)), Gives(1));
    third.exit(1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EFAULT)));
}

TEST_F(Waitid, whose_child_somebody_else_takes_has_nothing_left) {
    const Child child;
    EXPECT_THAT(ring.submit(wait_for(child, WEXITED | WNOWAIT).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(wait_for(child).data(2)), Gives(1));
    child.exit(5);
    EXPECT_THAT(ring.wait(2), testing::Contains(Completes(2, 0)));
}

TEST_F(Waitid, of_the_submitting_thread_alone_waits_for_its_child) {
    const Child child;
    EXPECT_THAT(ring.submit(wait_for(child, WEXITED | own_children_only).data(1)), Gives(1));
    child.exit(6);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    expect_told(child, CLD_EXITED, 6);
}

TEST_F(Waitid, of_the_submitting_thread_alone_is_ended_by_any_child_on_the_engine) {
    // Not in the kernel. The engine cannot wait in the place of a thread that is elsewhere: docs/differences.md.
    const Child own;
    std::optional<Child> other;
    EXPECT_THAT(ring.submit(sqe::waitid(P_ALL, 0, &info, WEXITED | own_children_only).data(1)), Gives(1));
    std::binary_semaphore forked(0), done(0);
    // A child is its thread's for as long as that lives.
    std::thread thread([&] {
        other.emplace();
        other->exit(1);
        forked.release();
        done.acquire();
    });
    forked.acquire();
    const bool on_kernel = provider_under_test() == provider::Kind::kernel;
    if (on_kernel) {
        EXPECT_THAT(ring.linger(100), IsEmpty());
        own.exit(2);
    }
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    expect_told(on_kernel ? own : *other, CLD_EXITED, on_kernel ? 2 : 1);
    done.release();
    thread.join();
}

TEST_F(Waitid, can_be_cancelled) {
    const ForbiddenPage page;
    const Child child;
    const Fd pidfd = child.pidfd();
    for (const Sqe& sqe : {wait_for(child), sqe::waitid(P_PIDFD, pidfd, &info, WEXITED),
                           sqe::waitid(P_ALL, 0, &info, WEXITED), wait_for(child, WSTOPPED)}) {
        SCOPED_TRACE(testing::Message() << "which " << sqe.len << " options " << sqe.file_index);
        reset();
        EXPECT_THAT(ring.submit(Sqe(sqe).data(1)), Gives(1));
        EXPECT_THAT(ring.linger(5), IsEmpty());
        EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 1)));
        expect_nothing_told();
    }
    // A place that cannot be written to makes no difference then.
    EXPECT_THAT(ring.submit(sqe::waitid(P_ALL, 0, page.address(), WEXITED).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 1)));
    child.end(1);
    EXPECT_THAT(ring.run(wait_for(child)), Gives(0));
}

TEST_F(Waitid, asked_to_be_asynchronous_waits_all_the_same) {
    const Child child;
    EXPECT_THAT(ring.submit(wait_for(child).data(1).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_THAT(ring.linger(), IsEmpty());
    child.exit(1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 0)));
    expect_told(child, CLD_EXITED, 1);
}

TEST_F(Waitid, orders_a_chain) {
    const Child child;
    EXPECT_THAT(ring.submit(wait_for(child).data(1).flag(IOSQE_IO_LINK), wait_for(child).data(2).flag(IOSQE_IO_LINK),
                            sqe::nop().data(3)),
                Gives(3));
    EXPECT_THAT(ring.linger(), IsEmpty());
    child.exit(1);
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, -ECHILD), Completes(3, -ECANCELED)));
}

TEST_F(Waitid, that_waits_does_not_keep_its_ring_from_closing) {
    const Child child;
    size_t fds[2];
    for (size_t& after : fds) {
        RawRing other(32);
        for (int count = 0; count < 10; ++count) {
            other.push(wait_for(child));
            other.push(sqe::waitid(P_ALL, 0, &info, WEXITED));
        }
        EXPECT_THAT(other.submit_pushed(20), Gives(20));
        other.close();
        after = count_fds();
    }
    EXPECT_EQ(fds[0], fds[1]);
}

TEST_F(Waitid, completes_without_the_program_entering) {
    const Child child, other;
    EXPECT_THAT(ring.submit(wait_for(child).data(1)), Gives(1));
    child.exit(1);
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 0)));
    EXPECT_THAT(ring.submit(sqe::waitid(P_ALL, 0, &info, WEXITED).data(2)), Gives(1));
    other.exit(1);
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(2, 0)));
}

TEST_F(Waitid, waits_for_many_children) {
    constexpr uint64_t count = 30;
    RawRing big(64);
    std::vector<Child> children(count);
    siginfo_t infos[count];
    for (uint64_t index = 0; index < count; ++index) {
        big.push(sqe::waitid(P_PID, children[index].pid(), &infos[index], WEXITED).data(index));
    }
    EXPECT_THAT(big.submit_pushed(count), Gives(count));
    for (uint64_t index = 0; index < count; ++index) children[index].exit(static_cast<unsigned char>(index));
    EXPECT_EQ(big.wait(count).size(), count);
    for (uint64_t index = 0; index < count; ++index) EXPECT_EQ(infos[index].si_status, static_cast<int>(index));
}

}  // namespace
}  // namespace ringside::test
