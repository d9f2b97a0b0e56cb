// Waiting, threads, files and other rings.
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <semaphore>
#include <thread>

#include "faults/scenarios.h"
#include "state/ring.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/sqe_files.h"

namespace ringside::test {

constexpr unsigned deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

// --- Setting up -----------------------------------------------------------------------------------------------------

// A ring that cannot be had is an error of the call; one that was had works.
static void set_up(Trial& trial, unsigned flags) {
    trial.begin();
    io_uring_params params = params_with(flags);
    params.sq_thread_idle = 1;
    const int fd = setup_ring(8, &params);
    if (fd < 0) {
        EXPECT_TRUE(trial.excuses(fd)) << fd;
        return;
    }
    provider::close(provider_under_test(), fd);
}

void sets_up(Trial& trial) { set_up(trial, 0); }
void sets_up_a_submission_thread(Trial& trial) { set_up(trial, IORING_SETUP_SQPOLL); }

// --- Waiting --------------------------------------------------------------------------------------------------------

static void wait_for_pipes(Trial& trial, RawRing& ring) {
    const Pipe first, second;
    char bytes[2];
    const iovec vector = {&bytes[0], 1};
    trial.begin();
    trial.submit(ring, sqe::readv(first.read_end, &vector, 1).data(1), sqe::poll_add(second.read_end, POLLIN).data(2));
    give(first);
    give(second);
    trial.expect(ring, {{1, 1}, {2, POLLIN}});
}

void waits_for_pipes(Trial& trial) {
    RawRing ring;
    wait_for_pipes(trial, ring);
}

void waits_for_pipes_with_its_work_deferred(Trial& trial) {
    RawRing ring(8, deferred);
    wait_for_pipes(trial, ring);
}

void never_enters_again(Trial& trial) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    trial.begin();
    trial.submit(ring, sqe::read(pipe.read_end, &byte, 1).data(1));
    sleep_ms(5);
    give(pipe);
    trial.watch(ring, {{1, 1}});
}

void waits_for_time(Trial& trial) {
    RawRing ring;
    // Not on the stack, from which the engine reads without asking the kernel.
    static const __kernel_timespec time = milliseconds_of(5);
    trial.begin();
    trial.submit(ring, sqe::timeout(&time).data(1));
    trial.expect(ring, {{1, -ETIME}});
}

void waits_for_time_without_entering(Trial& trial) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(5);
    trial.begin();
    trial.submit(ring, sqe::timeout(&time).data(1));
    trial.watch(ring, {{1, -ETIME}});
}

static bool is_led(const RawRing& ring) {
    engine::Ring& engines = *engine::find(ring.fd());
    const engine::Guard guard(engines.lock);
    return engines.waiters.leader != nullptr;
}

void waits_in_two_threads(Trial& trial) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    const auto wait_for_one = [&] {
        const __kernel_timespec limit = milliseconds_of(patience_ms);
        io_uring_getevents_arg arg = {};
        arg.ts = address_of(&limit);
        int result;
        do {
            result = ring.enter(0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));
        } while (result == -EINTR);
        EXPECT_TRUE(result == 0 || trial.excuses(result)) << result;
    };
    // These come before the faults, which the threads of the test are not to meet.
    std::binary_semaphore submitted(0);
    std::thread other([&] {
        submitted.acquire();
        wait_for_one();
    });
    std::thread writer([&] {
        eventually([&] { return trial.has_made(SYS_ppoll) || trial.has_failed(); });
        give(pipe);
    });
    trial.begin();
    trial.submit(ring, sqe::read(pipe.read_end, &byte, 1).data(1));
    submitted.release();
    // The other leads, unless it could not, and this one waits to be told.
    eventually([&] { return is_led(ring) || trial.has_failed(); });
    wait_for_one();
    other.join();
    writer.join();
    trial.expect(ring, {{1, 1}});
}

void waits_for_the_rings_descriptor(Trial& trial) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    trial.begin();
    const int fd = engine::readiness_fd(*engine::find(ring.fd()));
    EXPECT_TRUE(fd >= 0 || trial.excuses(fd)) << fd;
    trial.submit(ring, sqe::read(pipe.read_end, &byte, 1).data(1));
    give(pipe);
    trial.watch(ring, {{1, 1}});
}

// --- Threads --------------------------------------------------------------------------------------------------------

void has_workers(Trial& trial) {
    RawRing ring;
    const Fd file = file_with("content");
    const Pipe pipe;
    char buffer[8];
    trial.begin();
    trial.submit(ring, sqe::read(file, buffer, 7).data(1).flag(IOSQE_ASYNC), sqe::fsync(file).data(2),
                 sqe::write(file, "more", 4, 7).data(3));
    trial.expect(ring, {{1, 7}, {2, 0}, {3, 4}});
    trial.submit(ring, sqe::read(pipe.read_end, buffer, 1).data(4).flag(IOSQE_ASYNC));
    give(pipe);
    trial.expect(ring, {{4, 1}});
    // A worker rests.
    trial.await_call(SYS_futex);
}

void has_a_submission_thread(Trial& trial) {
    io_uring_params params = params_with(IORING_SETUP_SQPOLL);
    params.sq_thread_idle = 1;
    RawRing ring(8, params);
    const Pipe pipe;
    char byte;
    trial.begin();
    trial.submit(ring, sqe::read(pipe.read_end, &byte, 1).data(1), sqe::nop().data(2));
    while (ring.sq_head().load() != ring.sq_tail().load()) ring.enter(0, 0, IORING_ENTER_SQ_WAKEUP);
    give(pipe);
    trial.watch(ring, {{1, 1}, {2, 0}});
}

void waits_for_children(Trial& trial) {
    RawRing ring;
    const pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    const pid_t other = fork();
    if (other == 0) {
        pause();
        _exit(0);
    }
    static siginfo_t told;
    trial.begin();
    trial.submit(ring, sqe::waitid(P_ALL, 0, &told, WEXITED).data(1));
    kill(child, SIGKILL);
    trial.expect(ring, {{1, 0}});
    waitpid(child, nullptr, 0);
    trial.submit(ring, sqe::waitid(P_PID, child, &told, WEXITED).data(2));
    trial.expect(ring, {{2, -ECHILD}});
    trial.submit(ring, sqe::waitid(P_PID, other, &told, WEXITED).data(3));
    kill(other, SIGKILL);
    trial.expect(ring, {{3, 0}});
    waitpid(other, nullptr, 0);
}

void waits_for_futexes(Trial& trial) {
    RawRing ring;
    alignas(8) static uint32_t words[2], never_woken;
    const futex_waitv both[] = {{0, address_of(&words[0]), sqe::futex_32, 0},
                                {0, address_of(&never_woken), sqe::futex_32, 0}};
    trial.begin();
    trial.submit(ring, sqe::futex_wait(&words[0], 0).data(1), sqe::futex_waitv(both, 2).data(2),
                 sqe::futex_wait(&words[1], 0).data(3));
    EXPECT_TRUE(eventually([&] {
        for (const uint32_t& word : words) syscall(SYS_futex, &word, FUTEX_WAKE, 8);
        return ring.ready() == 3;
    }));
    trial.expect(ring, {{1, 0}, {2, 0}, {3, 0}});
}

// --- Files ----------------------------------------------------------------------------------------------------------

void bypasses_the_page_cache(Trial& trial) {
    RawRing ring;
    const Fd file = file_with(std::string(8192, 'x'), O_DIRECT);
    AlignedBuffer buffer(8192);
    trial.begin();
    trial.submit(ring, sqe::read(file, buffer.data(), 4096).data(1),
                 sqe::read(file, buffer.data() + 4096, 4096, 4096).data(2));
    trial.expect(ring, {{1, 4096}, {2, 4096}});
}

void carries_a_batch(Trial& trial) {
    setenv("RINGSIDE_CARRIER", "aio", 1);
    RawRing ring;
    const Fd file = file_with(std::string(8192, 'x'));
    char bytes[2];
    trial.begin();
    trial.submit(ring, sqe::read(file, bytes, 1, 5000).data(1), sqe::read(file, bytes + 1, 1, 100).data(2));
    trial.expect(ring, {{1, 1}, {2, 1}});
}

void has_the_kernel_poll(Trial& trial) {
    setenv("RINGSIDE_CARRIER", "aio", 1);
    RawRing ring;
    const Pipe pipe, other;
    trial.begin();
    trial.submit(ring, sqe::poll_add(pipe.read_end, POLLIN).data(1), sqe::poll_add(other.read_end, POLLIN).data(2));
    trial.submit(ring, sqe::poll_remove(2).data(3));
    trial.expect(ring, {{2, -ECANCELED}, {3, 0}});
    give(pipe);
    trial.expect(ring, {{1, POLLIN}});
}

void moves_bytes_between_pipes(Trial& trial) {
    RawRing ring;
    const Pipe from, to;
    trial.begin();
    trial.submit(ring, sqe::splice(from.read_end, ~0ULL, to.write_end, ~0ULL, 1).data(1));
    give(from);
    trial.expect(ring, {{1, 1}});
}

void accepts_and_receives(Trial& trial) {
    RawRing ring;
    const Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr any = {AF_UNIX, {}};
    ASSERT_EQ(bind(listener, &any, sizeof(sa_family_t)), 0);
    ASSERT_EQ(listen(listener, 8), 0);
    sockaddr_storage name;
    socklen_t length = sizeof(name);
    ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&name), &length), 0);
    trial.begin();
    trial.submit(ring, Sqe(IORING_OP_ACCEPT, listener).set(&Sqe::ioprio, IORING_ACCEPT_MULTISHOT).data(1));
    const Fd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&name), length), 0);
    const std::vector<Cqe> accepted = ring.wait(1);
    ASSERT_GE(accepted.size(), 1u);
    EXPECT_TRUE(accepted[0].res >= 0 || trial.excuses(accepted[0].res)) << accepted[0].res;
    if (accepted[0].res < 0) return;
    const Fd server(accepted[0].res);
    char byte;
    trial.submit(ring, sqe::transfer(IORING_OP_RECV, server, &byte, 1, 0).data(2));
    EXPECT_EQ(write(client, "x", 1), 1);
    trial.expect(ring, {{2, 1}});
    // It may have ended, with an error of its own, when it was to wait for the next.
    if (!(accepted.back().flags & IORING_CQE_F_MORE)) return;
    trial.submit(ring, sqe::cancel(1).data(3));
    trial.expect_cancelled(ring, 1, 3);
}

void registers_files(Trial& trial) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    const int fds[] = {pipe.read_end, -1};
    const TemporaryDirectory directory;
    const std::string path = directory.add("file", "content");
    trial.begin();
    const int registered = ring.register_call(IORING_REGISTER_FILES, const_cast<int*>(fds), 2);
    EXPECT_TRUE(registered == 0 || trial.excuses(registered)) << registered;
    if (registered < 0) return;
    trial.submit(ring, sqe::read(0, &byte, 1).flag(IOSQE_FIXED_FILE).data(1),
                 sqe::openat(AT_FDCWD, path.c_str(), O_RDONLY).set(&Sqe::file_index, 2).data(2));
    give(pipe);
    trial.expect(ring, {{1, 1}, {2, 0}});
    EXPECT_EQ(ring.register_call(IORING_UNREGISTER_FILES, nullptr, 0), 0);
}

// --- Registrations and other rings ----------------------------------------------------------------------------------

void is_told_by_an_eventfd(Trial& trial) {
    RawRing ring;
    Fd eventfd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    int fd = eventfd;
    trial.begin();
    const int registered = ring.register_call(IORING_REGISTER_EVENTFD, &fd, 1);
    EXPECT_TRUE(registered == 0 || registered == -EINVAL || trial.excuses(registered)) << registered;
    trial.submit(ring, sqe::nop().data(1));
    trial.expect(ring, {{1, 0}});
    uint64_t count = 0;
    EXPECT_EQ(read(eventfd, &count, sizeof(count)), registered == 0 ? 8 : -1);
}

void changes_its_size(Trial& trial) {
    RawRing ring(8, deferred);
    trial.begin();
    io_uring_params params = {};
    params.sq_entries = 512;
    params.cq_entries = 1024;
    const int resized = ring.register_call(IORING_REGISTER_RESIZE_RINGS, &params, 1);
    EXPECT_TRUE(resized == 0 || trial.excuses(resized)) << resized;
    if (resized == 0) ring.map_anew(params);
    trial.submit(ring, sqe::nop().data(1));
    trial.expect(ring, {{1, 0}});
}

void lends_buffers(Trial& trial) {
    RawRing ring;
    char place[64];
    iovec buffer = {place, sizeof(place)};
    const Pipe pipe;
    trial.begin();
    io_uring_buf_reg shared = {};
    shared.ring_entries = 8;
    shared.flags = IOU_PBUF_RING_MMAP;
    const int mapped = ring.register_call(IORING_REGISTER_PBUF_RING, &shared, 1);
    EXPECT_TRUE(mapped == 0 || trial.excuses(mapped)) << mapped;
    const int registered = ring.register_call(IORING_REGISTER_BUFFERS, &buffer, 1);
    EXPECT_TRUE(registered == 0 || trial.excuses(registered)) << registered;
    if (registered < 0) return;
    trial.submit(ring, sqe::transfer(IORING_OP_READ_FIXED, pipe.read_end, place, 1, 0).data(1));
    give(pipe);
    trial.expect(ring, {{1, 1}});
    if (mapped < 0) return;
    io_uring_buf_reg unshared = {};
    EXPECT_EQ(ring.register_call(IORING_UNREGISTER_PBUF_RING, &unshared, 1), 0);
}

void sends_to_another_ring(Trial& trial) {
    RawRing ring, other;
    trial.begin();
    trial.submit(ring, Sqe(IORING_OP_MSG_RING, other.fd()).set(&Sqe::off, 7).set(&Sqe::len, 5).data(1));
    trial.expect(ring, {{1, 0}});
    trial.expect(other, {{7, 5}});
}

void closes_with_all_kinds_waiting(Trial& trial) {
    const Pipe pipe, other;
    static char bytes[2];
    siginfo_t told = {};
    const pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    {
        const __kernel_timespec late = {60, 0};
        RawRing ring;
        trial.begin();
        trial.submit(ring, sqe::read(pipe.read_end, &bytes[0], 1), sqe::timeout(&late),
                     sqe::read(other.read_end, &bytes[1], 1).flag(IOSQE_ASYNC), sqe::waitid(P_ALL, 0, &told, WEXITED));
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
}

}  // namespace ringside::test
