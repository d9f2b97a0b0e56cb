// What the operations of files.hpp, sockets.hpp and waits.hpp are for, and that they report errors by their result.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "allocations.h"
#include "ringside/ringside.hpp"
#include "ringside/waits.hpp"
#include "support/eventually.h"
#include "support/files.h"

namespace ringside::test {
namespace {

using namespace std::chrono_literals;

class FileOperations : public NothingLeaked {};
class SocketOperations : public NothingLeaked {};
class WaitOperations : public NothingLeaked {};

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string text(std::span<const std::byte> bytes, size_t size) {
    return {reinterpret_cast<const char*>(bytes.data()), size};
}

iovec part(std::span<std::byte> bytes) { return {bytes.data(), bytes.size()}; }

TEST_F(FileOperations, several_buffers_are_read_and_written_as_one) {
    const auto task = []() -> Task<void> {
        const Fd file = file_with("0123456789");
        std::array<std::byte, 3> first;
        std::array<std::byte, 4> second;
        const std::array parts{part(first), part(second)};
        EXPECT_EQ((co_await async::readv(file.get(), parts, 2)).value_or(0), 7u);
        EXPECT_EQ(text(first, 3) + text(second, 4), "2345678");
        EXPECT_EQ((co_await async::writev(file.get(), parts, 0)).value_or(0), 7u);
        EXPECT_EQ(content_of(file), "2345678789");
        EXPECT_EQ((co_await async::readv(file.get(), parts, 0, 0x4000'0000)).error(), EOPNOTSUPP) << "no such flag";
        EXPECT_EQ((co_await async::writev(-1, parts)).error(), EBADF);
    };
    sync_wait(task());
}

TEST_F(FileOperations, bytes_move_through_pipes_that_the_ring_makes) {
    const auto task = []() -> Task<void> {
        Result<PipeEnds> from = co_await async::pipe(), to = co_await async::pipe();
        EXPECT_TRUE(from.ok() && to.ok());
        if (!from || !to) co_return;
        EXPECT_EQ(fcntl(from->read_end.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        const Fd file = file_with("0123456789");
        const Result<size_t> filled =
            co_await async::splice(file.get(), 2, from->write_end, async::current_position, 5);
        EXPECT_EQ(filled.value_or(0), 5u);
        EXPECT_EQ((co_await async::tee(from->read_end, to->write_end, 100)).value_or(0), 5u);
        std::array<std::byte, 16> buffer;
        EXPECT_EQ((co_await async::read(to->read_end, buffer)).value_or(0), 5u);
        EXPECT_EQ(text(buffer, 5), "23456");
        EXPECT_EQ((co_await async::read(from->read_end, buffer)).value_or(0), 5u) << "tee() has left it there";
        EXPECT_EQ((co_await async::pipe(O_APPEND)).error(), EINVAL);
        EXPECT_EQ((co_await async::splice(file.get(), 0, file.get(), 0, 5)).error(), EINVAL) << "none is a pipe";
    };
    sync_wait(task());
}

TEST_F(FileOperations, space_is_given_and_taken_and_its_use_announced) {
    const auto task = []() -> Task<void> {
        const Fd file = file_with("0123456789");
        EXPECT_TRUE((co_await async::fallocate(file.get(), 0, 0, 5000)).ok());
        EXPECT_EQ((co_await async::statx(file.get(), "", AT_EMPTY_PATH)).value_or({}).stx_size, 5000u);
        EXPECT_TRUE((co_await async::ftruncate(file.get(), 4)).ok());
        EXPECT_EQ(content_of(file), "0123");
        EXPECT_TRUE((co_await async::sync_file_range(file.get(), 0, 0, SYNC_FILE_RANGE_WRITE)).ok());
        EXPECT_TRUE((co_await async::fadvise(file.get(), 0, 0, POSIX_FADV_SEQUENTIAL)).ok());
        EXPECT_EQ((co_await async::fadvise(file.get(), 0, 0, 77)).error(), EINVAL);
        AlignedBuffer memory(8192);
        const auto span = std::as_writable_bytes(std::span(memory.data(), memory.size()));
        EXPECT_TRUE((co_await async::madvise(span, MADV_WILLNEED)).ok());
        EXPECT_EQ((co_await async::madvise(span.subspan(1), MADV_WILLNEED)).error(), EINVAL) << "no page begins there";
        EXPECT_EQ((co_await async::ftruncate(-1, 4)).error(), EBADF);
        EXPECT_EQ((co_await async::fallocate(file.get(), 0, 0, 0)).error(), EINVAL);
    };
    sync_wait(task());
}

TEST_F(FileOperations, paths_are_made_renamed_linked_and_removed) {
    const TemporaryDirectory directory;
    const auto task = [&]() -> Task<void> {
        const Descriptor top(open(directory.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        (void)directory.add("a", "content");
        EXPECT_TRUE((co_await async::mkdirat(top, "folder", 0700)).ok());
        EXPECT_EQ((co_await async::mkdirat(top, "folder", 0700)).error(), EEXIST);
        EXPECT_TRUE((co_await async::renameat(top, "a", top, "folder/b")).ok());
        EXPECT_TRUE((co_await async::linkat(top, "folder/b", top, "c")).ok());
        EXPECT_EQ((co_await async::renameat(top, "folder/b", top, "c", RENAME_NOREPLACE)).error(), EEXIST);
        EXPECT_TRUE((co_await async::symlinkat("c", top, "d")).ok());
        EXPECT_EQ(content_of(directory.path_of("d")), "content");
        const open_how no_links{.flags = O_RDONLY | O_CLOEXEC, .mode = 0, .resolve = RESOLVE_NO_SYMLINKS};
        EXPECT_EQ((co_await async::openat2(top, "d", no_links)).error(), ELOOP);
        EXPECT_TRUE((co_await async::openat2(top, "c", no_links)).ok());
        EXPECT_EQ((co_await async::unlinkat(top, "folder", AT_REMOVEDIR)).error(), ENOTEMPTY);
        EXPECT_TRUE((co_await async::unlinkat(top, "folder/b")).ok());
        EXPECT_TRUE((co_await async::unlinkat(top, "folder", AT_REMOVEDIR)).ok());
        EXPECT_EQ((co_await async::unlinkat(top, "folder", AT_REMOVEDIR)).error(), ENOENT);
    };
    sync_wait(task());
}

TEST_F(FileOperations, extended_attributes_are_set_and_read) {
    const TemporaryDirectory directory;
    const auto task = [&]() -> Task<void> {
        const std::string path = directory.add("file", "content");
        const Descriptor file(open(path.c_str(), O_RDWR | O_CLOEXEC));
        std::array<std::byte, 16> buffer;
        EXPECT_TRUE((co_await async::setxattr(path.c_str(), "user.one", bytes("first"))).ok());
        EXPECT_TRUE((co_await async::fsetxattr(file, "user.two", bytes("second"))).ok());
        EXPECT_EQ((co_await async::fgetxattr(file, "user.one", buffer)).value_or(0), 5u);
        EXPECT_EQ(text(buffer, 5), "first");
        EXPECT_EQ((co_await async::getxattr(path.c_str(), "user.two", buffer)).value_or(0), 6u);
        EXPECT_EQ(text(buffer, 6), "second");
        EXPECT_EQ((co_await async::getxattr(path.c_str(), "user.two", {})).value_or(0), 6u);
        EXPECT_EQ((co_await async::getxattr(path.c_str(), "user.three", buffer)).error(), ENODATA);
        EXPECT_EQ((co_await async::fsetxattr(file, "user.two", bytes("x"), 1 /* XATTR_CREATE */)).error(), EEXIST);
    };
    sync_wait(task());
}

TEST_F(SocketOperations, a_server_is_made_by_the_ring_alone) {
    const auto task = []() -> Task<void> {
        Result<Descriptor> listener = co_await async::socket(AF_INET, SOCK_STREAM);
        EXPECT_TRUE(listener.ok());
        const int on = 1;
        EXPECT_TRUE(
            (co_await async::setsockopt(*listener, SOL_SOCKET, SO_REUSEADDR, std::as_bytes(std::span(&on, 1)))).ok());
        int is_on = 0;
        const auto value = std::as_writable_bytes(std::span(&is_on, 1));
        EXPECT_EQ((co_await async::getsockopt(*listener, SOL_SOCKET, SO_REUSEADDR, value)).value_or(0), sizeof(int));
        EXPECT_EQ(is_on, 1);
        sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
        auto* const name = reinterpret_cast<sockaddr*>(&address);
        socklen_t size = sizeof(address);
        EXPECT_TRUE((co_await async::bind(*listener, name, size)).ok());
        EXPECT_TRUE((co_await async::listen(*listener)).ok());
        EXPECT_EQ(getsockname(listener->get(), name, &size), 0);
        Result<Descriptor> client = co_await async::socket(AF_INET, SOCK_STREAM);
        auto [server, connected] = co_await when_all(async::accept(*listener), async::connect(*client, name, size));
        EXPECT_TRUE(server.ok() && connected.ok());
        EXPECT_TRUE((co_await async::shutdown(*client, SHUT_WR)).ok());
        std::array<std::byte, 8> buffer;
        EXPECT_EQ((co_await async::recv(*server, buffer)).value_or(9), 0u) << "the peer has said goodbye";
        EXPECT_EQ((co_await async::shutdown(*listener, 77)).error(), EINVAL);
        EXPECT_EQ((co_await async::bind(*listener, name, size)).error(), EINVAL) << "it has an address";
        EXPECT_EQ((co_await async::socket(AF_INET, 77)).error(), EINVAL);
    };
    sync_wait(task());
}

TEST_F(SocketOperations, messages_have_parts_and_addresses) {
    const auto task = []() -> Task<void> {
        const Descriptor here(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), there(::socket(AF_INET, SOCK_DGRAM, 0));
        sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
        auto* const name = reinterpret_cast<sockaddr*>(&address);
        socklen_t size = sizeof(address);
        EXPECT_EQ(::bind(here.get(), name, size), 0);
        EXPECT_EQ(getsockname(here.get(), name, &size), 0);
        EXPECT_EQ((co_await async::sendto(there, bytes("to an address"), name, size)).value_or(0), 13u);
        std::array<std::byte, 5> first;
        std::array<std::byte, 20> second;
        std::array parts{part(first), part(second)};
        sockaddr_in sender{};
        msghdr message{};
        message.msg_name = &sender;
        message.msg_namelen = sizeof(sender);
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        EXPECT_EQ((co_await async::recvmsg(here, &message)).value_or(0), 13u);
        EXPECT_EQ(text(first, 5) + text(second, 8), "to an address");
        EXPECT_EQ(sender.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        parts = {part(std::span(first).first(2)), part(std::span(second).first(1))};
        message.msg_name = name;
        EXPECT_EQ((co_await async::sendmsg(there, &message)).value_or(0), 3u);
        std::array<std::byte, 8> got;
        EXPECT_EQ((co_await async::recv(here, got)).value_or(0), 3u);
        EXPECT_EQ(text(got, 3), "to ");
        EXPECT_EQ((co_await async::recvmsg(-1, &message)).error(), EBADF);
    };
    sync_wait(task());
}

TEST_F(SocketOperations, sends_without_copying_end_when_the_buffer_is_free) {
    const auto task = []() -> Task<void> {
        const Ends ends = tcp_pair();
        std::vector<std::byte> out(60'000, std::byte{7}), in(60'000);
        const auto [sent, got] =
            co_await when_all(async::send_zc(ends.near.get(), out), async::recv_all(ends.far.get(), in));
        EXPECT_TRUE(sent.ok());
        EXPECT_TRUE(sent->copied) << "there is no device that it could be sent from without copying";
        EXPECT_EQ(sent->size, out.size());
        EXPECT_EQ(got.value_or(0), in.size());
        EXPECT_TRUE(in == out);
        std::array parts{part(std::span(out).first(3)), part(std::span(out).first(4))};
        msghdr message{};
        message.msg_iov = parts.data();
        message.msg_iovlen = parts.size();
        const auto sent_message = co_await async::sendmsg_zc(ends.near.get(), &message);
        EXPECT_EQ(sent_message.map([](const ZeroCopySent& it) { return it.size; }).value_or(0), 7u);
        EXPECT_EQ((co_await async::send_zc(-1, out)).error(), EBADF);
        const Fd file = file_with("");
        EXPECT_EQ((co_await async::send_zc(file.get(), out)).error(), ENOTSOCK);
    };
    sync_wait(task());
}

// The stop comes while bytes are under way. They are not lost, nor is their number; but the task waits for the peer to
// take them, since their pages are the network's until then.
TEST_F(SocketOperations, a_send_without_copying_that_is_stopped_says_what_was_sent) {
    const auto task = []() -> Task<void> {
        const Ends ends = tcp_pair();
        std::vector<std::byte> out(40'000'000, std::byte{7});
        const auto take_later = [](int fd) -> Task<size_t> {
            (void)co_await async::sleep(30ms);
            std::vector<std::byte> in(1'000'000);
            size_t all = 0;
            for (;;) {
                const Result<size_t> got = co_await with_timeout(async::recv(fd, in), 200ms);
                if (!got) co_return all;
                all += *got;
            }
        };
        const auto [sent, taken] = co_await when_all(
            with_timeout(async::send_zc(ends.near.get(), out, MSG_NOSIGNAL | MSG_WAITALL), 10ms), take_later(ends.far));
        EXPECT_TRUE(sent.ok() || sent.error() == ETIME) << sent.error();
        if (sent.ok()) {
            EXPECT_EQ(sent->size, taken);
            EXPECT_LT(sent->size, out.size());
        }
        EXPECT_TRUE((co_await async::nop()).ok());
    };
    sync_wait(task());
}

TEST_F(WaitOperations, waitid_tells_how_a_child_ended) {
    const auto task = []() -> Task<void> {
        const pid_t child = fork();
        if (child == 0) _exit(7);
        const Result<siginfo_t> ended = co_await async::waitid(P_PID, static_cast<id_t>(child));
        EXPECT_TRUE(ended.ok());
        EXPECT_EQ(ended->si_pid, child);
        EXPECT_EQ(ended->si_code, CLD_EXITED);
        EXPECT_EQ(ended->si_status, 7);
        EXPECT_EQ((co_await async::waitid(P_PID, static_cast<id_t>(child))).error(), ECHILD);
    };
    sync_wait(task());
}

TEST_F(WaitOperations, futexes_are_waited_for_and_woken) {
    const auto task = []() -> Task<void> {
        std::uint32_t word = 5, other = 6;
        EXPECT_EQ((co_await async::futex_wait(&word, 4)).error(), EAGAIN);
        const auto wake = [](const std::uint32_t* which) -> Task<unsigned> {
            (void)co_await async::sleep(5ms);
            co_return (co_await async::futex_wake(which, 10)).value_or(99);
        };
        const auto [first, second, woken] =
            co_await when_all(async::futex_wait(&word, 5), async::futex_wait(&word, 5), wake(&word));
        EXPECT_TRUE(first.ok() && second.ok());
        EXPECT_EQ(woken, 2u);
        const std::array<::futex_waitv, 2> both{
            {{.val = 5, .uaddr = reinterpret_cast<__u64>(&word), .flags = futex_u32 | futex_private, .__reserved = 0},
             {.val = 6,
              .uaddr = reinterpret_cast<__u64>(&other),
              .flags = futex_u32 | futex_private,
              .__reserved = 0}}};
        const auto [index, count] = co_await when_all(async::futex_waitv(both), wake(&other));
        EXPECT_EQ(index.value_or(9), 1u);
        EXPECT_EQ(count, 1u);
        EXPECT_EQ((co_await async::futex_wake(&word, 1)).value_or(9), 0u) << "nobody waits";
    };
    sync_wait(task());
}

TEST_F(WaitOperations, epoll_sets_are_changed_and_waited_for) {
    const auto task = []() -> Task<void> {
        const Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
        const Pipe pipe;
        epoll_event wanted{.events = EPOLLIN, .data = {.u64 = 42}};
        EXPECT_TRUE((co_await async::epoll_ctl(epoll, EPOLL_CTL_ADD, pipe.read_end.get(), wanted)).ok());
        EXPECT_EQ((co_await async::epoll_ctl(epoll, EPOLL_CTL_ADD, pipe.read_end.get(), wanted)).error(), EEXIST);
        std::array<epoll_event, 4> events{};
        const auto later = [](int fd) -> Task<void> {
            (void)co_await async::sleep(2ms);
            EXPECT_EQ(::write(fd, "x", 1), 1);
        };
        const auto [count, nothing] = co_await when_all(async::epoll_wait(epoll, events), later(pipe.write_end));
        (void)nothing;
        EXPECT_EQ(count.value_or(0), 1u);
        EXPECT_EQ(events[0].data.u64, 42u);
        EXPECT_EQ((co_await async::epoll_wait(pipe.read_end.get(), events)).error(), EINVAL) << "no epoll set";
    };
    sync_wait(task());
}

}  // namespace
}  // namespace ringside::test
