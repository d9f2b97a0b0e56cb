// Streams and the buffers that they yield: who owns what, how a stream ends, and what is left when it is dropped.
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

class Buffers : public NothingLeaked {};
class Streams : public NothingLeaked {};

std::string text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Task<void> write_later(int fd, std::string_view what, std::chrono::milliseconds time = 2ms) {
    (void)co_await async::sleep(time);
    EXPECT_EQ(::write(fd, what.data(), what.size()), static_cast<ssize_t>(what.size()));
}

struct Listener {
    Listener() : fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof(address);
        EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
        EXPECT_EQ(listen(fd.get(), 500), 0);
        EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    }
    Descriptor client() const {
        Descriptor made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(connect(made.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
        return made;
    }

    Descriptor fd;
    sockaddr_in address{};
};

TEST_F(Buffers, go_back_to_their_pool) {
    const auto task = []() -> Task<void> {
        const Ends ends = unix_pair(SOCK_STREAM);
        const BufferPool pool(co_await this_io(), 2, 100);
        EXPECT_EQ(pool.free(), 2u);
        EXPECT_EQ(pool.buffer_size(), 100u);
        for (int i = 0; i < 10; i++) {
            EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
            Result<Buffer> buffer = co_await async::recv_buffer(ends.far.get(), pool);
            EXPECT_TRUE(buffer.ok());
            EXPECT_EQ(text(*buffer), "hello");
            EXPECT_EQ(pool.free(), 1u);
            const Buffer moved = *std::move(buffer);
            EXPECT_EQ(text(moved), "hello");
            EXPECT_EQ(pool.free(), 1u);
        }
        EXPECT_EQ(pool.free(), 2u);
        EXPECT_EQ(::send(ends.near, "ab", 2, 0), 2);
        Result<Buffer> first = co_await async::recv_buffer(ends.far.get(), pool);
        EXPECT_EQ(::send(ends.near, "cd", 2, 0), 2);
        const Result<Buffer> second = co_await async::recv_buffer(ends.far.get(), pool);
        EXPECT_NE(first->data(), second->data());
        EXPECT_EQ(::send(ends.near, "ef", 2, 0), 2);
        EXPECT_EQ((co_await async::recv_buffer(ends.far.get(), pool)).error(), ENOBUFS);
        *first = Buffer();
        EXPECT_EQ((co_await async::recv_buffer(ends.far.get(), pool))
                      .map([](const Buffer& it) { return text(it); })
                      .value_or(""),
                  "ef");
        EXPECT_EQ(text(*second), "cd");
        EXPECT_EQ(shutdown(ends.near, SHUT_WR), 0);
        const Result<Buffer> end = co_await async::recv_buffer(ends.far.get(), pool);
        EXPECT_TRUE(end.ok() && end->empty());
        EXPECT_EQ((co_await async::recv_buffer(-1, pool)).error(), EBADF);
    };
    sync_wait(task());
}

TEST_F(Buffers, are_read_from_files_at_an_offset) {
    const auto task = []() -> Task<void> {
        const Fd file = file_with("0123456789");
        const BufferPool pool(co_await this_io(), 1, 4);
        EXPECT_EQ(text(*co_await async::read_buffer(file.get(), pool, 5)), "5678");
        EXPECT_EQ(text(*co_await async::read_buffer(file.get(), pool)), "0123");
        EXPECT_TRUE((co_await async::read_buffer(file.get(), pool, 10))->empty());
        EXPECT_EQ(pool.free(), 1u);
    };
    sync_wait(task());
}

// Whoever of pool, buffer and Io ends first: the memory stays until the last one has.
TEST_F(Buffers, outlive_their_pool_and_their_ring) {
    Buffer kept;
    EXPECT_TRUE(kept.empty());
    {
        Io io;
        const auto task = [&]() -> Task<void> {
            const Ends ends = unix_pair(SOCK_STREAM);
            const BufferPool pool(io, 2, 100);
            EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
            kept = *co_await async::recv_buffer(ends.far.get(), pool);
        };
        io.run(task());
        EXPECT_EQ(text(kept), "hello");
        // The group is in use still, and the next pool takes another.
        const Result<BufferPool> next = BufferPool::make(io, 2, 100);
        EXPECT_EQ(next.map([](const BufferPool& it) { return it.group(); }).value_or(0), 1u);
    }
    EXPECT_EQ(text(kept), "hello");
}

TEST_F(Buffers, have_pools_of_a_power_of_two) {
    Io io;
    EXPECT_EQ(BufferPool::make(io, 3, 100).error(), EINVAL);
    EXPECT_EQ(BufferPool::make(io, 0, 100).error(), EINVAL);
    EXPECT_EQ(BufferPool::make(io, 65536, 100).error(), EINVAL);
    EXPECT_EQ(BufferPool::make(io, 4, 0).error(), EINVAL);
    EXPECT_THROW(BufferPool(io, 3, 100), std::system_error);
}

TEST_F(Streams, accept_connections_one_after_the_other_and_all_at_once) {
    const auto task = []() -> Task<void> {
        const Listener listener;
        Stream<Descriptor> connections = async::accept_stream(listener.fd);
        std::vector<Descriptor> clients;
        for (int i = 0; i < 20; i++) {
            clients.push_back(listener.client());
            if (i < 10) {
                EXPECT_TRUE((co_await connections.next()).ok());
            }
        }
        for (int i = 10; i < 20; i++) {
            const Result<Descriptor> connection = co_await connections.next();
            EXPECT_TRUE(connection.ok());
            EXPECT_EQ(fcntl(connection->get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        }
        EXPECT_EQ((co_await with_timeout(connections.next(), 5ms)).error(), ETIME);
        clients.push_back(listener.client());
        (void)co_await async::sleep(2ms);
        EXPECT_TRUE((co_await connections.next()).ok()) << "what came while nobody waited is kept";
        EXPECT_EQ(connections.error(), 0);
    };
    sync_wait(task());
}

// The queue of one stream ends at 256. Then the request is cancelled, and the connections wait in the kernel.
TEST_F(Streams, do_not_accept_more_than_somebody_takes) {
    const auto task = []() -> Task<void> {
        const Listener listener;
        Stream<Descriptor> connections = async::accept_stream(listener.fd);
        std::vector<Descriptor> clients;
        clients.push_back(listener.client());
        EXPECT_TRUE((co_await connections.next()).ok());
        for (int i = 0; i < 255; i++) clients.push_back(listener.client());
        (void)co_await async::sleep(50ms);
        clients.push_back(listener.client());
        const Io& io = co_await this_io();
        for (int i = 0; i < 5000 && io.in_flight() != 0; i++) (void)co_await async::sleep(1ms);
        EXPECT_EQ(io.in_flight(), 0u) << "the stream has paused";
        for (int i = 0; i < 144; i++) clients.push_back(listener.client());
        (void)co_await async::sleep(2ms);
        for (int i = 0; i < 400; i++) EXPECT_TRUE((co_await with_timeout(connections.next(), 5s)).ok()) << i;
    };
    sync_wait(task());
}

TEST_F(Streams, yield_what_is_received_in_buffers_until_the_peer_says_goodbye) {
    const auto task = []() -> Task<void> {
        const Ends ends = tcp_pair();
        const BufferPool pool(co_await this_io(), 4, 1000);
        std::vector<std::byte> out(300'000), in;
        for (size_t i = 0; i < out.size(); i++) out[i] = static_cast<std::byte>(i % 251);
        const auto sender = [](int fd, std::span<const std::byte> all) -> Task<void> {
            EXPECT_TRUE((co_await async::send_all(fd, all)).ok());
            EXPECT_TRUE((co_await async::shutdown(fd, SHUT_WR)).ok());
        };
        const auto receiver = [&](int fd) -> Task<void> {
            Stream<Buffer> stream = async::recv_stream(fd, pool);
            while (const Result<Buffer> part = co_await stream.next()) {
                in.insert(in.end(), part->bytes().begin(), part->bytes().end());
            }
            EXPECT_EQ(stream.error(), 0) << "the end of the data";
            EXPECT_EQ((co_await stream.next()).error(), ENODATA) << "and it is there still";
        };
        (void)co_await when_all(sender(ends.near, out), receiver(ends.far));
        EXPECT_TRUE(in == out);
        EXPECT_EQ(pool.free(), 4u);
    };
    sync_wait(task());
}

// A stream whose pool is empty waits for a buffer, whoever gives it back.
TEST_F(Streams, wait_for_buffers_that_others_have) {
    const auto task = []() -> Task<void> {
        const Ends one = unix_pair(SOCK_STREAM), two = unix_pair(SOCK_STREAM);
        const BufferPool pool(co_await this_io(), 1, 100);
        Stream<Buffer> first = async::recv_stream(one.far.get(), pool),
                       second = async::recv_stream(two.far.get(), pool);
        EXPECT_EQ(::send(one.near, "one", 3, 0), 3);
        EXPECT_EQ(::send(two.near, "two", 3, 0), 3);
        Result<Buffer> held = co_await first.next();
        EXPECT_TRUE(held.ok());
        EXPECT_EQ((co_await with_timeout(second.next(), 10ms)).error(), ETIME);
        const auto give_back = [](Result<Buffer>& buffer) -> Task<void> {
            (void)co_await async::sleep(2ms);
            buffer->reset();
        };
        const auto [got, nothing] = co_await when_all(second.next(), give_back(held));
        (void)nothing;
        EXPECT_EQ(got.map([](const Buffer& it) { return text(it); }).value_or(""), "two");
    };
    sync_wait(task());
}

// Two completions fit into the queue, so that requests are ended by the ring all the time.
TEST_F(Streams, survive_the_overflow_of_the_completion_queue) {
    Io io(Options{.entries = 2, .completion_entries = 2});
    const auto task = []() -> Task<void> {
        const Listener listener;
        Stream<Descriptor> connections = async::accept_stream(listener.fd);
        std::vector<Descriptor> clients;
        for (int i = 0; i < 30; i++) clients.push_back(listener.client());
        for (int i = 0; i < 30; i++) EXPECT_TRUE((co_await with_timeout(connections.next(), 5s)).ok()) << i;
    };
    io.run(task());
}

TEST_F(Streams, yield_datagrams_with_their_senders) {
    const auto task = []() -> Task<void> {
        const Descriptor here(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), there(::socket(AF_INET, SOCK_DGRAM, 0));
        sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
        auto* const name = reinterpret_cast<sockaddr*>(&address);
        socklen_t size = sizeof(address);
        EXPECT_EQ(::bind(here.get(), name, size), 0);
        EXPECT_EQ(getsockname(here.get(), name, &size), 0);
        const BufferPool pool(co_await this_io(), 4, 200);
        Stream<Datagram> datagrams = async::recvmsg_stream(here, pool);
        for (int i = 0; i < 20; i++) {
            const std::string sent = "datagram " + std::to_string(i);
            EXPECT_EQ(::sendto(there.get(), sent.data(), sent.size(), 0, name, size),
                      static_cast<ssize_t>(sent.size()));
            const Result<Datagram> got = co_await datagrams.next();
            EXPECT_TRUE(got.ok()) << got.error();
            if (!got) co_return;
            EXPECT_EQ(text(got->payload), sent);
            EXPECT_EQ(got->name.size(), sizeof(sockaddr_in));
            EXPECT_EQ(reinterpret_cast<const sockaddr_in*>(got->address())->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
            EXPECT_EQ(got->flags & MSG_TRUNC, 0u);
        }
        const std::string large(1000, 'x');
        EXPECT_EQ(::sendto(there.get(), large.data(), large.size(), 0, name, size), 1000);
        const Result<Datagram> cut = co_await datagrams.next();
        EXPECT_EQ(cut.map([](const Datagram& it) { return it.flags & MSG_TRUNC; }).value_or(0), unsigned{MSG_TRUNC});
        EXPECT_EQ(::sendto(there.get(), "", 0, 0, name, size), 0);
        const Result<Datagram> empty = co_await datagrams.next();
        EXPECT_TRUE(empty.ok() && empty->payload.empty());
    };
    sync_wait(task());
}

TEST_F(Streams, read_pipes_until_nobody_writes_any_more) {
    const auto task = []() -> Task<void> {
        Pipe pipe;
        const BufferPool pool(co_await this_io(), 4, 100);
        Stream<Buffer> stream = async::read_stream(pipe.read_end.get(), pool);
        for (int i = 0; i < 5; i++) {
            const auto [part, nothing] = co_await when_all(stream.next(), write_later(pipe.write_end, "hello"));
            (void)nothing;
            EXPECT_EQ(part.map([](const Buffer& it) { return text(it); }).value_or(""), "hello");
        }
        pipe.write_end.reset();
        EXPECT_EQ((co_await stream.next()).error(), ENODATA);
        const Fd file = file_with("0123456789");
        Stream<Buffer> of_file = async::read_stream(file.get(), pool);
        EXPECT_EQ((co_await of_file.next()).error(), EBADFD);
        EXPECT_EQ(of_file.error(), EBADFD);
    };
    sync_wait(task());
}

TEST_F(Streams, tell_of_events_and_ticks) {
    const auto task = []() -> Task<void> {
        const Pipe pipe;
        Stream<unsigned> events = async::poll_stream(pipe.read_end.get(), POLLIN);
        for (int i = 0; i < 3; i++) {
            const auto [event, nothing] = co_await when_all(events.next(), write_later(pipe.write_end, "x"));
            (void)nothing;
            EXPECT_EQ(event.value_or(0), static_cast<unsigned>(POLLIN));
            EXPECT_EQ(pipe.drain(), 1u);
        }
        const Stopwatch watch;
        Stream<unsigned> ticks = async::tick_stream(5ms);
        unsigned passed = 0;
        for (int i = 0; i < 3; i++) passed += (co_await ticks.next()).value_or(100);
        (void)co_await async::sleep(30ms);
        const unsigned missed = (co_await ticks.next()).value_or(0);
        EXPECT_GE(missed, 3u) << "ticks that nobody waited for are one item";
        EXPECT_LE(5 * (passed + missed), watch.elapsed_ms() + 5);
        EXPECT_EQ((co_await async::poll_stream(-1, POLLIN).next()).error(), EBADF);
    };
    sync_wait(task());
}

// What the ring still does for a stream that is gone goes to nobody: buffers are given back, connections closed.
TEST_F(Streams, that_are_dropped_leave_nothing_behind) {
    Io io;
    const auto round = [&](int order) -> Task<void> {
        const Ends ends = unix_pair(SOCK_STREAM);
        const Listener listener;
        Descriptor client;
        const BufferPool pool(io, 2, 100);
        {
            Stream<Buffer> stream = async::recv_stream(ends.far.get(), pool);
            Stream<Descriptor> connections = async::accept_stream(listener.fd);
            if (order % 2 == 0) (void)co_await with_timeout(stream.next(), 1us);
            if (order % 3 == 0) (void)co_await with_timeout(connections.next(), 1us);
            if (order % 5 == 0) client = listener.client();
            EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
            if (order % 7 == 0) (void)co_await async::nop();
        }
        if (order % 4 == 0) (void)co_await async::sleep(1ms);
        // The pool, the sockets and this frame end, whatever the ring does still.
    };
    const auto task = [&]() -> Task<void> {
        for (int i = 0; i < 210; i++) co_await round(i);
    };
    io.run(task());
    EXPECT_EQ(io.in_flight(), 0u);
}

Task<void> stop_it(Scope& scope) {
    scope.request_stop();
    co_return;
}

// The SQE is in the queue, and not submitted, when the stream and its descriptor end. It must not be carried out on the
// file that has the number then.
TEST_F(Streams, that_are_dropped_before_submission_touch_no_other_file) {
    const auto drop = [](const BufferPool& pool, int fd, int replacement) -> Task<void> {
        {
            Stream<Buffer> stream = async::recv_stream(fd, pool);
            const int error = co_await with_scope([&](Scope& scope) -> Task<int> {
                scope.spawn(stop_it(scope));
                co_return (co_await stream.next()).error();
            });
            EXPECT_EQ(error, ECANCELED);
        }
        EXPECT_EQ(dup2(replacement, fd), fd);
    };
    const auto task = [&]() -> Task<void> {
        const Ends other = unix_pair(SOCK_STREAM);
        Ends ends = unix_pair(SOCK_STREAM);
        const Descriptor number(ends.far.release());
        EXPECT_EQ(::send(other.near, "for the other", 13, 0), 13);
        const BufferPool pool(co_await this_io(), 2, 100);
        co_await drop(pool, number.get(), other.far);
        (void)co_await async::sleep(2ms);
        std::array<std::byte, 20> buffer;
        EXPECT_EQ((co_await async::recv(number, buffer, MSG_DONTWAIT)).value_or(0), 13u);
    };
    sync_wait(task());
}

TEST_F(Streams, are_closed_and_can_be_waited_for) {
    const auto task = []() -> Task<void> {
        const Ends ends = unix_pair(SOCK_STREAM);
        Io& io = co_await this_io();
        const BufferPool pool(io, 2, 100);
        Stream<Buffer> stream = async::recv_stream(ends.far.get(), pool);
        co_await stream.close();
        EXPECT_EQ((co_await with_timeout(stream.next(), 1ms)).error(), ETIME);
        EXPECT_EQ(io.in_flight(), 1u);
        EXPECT_EQ(::send(ends.near, "kept", 4, 0), 4);
        for (int i = 0; i < 5000 && pool.free() == 2; i++) (void)co_await async::sleep(1ms);
        co_await stream.close();
        EXPECT_EQ(io.in_flight(), 0u);
        EXPECT_EQ(text(*co_await stream.next()), "kept");
        EXPECT_EQ((co_await stream.next()).error(), ECANCELED);
        EXPECT_EQ(::send(ends.near, "again", 5, 0), 5);
        EXPECT_EQ(text(*co_await stream.next()), "again") << "it has begun anew";
    };
    sync_wait(task());
}

TEST_F(Streams, allocate_nothing_for_an_item) {
    const auto task = []() -> Task<void> {
        const Ends ends = unix_pair(SOCK_STREAM);
        const BufferPool pool(co_await this_io(), 4, 100);
        Stream<Buffer> stream = async::recv_stream(ends.far.get(), pool);
        EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
        EXPECT_TRUE((co_await stream.next()).ok());
        const size_t before = allocations_made();
        bool ok = true;
        for (int i = 0; i < 100; i++) {
            ok &= ::send(ends.near, "hello", 5, 0) == 5;
            ok &= (co_await stream.next()).ok();
        }
        EXPECT_EQ(allocations_made(), before);
        EXPECT_TRUE(ok);
    };
    sync_wait(task());
}

}  // namespace
}  // namespace ringside::test
