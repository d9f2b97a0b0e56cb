// Each operation that can be awaited does what its name says, and reports errors by its result.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "allocations.h"
#include "ringside/ringside.hpp"
#include "support/eventually.h"
#include "support/files.h"

namespace ringside::test {
namespace {

using namespace std::chrono_literals;

class Operations : public NothingLeaked {};

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string_view text(std::span<const std::byte> bytes, size_t size) {
    return {reinterpret_cast<const char*>(bytes.data()), size};
}

TEST_F(Operations, nop_comes_back) {
    const auto task = []() -> Task<void> { EXPECT_TRUE((co_await async::nop()).ok()); };
    sync_wait(task());
}

TEST_F(Operations, read_and_write_at_an_offset_and_at_the_files_position) {
    const auto task = []() -> Task<void> {
        const Fd file = file_with("0123456789");
        std::array<std::byte, 4> buffer;
        EXPECT_EQ((co_await async::read(file.get(), buffer, 6)).value_or(0), 4u);
        EXPECT_EQ(text(buffer, 4), "6789");
        EXPECT_EQ((co_await async::read(file.get(), buffer)).value_or(0), 4u);
        EXPECT_EQ(text(buffer, 4), "0123");
        EXPECT_EQ((co_await async::read(file.get(), buffer)).value_or(0), 4u);
        EXPECT_EQ(text(buffer, 4), "4567");
        EXPECT_EQ((co_await async::write(file.get(), bytes("AB"), 2)).value_or(0), 2u);
        EXPECT_EQ((co_await async::write(file.get(), bytes("CD"))).value_or(0), 2u);
        EXPECT_EQ(content_of(file), "01AB4567CD");
        EXPECT_EQ((co_await async::read(file.get(), buffer, 10)).value_or(9), 0u) << "the end";
        EXPECT_EQ((co_await async::read(-1, buffer)).error(), EBADF);
    };
    sync_wait(task());
}

TEST_F(Operations, read_all_and_write_all_continue_short_transfers) {
    const auto task = []() -> Task<void> {
        const Pipe pipe;
        std::vector<std::byte> out(1'000'000), in(1'000'000);
        for (size_t i = 0; i < out.size(); i++) out[i] = static_cast<std::byte>(i % 251);
        const auto [written, got] =
            co_await when_all(async::write_all(pipe.write_end.get(), out), async::read_all(pipe.read_end.get(), in));
        EXPECT_EQ(written.value_or(0), out.size());
        EXPECT_EQ(got.value_or(0), in.size());
        EXPECT_TRUE(in == out);
    };
    sync_wait(task());
}

TEST_F(Operations, read_all_ends_at_the_end_of_the_file_and_keeps_to_its_offset) {
    const auto task = []() -> Task<void> {
        const Fd file = file_with("0123456789");
        std::array<std::byte, 40> buffer;
        EXPECT_EQ((co_await async::read_all(file.get(), buffer, 3)).value_or(0), 7u);
        EXPECT_EQ(text(buffer, 7), "3456789");
        EXPECT_EQ((co_await async::write_all(file.get(), bytes("xyz"), 20)).value_or(0), 3u);
        EXPECT_EQ(content_of(file), std::string("0123456789") + std::string(10, '\0') + "xyz");
        EXPECT_EQ((co_await async::read_all(file.get(), std::span<std::byte>(), 0)).value_or(1), 0u);
        EXPECT_EQ((co_await async::read_all(-1, buffer)).error(), EBADF);
        const Fd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
        EXPECT_EQ((co_await async::write_all(full.get(), bytes("xyz"))).error(), ENOSPC);
    };
    sync_wait(task());
}

TEST_F(Operations, files_are_opened_looked_at_brought_to_disk_and_closed) {
    const TemporaryDirectory directory;
    const auto task = [&]() -> Task<void> {
        const std::string path = directory.path_of("file");
        Result<Descriptor> file = co_await async::openat(AT_FDCWD, path.c_str(), O_CREAT | O_RDWR, 0600);
        EXPECT_TRUE(file.ok());
        EXPECT_EQ(fcntl(file->get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        EXPECT_EQ((co_await async::write_all(*file, bytes("twelve bytes"))).value_or(0), 12u);
        EXPECT_TRUE((co_await async::fsync(*file)).ok());
        EXPECT_TRUE((co_await async::fsync(*file, IORING_FSYNC_DATASYNC)).ok());
        const Result<struct ::statx> status = co_await async::statx(AT_FDCWD, path.c_str());
        EXPECT_TRUE(status.ok());
        EXPECT_EQ(status->stx_size, 12u);
        const Result<struct ::statx> same = co_await async::statx(*file, "", AT_EMPTY_PATH);
        EXPECT_EQ(same.map([](const struct ::statx& it) { return it.stx_ino; }).value_or(0), status->stx_ino);
        const int number = file->get();
        EXPECT_TRUE((co_await async::close(*std::move(file))).ok());
        EXPECT_EQ(fcntl(number, F_GETFD), -1);
        EXPECT_EQ((co_await async::openat(AT_FDCWD, "/nonexistent/file", O_RDONLY)).error(), ENOENT);
        EXPECT_EQ((co_await async::statx(AT_FDCWD, "/nonexistent/file")).error(), ENOENT);
        EXPECT_EQ((co_await async::fsync(-1)).error(), EBADF);
        EXPECT_EQ((co_await async::close(Descriptor())).error(), EBADF);
    };
    sync_wait(task());
}

TEST_F(Operations, a_close_that_is_never_awaited_closes_nevertheless) {
    Pipe pipe;
    const int number = pipe.read_end.get();
    {
        const auto never = async::close(Descriptor(pipe.read_end.release()));
    }
    EXPECT_EQ(fcntl(number, F_GETFD), -1);
}

struct Listener {
    Listener() : fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(address);
        EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(listen(fd.get(), 8), 0);
        EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    }
    const sockaddr* name() const { return reinterpret_cast<const sockaddr*>(&address); }

    Descriptor fd;
    sockaddr_in address{};
};

TEST_F(Operations, sockets_connect_accept_send_and_receive) {
    const auto task = []() -> Task<void> {
        const Listener listener;
        const Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        auto [server, connected] = co_await when_all(async::accept(listener.fd),
                                                     async::connect(client, listener.name(), sizeof(listener.address)));
        EXPECT_TRUE(connected.ok());
        EXPECT_TRUE(server.ok());
        EXPECT_EQ((co_await async::send(client, bytes("hello"))).value_or(0), 5u);
        std::array<std::byte, 16> buffer;
        EXPECT_EQ((co_await async::recv(*server, buffer)).value_or(0), 5u);
        EXPECT_EQ(text(buffer, 5), "hello");
        std::vector<std::byte> out(3'000'000, std::byte{7}), in(3'000'000);
        const auto [sent, received] = co_await when_all(async::send_all(client, out), async::recv_all(*server, in));
        EXPECT_EQ(sent.value_or(0), out.size());
        EXPECT_EQ(received.value_or(0), in.size());
        EXPECT_TRUE(in == out);
        EXPECT_EQ(shutdown(client.get(), SHUT_WR), 0);
        EXPECT_EQ((co_await async::recv(*server, buffer)).value_or(9), 0u) << "the peer has said goodbye";
        EXPECT_EQ((co_await async::recv_all(*server, buffer)).value_or(9), 0u);
        EXPECT_EQ((co_await async::send(client, bytes("more"))).error(), EPIPE) << "and no SIGPIPE";
        EXPECT_EQ((co_await async::accept(client)).error(), EINVAL);
    };
    sync_wait(task());
}

TEST_F(Operations, connect_to_nobody_is_refused) {
    const auto task = []() -> Task<void> {
        sockaddr_in nobody;
        {
            const Listener listener;
            nobody = listener.address;
        }
        const Descriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        const Result<void> result =
            co_await async::connect(client, reinterpret_cast<const sockaddr*>(&nobody), sizeof(nobody));
        EXPECT_EQ(result.error(), ECONNREFUSED);
    };
    sync_wait(task());
}

TEST_F(Operations, poll_tells_what_a_file_is_ready_for) {
    const auto task = []() -> Task<void> {
        const Pipe pipe;
        EXPECT_EQ((co_await async::poll(pipe.write_end.get(), POLLOUT)).value_or(0), static_cast<unsigned>(POLLOUT));
        const auto later = [](int fd) -> Task<void> {
            (void)co_await async::sleep(2ms);
            EXPECT_EQ(::write(fd, "x", 1), 1);
        };
        const auto [events, nothing] =
            co_await when_all(async::poll(pipe.read_end.get(), POLLIN), later(pipe.write_end));
        (void)nothing;
        EXPECT_EQ(events.value_or(0), static_cast<unsigned>(POLLIN));
        EXPECT_EQ((co_await async::poll(-1, POLLIN)).error(), EBADF);
    };
    sync_wait(task());
}

TEST_F(Operations, sleep_lasts_as_long_as_it_is_told_to) {
    const auto task = []() -> Task<void> {
        const Stopwatch watch;
        EXPECT_TRUE((co_await async::sleep(20ms)).ok());
        EXPECT_GE(watch.elapsed_ms(), 19);
        EXPECT_TRUE((co_await async::sleep_until(std::chrono::steady_clock::now() + 20ms)).ok());
        EXPECT_GE(watch.elapsed_ms(), 39);
        EXPECT_TRUE((co_await async::sleep(0ms)).ok());
        EXPECT_TRUE((co_await async::sleep(-1s)).ok());
        EXPECT_TRUE((co_await async::sleep_until(std::chrono::steady_clock::now() - 1s)).ok());
        EXPECT_LT(watch.elapsed_ms(), 10'000);
    };
    sync_wait(task());
}

TEST_F(Operations, that_are_not_listed_can_be_made_of_a_prep_helper) {
    const TemporaryDirectory directory;
    const auto task = [&]() -> Task<void> {
        const std::string path = directory.path_of("made");
        const Operation<void> never([&](io_uring_sqe* sqe) { io_uring_prep_mkdir(sqe, path.c_str(), 0700); });
        Operation<void> make([&](io_uring_sqe* sqe) { io_uring_prep_mkdir(sqe, path.c_str(), 0700); });
        EXPECT_TRUE((co_await std::move(make)).ok());
        EXPECT_EQ((co_await async::statx(AT_FDCWD, path.c_str())).value_or({}).stx_mode & S_IFMT, S_IFDIR);
    };
    sync_wait(task());
}

// A queue of two entries, and three hundred requests at once: the queue is submitted in between.
TEST_F(Operations, can_be_more_at_once_than_the_ring_has_entries) {
    Io io(Options{.entries = 2});
    const auto task = []() -> Task<void> {
        int finished = 0;
        co_await with_scope([&](Scope& scope) -> Task<void> {
            const auto child = [](int& count) -> Task<void> {
                EXPECT_TRUE((co_await async::sleep(2ms)).ok());
                EXPECT_TRUE((co_await async::nop()).ok());
                ++count;
            };
            for (int i = 0; i < 300; i++) scope.spawn(child(finished));
            while (scope.running() != 0) EXPECT_TRUE((co_await async::sleep(1ms)).ok());
        });
        EXPECT_EQ(finished, 300);
    };
    io.run(task());
}

TEST_F(Operations, allocate_nothing) {
    const auto task = []() -> Task<void> {
        const Pipe pipe;
        const Fd file = file_with("0123456789");
        std::array<std::byte, 4> buffer;
        const size_t before = allocations_made();
        bool ok = true;
        for (int i = 0; i < 100; i++) {
            ok &= (co_await async::nop()).ok();
            ok &= (co_await async::write(pipe.write_end.get(), bytes("abcd"))).ok();
            ok &= (co_await async::poll(pipe.read_end.get(), POLLIN)).ok();
            ok &= (co_await async::read(pipe.read_end.get(), buffer)).ok();
            ok &= (co_await async::write_all(file.get(), bytes("abcd"), 0)).ok();
            ok &= (co_await async::read_all(file.get(), buffer, 8)).ok();
            ok &= (co_await async::fsync(file.get())).ok();
            ok &= (co_await async::statx(file.get(), "", AT_EMPTY_PATH)).ok();
            Result<Descriptor> opened = co_await async::openat(AT_FDCWD, "/dev/null", O_RDONLY);
            ok &= opened.ok();
            ok &= (co_await async::close(*std::move(opened))).ok();
            ok &= (co_await async::sleep(1us)).ok();
        }
        EXPECT_EQ(allocations_made(), before);
        EXPECT_TRUE(ok);
    };
    sync_wait(task());
}

static_assert(std::is_constructible_v<FdRef, int> && std::is_constructible_v<FdRef, const Descriptor&>);
static_assert(!std::is_constructible_v<FdRef, Descriptor>, "a temporary descriptor would be closed too early");

}  // namespace
}  // namespace ringside::test
