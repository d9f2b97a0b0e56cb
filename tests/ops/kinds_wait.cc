// Every kind of file that can be waited for: a request that finds nothing there waits and holds up nobody, hears when
// something comes, and can be cancelled.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>

#include "ops/net_sqe.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A file with nothing in it, and how something comes.
struct Source {
    Fd file;
    std::function<void()> feed;
};

void write_one(int fd) { EXPECT_EQ(write(fd, "x", 1), 1); }

Source from_ends(Fd far, Fd near) {
    const auto kept = std::make_shared<Fd>(std::move(near));
    return {std::move(far), [kept] { write_one(*kept); }};
}

Source new_pipe() {
    Pipe pipe;
    return from_ends(std::move(pipe.read_end), std::move(pipe.write_end));
}

Source new_fifo() {
    const TemporaryDirectory directory;
    const std::string path = directory.path_of("fifo");
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    Fd both(open(path.c_str(), O_RDWR | O_CLOEXEC));
    Fd near(dup(both));
    return from_ends(std::move(both), std::move(near));
}

Source counter() {
    Source source = {Fd(eventfd(0, EFD_CLOEXEC)), {}};
    source.feed = [fd = source.file.get()] { EXPECT_EQ(eventfd_write(fd, 1), 0); };
    return source;
}

Source timer() {
    Source source = {Fd(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)), {}};
    source.feed = [fd = source.file.get()] {
        const itimerspec soon = {{0, 0}, {0, 1}};
        EXPECT_EQ(timerfd_settime(fd, 0, &soon, nullptr), 0);
    };
    return source;
}

// The signal stays blocked: it is for nobody else here.
Source signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    EXPECT_EQ(pthread_sigmask(SIG_BLOCK, &set, nullptr), 0);
    return {Fd(signalfd(-1, &set, SFD_CLOEXEC)), [] { EXPECT_EQ(kill(getpid(), SIGUSR2), 0); }};
}

Source changes() {
    const auto directory = std::make_shared<TemporaryDirectory>();
    Fd file(inotify_init1(IN_CLOEXEC));
    EXPECT_GE(inotify_add_watch(file, directory->path().c_str(), IN_CREATE), 0);
    return {std::move(file), [directory] { EXPECT_EQ(unlink(directory->add("new").c_str()), 0); }};
}

template <int type>
Source unix_socket() {
    Ends ends = unix_pair(type);
    return from_ends(std::move(ends.far), std::move(ends.near));
}

Source tcp_socket() {
    Ends ends = tcp_pair();
    return from_ends(std::move(ends.far), std::move(ends.near));
}

Source udp_socket() {
    const sockaddr_in any = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
    Fd far(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), near(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(bind(far, reinterpret_cast<const sockaddr*>(&any), sizeof(any)), 0);
    sockaddr_in name;
    socklen_t length = sizeof(name);
    EXPECT_EQ(getsockname(far, reinterpret_cast<sockaddr*>(&name), &length), 0);
    EXPECT_EQ(connect(near, reinterpret_cast<sockaddr*>(&name), length), 0);
    return from_ends(std::move(far), std::move(near));
}

struct Kind {
    const char* name;
    Source (*make)();
};

class EveryKind : public testing::TestWithParam<Kind> {
  protected:
    Sqe read_all(unsigned flags = 0) { return sqe::read(source_.file, bytes_, sizeof(bytes_)).data(1).flag(flags); }
    void expect_others_to_go_on() {
        EXPECT_THAT(ring_.submit(sqe::nop().data(7)), Gives(1));
        EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(7, 0)));
    }
    // Leaves nothing for the next test, of signals above all.
    void empty() { EXPECT_GT(read(source_.file, bytes_, sizeof(bytes_)), 0); }

    RawRing ring_;
    Source source_ = GetParam().make();
    char bytes_[512];
};

TEST_P(EveryKind, is_read_when_something_comes) {
    // That a file is not to be waited for is meant for system calls.
    for (const int mode : {0, O_NONBLOCK}) {
        EXPECT_EQ(fcntl(source_.file, F_SETFL, (fcntl(source_.file, F_GETFL) & ~O_NONBLOCK) | mode), 0);
        for (const unsigned flags : {0U, unsigned{IOSQE_ASYNC}}) {
            SCOPED_TRACE(testing::Message() << "mode " << mode << ", flags " << flags);
            EXPECT_THAT(ring_.submit(read_all(flags)), Gives(1));
            expect_others_to_go_on();
            EXPECT_THAT(ring_.linger(3), IsEmpty());
            source_.feed();
            const std::vector<Cqe> completions = ring_.wait(1);
            ASSERT_EQ(completions.size(), 1u);
            EXPECT_GT(completions[0].res, 0);
        }
    }
}

TEST_P(EveryKind, is_polled_until_something_comes) {
    EXPECT_THAT(ring_.submit(sqe::poll_add(source_.file, POLLIN).data(1)), Gives(1));
    expect_others_to_go_on();
    EXPECT_THAT(ring_.linger(3), IsEmpty());
    source_.feed();
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(1, POLLIN)));
    EXPECT_THAT(ring_.run(sqe::poll_add(source_.file, POLLIN)), Gives(POLLIN)) << "still there";
    empty();
}

TEST_P(EveryKind, is_given_up_by_a_read_that_is_cancelled) {
    EXPECT_THAT(ring_.submit(read_all()), Gives(1));
    EXPECT_THAT(ring_.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring_.wait(2), testing::UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
    source_.feed();
    empty();
}

INSTANTIATE_TEST_SUITE_P(Files, EveryKind,
                         testing::Values(Kind{"pipe", new_pipe}, Kind{"fifo", new_fifo}, Kind{"eventfd", counter},
                                         Kind{"timerfd", timer}, Kind{"signalfd", signals}, Kind{"inotify", changes},
                                         Kind{"unix_stream", unix_socket<SOCK_STREAM>},
                                         Kind{"unix_datagram", unix_socket<SOCK_DGRAM>},
                                         Kind{"unix_records", unix_socket<SOCK_SEQPACKET>}, Kind{"tcp", tcp_socket},
                                         Kind{"udp", udp_socket}),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace ringside::test
