// Each operation that can be awaited, cancelled at each moment: before it is awaited, before it is submitted, while it
// waits, and when it has completed. It always ends, its task goes on once, and what it achieved is not lost.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <array>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "allocations.h"
#include "ringside/ringside.hpp"
#include "ringside/waits.hpp"
#include "support/eventually.h"
#include "support/files.h"

namespace ringside::test {
namespace {

using namespace std::chrono_literals;

// What the operations work on: files where nothing happens until the test ends.
struct Quiet {
    Quiet() {
        full_pipe.fill();
        fcntl(full_socket.near, F_SETFL, O_NONBLOCK);
        while (::send(full_socket.near, large.data(), large.size(), MSG_NOSIGNAL) > 0) {
        }
        fcntl(full_socket.near, F_SETFL, 0);
        socklen_t size = sizeof(address);
        EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(listen(listener.get(), 8), 0);
        EXPECT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
        EXPECT_EQ(mkfifo(fifo.c_str(), 0600), 0);
        epoll_event event{.events = EPOLLIN, .data = {}};
        EXPECT_EQ(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, empty_pipe.read_end, &event), 0);
    }
    ~Quiet() {
        if (child == 0) return;
        kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
    }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;

    const sockaddr* name() const { return reinterpret_cast<const sockaddr*>(&address); }

    // A path where nothing is yet; one where the file is.
    const char* nowhere() { return (path = directory.path_of("new")).c_str(); }
    const char* somewhere() { return (file_path = directory.add("old", "0123456789")).c_str(); }

    // A child process that lives until the test ends.
    id_t living_child() {
        child = fork();
        if (child == 0) {
            pause();
            _exit(0);
        }
        return static_cast<id_t>(child);
    }

    static msghdr message_of(std::span<iovec> parts) {
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        return message;
    }

    Pipe empty_pipe, full_pipe;
    Ends socket = tcp_pair(), full_socket = tcp_pair();
    Descriptor listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    Descriptor client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    Fd file = file_with("0123456789");
    TemporaryDirectory directory;
    std::string fifo = directory.path_of("fifo");
    std::array<std::byte, 16> buffer{};
    std::vector<std::byte> large = std::vector<std::byte>(100'000);
    std::array<iovec, 2> small_parts{{{buffer.data(), 8}, {buffer.data() + 8, 8}}};
    std::array<iovec, 1> large_part{{{large.data(), large.size()}}};
    msghdr small_message = message_of(small_parts), large_message = message_of(large_part);
    Descriptor epoll{epoll_create1(EPOLL_CLOEXEC)};
    std::array<epoll_event, 2> events{};
    std::string path, file_path;
    open_how how{.flags = O_RDONLY | O_CLOEXEC, .mode = 0, .resolve = 0};
    AlignedBuffer memory{4096};
    std::uint32_t word = 1;
    std::array<::futex_waitv, 1> futexes{
        {{.val = 1, .uaddr = reinterpret_cast<__u64>(&word), .flags = futex_u32 | futex_private, .__reserved = 0}}};
    const int on = 1;
    pid_t child = 0;
};

std::span<std::byte> bytes_of(AlignedBuffer& buffer) {
    return std::as_writable_bytes(std::span(buffer.data(), buffer.size()));
}

// An operation by name, which a test below compares with the headers; yields its errno. Several cases of one are called
// after it, with "_of_...".
struct Case {
    const char* name;
    bool waits;  // or ends at once
    Task<int> (*begin)(Quiet&);
};

template <typename Work>
Task<int> error_of(Work work) {
    const auto result = co_await std::move(work);
    co_return result.error();
}

// The first item of a stream, or what comes in a buffer, of a pool that ends with the task.
template <typename T>
Task<int> error_of_stream(Stream<T> stream) {
    const auto item = co_await stream.next();
    EXPECT_EQ(stream.error(), item.error() == ENODATA ? 0 : item.error());
    co_return item.error();
}
template <typename Begin>
Task<int> error_with_pool(Begin begin) {
    const BufferPool pool(co_await this_io(), 8, 512);
    co_return co_await begin(pool);
}

const Case cases[] = {
    {"nop", false, [](Quiet&) { return error_of(async::nop()); }},
    {"read", true, [](Quiet& it) { return error_of(async::read(it.empty_pipe.read_end.get(), it.buffer)); }},
    {"write", true, [](Quiet& it) { return error_of(async::write(it.full_pipe.write_end.get(), it.buffer)); }},
    {"recv", true, [](Quiet& it) { return error_of(async::recv(it.socket.far.get(), it.buffer)); }},
    {"send", true, [](Quiet& it) { return error_of(async::send(it.full_socket.near.get(), it.large)); }},
    {"read_all", true, [](Quiet& it) { return error_of(async::read_all(it.empty_pipe.read_end.get(), it.buffer)); }},
    {"write_all", true, [](Quiet& it) { return error_of(async::write_all(it.full_pipe.write_end.get(), it.buffer)); }},
    {"recv_all", true, [](Quiet& it) { return error_of(async::recv_all(it.socket.far.get(), it.buffer)); }},
    {"send_all", true, [](Quiet& it) { return error_of(async::send_all(it.full_socket.near.get(), it.large)); }},
    {"accept", true, [](Quiet& it) { return error_of(async::accept(it.listener)); }},
    {"connect", false, [](Quiet& it) { return error_of(async::connect(it.client, it.name(), sizeof(it.address))); }},
    {"poll", true, [](Quiet& it) { return error_of(async::poll(it.empty_pipe.read_end.get(), POLLIN)); }},
    {"sleep", true, [](Quiet&) { return error_of(async::sleep(60s)); }},
    {"sleep_until", true, [](Quiet&) { return error_of(async::sleep_until(std::chrono::steady_clock::now() + 60s)); }},
    // O_CREAT sends it to a worker, which waits for somebody who writes; without, the kernel opens a FIFO at once.
    {"openat_of_a_fifo", true,
     [](Quiet& it) { return error_of(async::openat(AT_FDCWD, it.fifo.c_str(), O_RDONLY | O_CREAT, 0600)); }},
    {"openat", false, [](Quiet&) { return error_of(async::openat(AT_FDCWD, "/dev/null", O_RDONLY)); }},
    {"fsync", false, [](Quiet& it) { return error_of(async::fsync(it.file.get())); }},
    {"statx", false, [](Quiet& it) { return error_of(async::statx(it.file.get(), "", AT_EMPTY_PATH)); }},
    {"close", false, [](Quiet&) { return error_of(async::close(Descriptor(dup(0)))); }},
    {"readv", true, [](Quiet& it) { return error_of(async::readv(it.empty_pipe.read_end.get(), it.small_parts)); }},
    {"writev", true, [](Quiet& it) { return error_of(async::writev(it.full_pipe.write_end.get(), it.small_parts)); }},
    {"splice", true,
     [](Quiet& it) {
         return error_of(async::splice(it.empty_pipe.read_end.get(), async::current_position, it.file.get(), 0, 8));
     }},
    {"tee", true,
     [](Quiet& it) { return error_of(async::tee(it.empty_pipe.read_end.get(), it.full_pipe.write_end.get(), 8)); }},
    {"pipe", false, [](Quiet&) { return error_of(async::pipe()); }},
    {"fallocate", false, [](Quiet& it) { return error_of(async::fallocate(it.file.get(), 0, 0, 4096)); }},
    {"ftruncate", false, [](Quiet& it) { return error_of(async::ftruncate(it.file.get(), 5)); }},
    {"sync_file_range", false, [](Quiet& it) { return error_of(async::sync_file_range(it.file.get(), 0, 0, 0)); }},
    {"fadvise", false, [](Quiet& it) { return error_of(async::fadvise(it.file.get(), 0, 0, POSIX_FADV_RANDOM)); }},
    {"madvise", false, [](Quiet& it) { return error_of(async::madvise(bytes_of(it.memory), MADV_WILLNEED)); }},
    {"openat2", false, [](Quiet& it) { return error_of(async::openat2(AT_FDCWD, "/dev/null", it.how)); }},
    {"renameat", false,
     [](Quiet& it) { return error_of(async::renameat(AT_FDCWD, it.somewhere(), AT_FDCWD, it.nowhere())); }},
    {"unlinkat", false, [](Quiet& it) { return error_of(async::unlinkat(AT_FDCWD, it.somewhere())); }},
    {"mkdirat", false, [](Quiet& it) { return error_of(async::mkdirat(AT_FDCWD, it.nowhere(), 0700)); }},
    {"symlinkat", false, [](Quiet& it) { return error_of(async::symlinkat("target", AT_FDCWD, it.nowhere())); }},
    {"linkat", false,
     [](Quiet& it) { return error_of(async::linkat(AT_FDCWD, it.somewhere(), AT_FDCWD, it.nowhere())); }},
    {"setxattr", false, [](Quiet& it) { return error_of(async::setxattr(it.somewhere(), "user.name", it.buffer)); }},
    {"getxattr", false,
     [](Quiet& it) {
         ::setxattr(it.somewhere(), "user.name", "value", 5, 0);
         return error_of(async::getxattr(it.file_path.c_str(), "user.name", it.buffer));
     }},
    {"fsetxattr", false, [](Quiet& it) { return error_of(async::fsetxattr(it.file.get(), "user.name", it.buffer)); }},
    {"fgetxattr", false,
     [](Quiet& it) {
         ::fsetxattr(it.file.get(), "user.name", "value", 5, 0);
         return error_of(async::fgetxattr(it.file.get(), "user.name", it.buffer));
     }},
    {"recvmsg", true, [](Quiet& it) { return error_of(async::recvmsg(it.socket.far.get(), &it.small_message)); }},
    {"sendmsg", true, [](Quiet& it) { return error_of(async::sendmsg(it.full_socket.near.get(), &it.large_message)); }},
    {"sendto", true,
     [](Quiet& it) { return error_of(async::sendto(it.full_socket.near.get(), it.large, nullptr, 0)); }},
    {"send_zc", true, [](Quiet& it) { return error_of(async::send_zc(it.full_socket.near.get(), it.large)); }},
    {"sendmsg_zc", true,
     [](Quiet& it) { return error_of(async::sendmsg_zc(it.full_socket.near.get(), &it.large_message)); }},
    {"socket", false, [](Quiet&) { return error_of(async::socket(AF_INET, SOCK_STREAM)); }},
    {"bind", false,
     [](Quiet& it) {
         it.address.sin_port = 0;
         return error_of(async::bind(it.client, it.name(), sizeof(it.address)));
     }},
    {"listen", false, [](Quiet& it) { return error_of(async::listen(it.listener)); }},
    {"shutdown", false, [](Quiet& it) { return error_of(async::shutdown(it.socket.near.get(), SHUT_WR)); }},
    {"getsockopt", false,
     [](Quiet& it) { return error_of(async::getsockopt(it.client, SOL_SOCKET, SO_REUSEADDR, it.buffer)); }},
    {"setsockopt", false,
     [](Quiet& it) {
         return error_of(async::setsockopt(it.client, SOL_SOCKET, SO_REUSEADDR, std::as_bytes(std::span(&it.on, 1))));
     }},
    {"waitid", true, [](Quiet& it) { return error_of(async::waitid(P_PID, it.living_child())); }},
    {"futex_wait", true, [](Quiet& it) { return error_of(async::futex_wait(&it.word, 1)); }},
    {"futex_wake", false, [](Quiet& it) { return error_of(async::futex_wake(&it.word, 1)); }},
    {"futex_waitv", true, [](Quiet& it) { return error_of(async::futex_waitv(it.futexes)); }},
    {"epoll_wait", true, [](Quiet& it) { return error_of(async::epoll_wait(it.epoll, it.events)); }},
    {"epoll_ctl", false,
     [](Quiet& it) { return error_of(async::epoll_ctl(it.epoll, EPOLL_CTL_DEL, it.empty_pipe.read_end.get())); }},
    {"recv_buffer", true,
     [](Quiet& it) {
         return error_with_pool(
             [&](const BufferPool& pool) { return error_of(async::recv_buffer(it.socket.far.get(), pool)); });
     }},
    {"read_buffer", true,
     [](Quiet& it) {
         return error_with_pool(
             [&](const BufferPool& pool) { return error_of(async::read_buffer(it.empty_pipe.read_end.get(), pool)); });
     }},
    {"accept_stream", true, [](Quiet& it) { return error_of_stream(async::accept_stream(it.listener)); }},
    {"recv_stream", true,
     [](Quiet& it) {
         return error_with_pool(
             [&](const BufferPool& pool) { return error_of_stream(async::recv_stream(it.socket.far.get(), pool)); });
     }},
    {"recvmsg_stream", true,
     [](Quiet& it) {
         return error_with_pool(
             [&](const BufferPool& pool) { return error_of_stream(async::recvmsg_stream(it.socket.far.get(), pool)); });
     }},
    {"read_stream", true,
     [](Quiet& it) {
         return error_with_pool([&](const BufferPool& pool) {
             return error_of_stream(async::read_stream(it.empty_pipe.read_end.get(), pool));
         });
     }},
    {"poll_stream", true,
     [](Quiet& it) { return error_of_stream(async::poll_stream(it.empty_pipe.read_end.get(), POLLIN)); }},
    {"tick_stream", true, [](Quiet&) { return error_of_stream(async::tick_stream(60s)); }},
    {"with_timeout", true, [](Quiet&) { return error_of(with_timeout(async::sleep(60s), 50s)); }},
};

std::ostream& operator<<(std::ostream& stream, const Case& it) { return stream << it.name; }

Task<void> into(Task<int> task, int& error) { error = co_await std::move(task); }

class Cancelled : public NothingLeaked, public testing::WithParamInterface<Case> {
  protected:
    // Runs the operation in a scope that `stop` is called with when the operation has been spawned. Yields its errno.
    template <typename Stop>
    int run(const Options& options, Stop stop) {
        Quiet quiet;
        int error = -1;
        const auto task = [&]() -> Task<void> {
            co_await with_scope([&](Scope& scope) -> Task<void> {
                scope.spawn(into(GetParam().begin(quiet), error));
                return stop(scope);
            });
            const Result<void> nop = co_await async::nop();
            EXPECT_TRUE(nop.ok()) << "the ring is as good as before";
        };
        Io io(options);
        io.run(task());
        EXPECT_EQ(io.in_flight(), 0u);
        return error;
    }

    void expect_cancelled(int error) const {
        if (GetParam().waits) EXPECT_EQ(error, ECANCELED);
        else EXPECT_TRUE(error == 0 || error == ECANCELED) << error;
    }
};

Task<void> stop_now(Scope& scope) {
    scope.request_stop();
    co_return;
}

Task<void> stop_after_spawned(Scope& scope) {
    const auto stopper = [](Scope& it) -> Task<void> {
        it.request_stop();
        co_return;
    };
    scope.spawn(stopper(scope));
    co_return;
}

Task<void> stop_later(Scope& scope) {
    (void)co_await shielded(async::sleep(5ms));
    scope.request_stop();
}

// A close is carried out all the same.
TEST_P(Cancelled, before_it_is_awaited) {
    EXPECT_EQ(run({}, stop_now), GetParam().name == std::string("close") ? 0 : ECANCELED);
}

TEST_P(Cancelled, before_it_is_submitted) { expect_cancelled(run({}, stop_after_spawned)); }

// What does not wait has completed by then, mostly, and nothing is left to cancel.
TEST_P(Cancelled, while_it_waits) { expect_cancelled(run({}, stop_later)); }

// In a queue of one entry each request, and each cancel, needs the queue to be submitted first.
TEST_P(Cancelled, when_the_queue_has_no_room) {
    expect_cancelled(run(Options{.entries = 1}, stop_after_spawned));
    expect_cancelled(run(Options{.entries = 1}, stop_later));
}

// The submission thread takes its time, so that requests wait for an SQE, and cancels do.
TEST_P(Cancelled, when_a_thread_submits) {
    expect_cancelled(run(Options{.entries = 1, .flags = IORING_SETUP_SQPOLL}, stop_after_spawned));
    expect_cancelled(run(Options{.entries = 1, .flags = IORING_SETUP_SQPOLL}, stop_later));
}

INSTANTIATE_TEST_SUITE_P(Each, Cancelled, testing::ValuesIn(cases),
                         [](const testing::TestParamInfo<Case>& it) { return std::string(it.param.name); });

// The operations are the inline functions of the headers that return an operation.
TEST(EveryOperation, has_a_case_that_cancels_it) {
    const std::regex function("^inline \\w+(?:<[^>]*>)? (\\w+)\\(");
    std::set<std::string> cancelled;
    for (const Case& it : cases) cancelled.insert(std::string(it.name).substr(0, std::string(it.name).find("_of_")));
    size_t operations = 0;
    for (const char* header : {"operations", "files", "sockets", "waits", "buffers", "streams"}) {
        std::ifstream text(RINGSIDE_SOURCE "/include/ringside/" + std::string(header) + ".hpp");
        bool in_async = false;
        for (std::string line; std::getline(text, line);) {
            if (line.starts_with("namespace async {")) in_async = true;
            if (line.starts_with("}  // namespace async")) in_async = false;
            std::smatch match;
            if (!in_async || !std::regex_search(line, match, function)) continue;
            ++operations;
            EXPECT_EQ(cancelled.count(match[1]), 1u) << match[1] << " has no case above";
        }
    }
    EXPECT_GT(operations, 50u);
}

}  // namespace
}  // namespace ringside::test
