// Reads and writes on every kind of file there is: those that seek, those that stream, those that count.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using sqe::file_position;
using testing::ElementsAre;

TEST(Kinds, regular_file_cached_and_uncached) {
    RawRing ring;
    const Fd file = file_with(std::string(100'000, 'x'));
    char buffer[16] = {};
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 15, 50'000)), Gives(15));
    EXPECT_STREQ(buffer, "xxxxxxxxxxxxxxx");
    fdatasync(file);
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    memset(buffer, 0, sizeof(buffer));
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 15, 70'000)), Gives(15));
    EXPECT_STREQ(buffer, "xxxxxxxxxxxxxxx");
}

TEST(Kinds, memory_file) {
    RawRing ring;
    const Fd file = memory_file_with("content");
    char buffer[8] = {};
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 7)), Gives(7));
    EXPECT_STREQ(buffer, "content");
    EXPECT_THAT(ring.run(sqe::write(file, "!", 1, 7)), Gives(1));
    EXPECT_EQ(content_of(file.get()), "content!");
}

TEST(Kinds, direct_file) {
    // Where the file system knows no O_DIRECT, opening fails and there is nothing to say about it.
    const TemporaryDirectory directory;
    const std::string path = directory.add("file");
    const Fd file(open(path.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
    ASSERT_TRUE(file.get() >= 0 || errno == EINVAL);
    if (file.get() < 0) return;

    RawRing ring(32);
    constexpr size_t block = 4096;
    AlignedBuffer out(4 * block);
    AlignedBuffer in(4 * block);
    for (size_t index = 0; index < out.size(); ++index) out.data()[index] = static_cast<char>('a' + index / block);
    for (uint64_t index = 0; index < 4; ++index) {
        ring.push(sqe::write(file, out.data() + index * block, block, index * block).data(index));
    }
    EXPECT_THAT(ring.submit_pushed(4), Gives(4));
    for (const Cqe& cqe : ring.wait(4)) EXPECT_THAT(cqe, Gives(block));
    for (uint64_t index = 0; index < 4; ++index) {
        ring.push(sqe::read(file, in.data() + index * block, block, index * block).data(index));
    }
    EXPECT_THAT(ring.submit_pushed(4), Gives(4));
    for (const Cqe& cqe : ring.wait(4)) EXPECT_THAT(cqe, Gives(block));
    EXPECT_EQ(memcmp(in.data(), out.data(), in.size()), 0);

    // At the end there is nothing; what is not aligned is refused.
    EXPECT_THAT(ring.run(sqe::read(file, in.data(), block, 4 * block)), Gives(0));
    EXPECT_THAT(ring.run(sqe::read(file, in.data(), 100, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::read(file, in.data(), block, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::write(file, in.data(), 100, 0)), Gives(-EINVAL));
    // The position is used here too. (Whether it moves is another matter: on Linux it does not, if the device is slow
    // enough.)
    ASSERT_EQ(lseek(file, 2 * block, SEEK_SET), static_cast<off_t>(2 * block));
    EXPECT_THAT(ring.run(sqe::read(file, in.data(), block, file_position)), Gives(block));
    EXPECT_EQ(in.data()[0], 'c');
}

TEST(Kinds, pipe) {
    for (const int flags : {0, O_NONBLOCK}) {
        RawRing ring;
        const Pipe pipe(flags);
        char buffer[8] = {};
        EXPECT_THAT(ring.run(sqe::write(pipe.write_end, "hello", 5)), Gives(5));
        EXPECT_THAT(ring.run(sqe::read(pipe.read_end, buffer, 8)), Gives(5));
        EXPECT_STREQ(buffer, "hello");
    }
}

TEST(Kinds, pipe_has_no_offsets_and_looks_at_none) {
    RawRing ring;
    const Pipe pipe;
    char buffer[8] = {};
    EXPECT_THAT(ring.run(sqe::write(pipe.write_end, "abc", 3, 1000)), Gives(3));
    EXPECT_THAT(ring.run(sqe::write(pipe.write_end, "def", 3, file_position)), Gives(3));
    EXPECT_THAT(ring.run(sqe::read(pipe.read_end, buffer, 3, 77)), Gives(3));
    EXPECT_THAT(ring.run(sqe::read(pipe.read_end, buffer + 3, 3, file_position)), Gives(3));
    EXPECT_STREQ(buffer, "abcdef");
}

TEST(Kinds, pipe_minds_an_offset_behind_which_there_is_nothing) {
    RawRing ring;
    const Pipe pipe;
    char buffer[8] = {};
    constexpr uint64_t last = INT64_MAX;
    iovec vectors[] = {{buffer, 4}, {buffer + 4, 4}};
    EXPECT_THAT(ring.run(sqe::write(pipe.write_end, "abc", 3, last - 2)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::write(pipe.write_end, "abc", 3, last - 3)), Gives(3));
    EXPECT_THAT(ring.run(sqe::readv(pipe.read_end, vectors, 2, last - 7)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::readv(pipe.read_end, vectors, 2, last - 8)), Gives(3));
    EXPECT_THAT(ring.run(sqe::readv(pipe.read_end, static_cast<iovec*>(ForbiddenPage().address()), 2, last)),
                Gives(-EFAULT));
}

TEST(Kinds, pipe_whose_other_end_is_gone) {
    RawRing ring;
    char byte;
    Pipe unwritten;
    unwritten.write_end.reset();
    EXPECT_THAT(ring.run(sqe::read(unwritten.read_end, &byte, 1)), Gives(0));
    // A write that nobody can read is EPIPE, with SIGPIPE as of write(2): ignored here.
    signal(SIGPIPE, SIG_IGN);
    Pipe unread;
    unread.read_end.reset();
    EXPECT_THAT(ring.run(sqe::write(unread.write_end, "x", 1)), Gives(-EPIPE));
    signal(SIGPIPE, SIG_DFL);
}

TEST(Kinds, wrong_end_of_a_pipe) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.run(sqe::read(pipe.write_end, &byte, 1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::write(pipe.read_end, "x", 1)), Gives(-EBADF));
}

TEST(Kinds, fifo) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.path_of("fifo");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    const Fd both(open(path.c_str(), O_RDWR | O_CLOEXEC));
    char buffer[8] = {};
    EXPECT_THAT(ring.submit(sqe::read(both, buffer, 5).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::write(both, "hello", 5).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(1, 5), Completes(2, 5)));
    EXPECT_STREQ(buffer, "hello");
}

TEST(Kinds, eventfd) {
    for (const int flags : {0, static_cast<int>(EFD_NONBLOCK), static_cast<int>(EFD_SEMAPHORE)}) {
        RawRing ring;
        const Fd counter(eventfd(0, EFD_CLOEXEC | flags));
        uint64_t value = 3;
        EXPECT_THAT(ring.run(sqe::write(counter, &value, 8)), Gives(8));
        value = 0;
        EXPECT_THAT(ring.run(sqe::read(counter, &value, 8)), Gives(8));
        EXPECT_EQ(value, flags == EFD_SEMAPHORE ? 1u : 3u);
        EXPECT_THAT(ring.run(sqe::read(counter, &value, 4)), Gives(-EINVAL));
    }
}

TEST(Kinds, eventfd_that_is_waited_for) {
    RawRing ring;
    const Fd counter(eventfd(0, EFD_CLOEXEC));
    uint64_t value = 0;
    EXPECT_THAT(ring.submit(sqe::read(counter, &value, 8).data(1)), Gives(1));
    EXPECT_EQ(ring.ready(), 0u);
    eventfd_write(counter, 5);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 8)));
    EXPECT_EQ(value, 5u);
}

TEST(Kinds, timerfd) {
    RawRing ring;
    const Fd timer(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
    const itimerspec in_ten_milliseconds = {{0, 0}, {0, 10'000'000}};
    ASSERT_EQ(timerfd_settime(timer, 0, &in_ten_milliseconds, nullptr), 0);
    uint64_t expirations = 0;
    EXPECT_THAT(ring.run(sqe::read(timer, &expirations, 8)), Gives(8));
    EXPECT_EQ(expirations, 1u);
}

TEST(Kinds, signalfd) {
    RawRing ring;
    sigset_t before;
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &mask, &before);
    const Fd signals(signalfd(-1, &mask, SFD_CLOEXEC));
    signalfd_siginfo info = {};
    kill(getpid(), SIGUSR2);
    EXPECT_THAT(ring.run(sqe::read(signals, &info, sizeof(info))), Gives(sizeof(info)));
    EXPECT_EQ(info.ssi_signo, static_cast<uint32_t>(SIGUSR2));
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(Kinds, inotify) {
    RawRing ring;
    const TemporaryDirectory directory;
    const Fd watch(inotify_init1(IN_CLOEXEC));
    ASSERT_GE(inotify_add_watch(watch, directory.path().c_str(), IN_CREATE), 0);
    alignas(inotify_event) char buffer[4096];
    EXPECT_THAT(ring.submit(sqe::read(watch, buffer, sizeof(buffer)).data(1)), Gives(1));
    EXPECT_EQ(ring.ready(), 0u);
    directory.add("newcomer");
    const std::vector<Cqe> completions = ring.wait(1);
    ASSERT_EQ(completions.size(), 1u);
    EXPECT_GT(completions[0].res, static_cast<int>(sizeof(inotify_event)));
    EXPECT_STREQ(reinterpret_cast<const inotify_event*>(buffer)->name, "newcomer");
    // Nothing is read when there is something.
    EXPECT_THAT(ring.submit(sqe::read(watch, nullptr, 0).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(), testing::IsEmpty());
    directory.add("another");
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(1, 0)));
}

TEST(Kinds, terminal) {
    RawRing ring;
    const Fd master(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    ASSERT_GE(master.get(), 0);
    ASSERT_EQ(grantpt(master), 0);
    ASSERT_EQ(unlockpt(master), 0);
    char name[64];
    ASSERT_EQ(ptsname_r(master, name, sizeof(name)), 0);
    const Fd terminal(open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
    char buffer[16] = {};
    // A line is read when it is ended; until then the read waits.
    EXPECT_THAT(ring.submit(sqe::read(terminal, buffer, sizeof(buffer)).data(1)), Gives(1));
    EXPECT_EQ(write(master, "line", 4), 4);
    EXPECT_THAT(ring.linger(5), testing::IsEmpty());
    EXPECT_EQ(write(master, "\n", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
    EXPECT_STREQ(buffer, "line\n");
    // The kernel ends a ring some time after it was closed, by a signal of a kind to the thread that had it: a write to
    // a terminal, which can be interrupted, then gives -EINTR though nothing of this ring's has happened.
    Cqe written = {};
    do {
        written = ring.run(sqe::write(terminal, "answer", 6).data(2));
    } while (written.res == -EINTR && provider_under_test() == provider::Kind::kernel);
    EXPECT_THAT(written, Gives(6));
}

TEST(Kinds, devices_of_nothing_zeros_and_chance) {
    RawRing ring;
    char buffer[64];
    const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::read(null, buffer, 64)), Gives(0));
    EXPECT_THAT(ring.run(sqe::write(null, buffer, 64)), Gives(64));
    const Fd zero(open("/dev/zero", O_RDWR | O_CLOEXEC));
    memset(buffer, 0xff, sizeof(buffer));
    EXPECT_THAT(ring.run(sqe::read(zero, buffer, 64)), Gives(64));
    EXPECT_EQ(std::string(buffer, 64), std::string(64, '\0'));
    const Fd chance(open("/dev/urandom", O_RDONLY | O_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::read(chance, buffer, 64)), Gives(64));
    EXPECT_NE(std::string(buffer, 64), std::string(64, '\0'));
}

TEST(Kinds, devices_take_the_file_position_for_an_offset) {
    RawRing ring;
    const Fd zero(open("/dev/zero", O_RDWR | O_CLOEXEC));
    char buffer[64];
    EXPECT_THAT(ring.run(sqe::read(zero, buffer, 64, file_position)), Gives(64));
    EXPECT_THAT(ring.run(sqe::write(zero, buffer, 64, file_position)), Gives(64));
}

TEST(Kinds, files_of_the_kernel) {
    RawRing ring;
    const Fd file(open("/proc/self/stat", O_RDONLY | O_CLOEXEC));
    char buffer[16] = {};
    const Cqe first = ring.run(sqe::read(file, buffer, 15));
    EXPECT_GT(first.res, 0);
    EXPECT_EQ(std::string(buffer, 0, std::string(buffer).find(' ')), std::to_string(getpid()));
}

TEST(Kinds, sockets) {
    for (const int kind : {0, 1, 2}) {
        SCOPED_TRACE(testing::Message() << "kind " << kind);
        RawRing ring;
        const Ends ends = kind == 0 ? tcp_pair() : unix_pair(kind == 1 ? SOCK_STREAM : SOCK_STREAM | SOCK_NONBLOCK);
        char buffer[8] = {};
        EXPECT_THAT(ring.run(sqe::write(ends.near, "hello", 5)), Gives(5));
        EXPECT_THAT(ring.run(sqe::read(ends.far, buffer, 5)), Gives(5));
        EXPECT_STREQ(buffer, "hello");
    }
}

TEST(Kinds, datagram_socket_keeps_messages_apart) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_DGRAM);
    char buffer[8] = {};
    EXPECT_THAT(ring.run(sqe::write(ends.near, "one", 3)), Gives(3));
    EXPECT_THAT(ring.run(sqe::write(ends.near, "second", 6)), Gives(6));
    EXPECT_THAT(ring.run(sqe::read(ends.far, buffer, 8)), Gives(3));
    EXPECT_THAT(ring.run(sqe::read(ends.far, buffer, 4)), Gives(4));
    EXPECT_STREQ(buffer, "seco");
}

TEST(Kinds, socket_whose_peer_is_gone) {
    RawRing ring;
    char byte;
    Ends ends = unix_pair(SOCK_STREAM);
    ends.near.reset();
    EXPECT_THAT(ring.run(sqe::read(ends.far, &byte, 1)), Gives(0));
    signal(SIGPIPE, SIG_IGN);
    EXPECT_THAT(ring.run(sqe::write(ends.far, "x", 1)), Gives(-EPIPE));
    signal(SIGPIPE, SIG_DFL);
}

TEST(Kinds, socket_that_is_not_connected) {
    RawRing ring;
    char byte;
    const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_THAT(ring.run(sqe::read(socket, &byte, 1)), Gives(-ENOTCONN));
}

TEST(Kinds, streams_ignore_an_offset_that_leaves_room_for_the_range) {
    RawRing ring;
    char bytes[8] = {};
    iovec vector = {bytes, sizeof(bytes)};
    constexpr uint64_t last = INT64_MAX;
    const Fd counter(eventfd(7, EFD_CLOEXEC));
    const Pipe pipe;
    const Ends ends = unix_pair(SOCK_STREAM);
    for (const int fd : {counter.get(), pipe.read_end.get(), ends.near.get()}) {
        EXPECT_THAT(ring.run(sqe::read(fd, bytes, 8, last)), Gives(-EINVAL));
        EXPECT_THAT(ring.run(sqe::readv(fd, &vector, 1, last - 7)), Gives(-EINVAL));
    }
    EXPECT_THAT(ring.run(sqe::read(pipe.write_end, bytes, 8, last)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::read(ends.near, bytes, 8, last - 8)), Gives(-ESPIPE));
    EXPECT_THAT(ring.run(sqe::read(counter, bytes, 8, last - 8)), Gives(8));
    EXPECT_EQ(bytes[0], 7);
}

TEST(Kinds, more_than_one_call_moves_is_not_asked_for) {
    RawRing ring;
    const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    // Not on the stack, which may lie less than two gigabytes below the end of all addresses.
    static char byte = 0;
    constexpr int most = INT32_MAX & ~4095;
    EXPECT_THAT(ring.run(sqe::write(null, &byte, INT32_MAX)), Gives(most));
    // So it is no short transfer, which would not be silent and would sever its chain.
    EXPECT_THAT(ring.submit(sqe::write(null, &byte, INT32_MAX).data(1).flag(IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK),
                            sqe::nop().data(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
}

}  // namespace
}  // namespace ringside::test
