// ACCEPT: single and multishot, on listeners that block and that do not.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <unistd.h>

#include <set>
#include <string>
#include <vector>

#include "ops/net_sqe.h"
#include "support/eventually.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr int listener_kinds[] = {SOCK_STREAM, SOCK_STREAM | SOCK_NONBLOCK};

TEST(Accept, takes_a_connection_that_is_there) {
    for (const int kind : listener_kinds) {
        for (const unsigned flag : {0U, IOSQE_ASYNC, IOSQE_IO_LINK}) {
            RawRing ring;
            const Local listener(kind);
            const Fd client = listener.client();
            const Cqe cqe = ring.run(sqe::accept(listener.fd).flag(flag));
            ASSERT_GE(cqe.res, 0);
            EXPECT_EQ(cqe.flags, 0u);
            const Fd server(cqe.res);
            EXPECT_EQ(::send(client, "x", 1, 0), 1);
            char byte;
            EXPECT_EQ(::recv(server, &byte, 1, 0), 1);
            EXPECT_EQ(fcntl(server, F_GETFD), 0);
            EXPECT_FALSE(fcntl(server, F_GETFL) & O_NONBLOCK);
        }
    }
}

TEST(Accept, waits_for_a_connection) {
    for (const int kind : listener_kinds) {
        for (const unsigned flag : {0U, IOSQE_ASYNC}) {
            RawRing ring;
            const Local listener(kind);
            EXPECT_THAT(ring.submit(sqe::accept(listener.fd).data(1).flag(flag), sqe::nop().data(2)), Gives(2));
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
            EXPECT_THAT(ring.linger(3), IsEmpty());
            const Fd client = listener.client();
            const std::vector<Cqe> completions = ring.wait(1);
            ASSERT_EQ(completions.size(), 1u);
            ASSERT_GE(completions[0].res, 0);
            ::close(completions[0].res);
        }
    }
}

TEST(Accept, gives_the_new_socket_its_flags) {
    RawRing ring;
    const Local listener(SOCK_STREAM);
    const Fd client = listener.client();
    const Fd server(ring.run(sqe::accept(listener.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)).res);
    ASSERT_GE(server, 0);
    EXPECT_EQ(fcntl(server, F_GETFD), FD_CLOEXEC);
    EXPECT_TRUE(fcntl(server, F_GETFL) & O_NONBLOCK);
    EXPECT_THAT(ring.run(sqe::accept(listener.fd, nullptr, nullptr, 1)), Gives(-EINVAL));
}

TEST(Accept, tells_who_has_connected) {
    for (const bool waits : {false, true}) {
        RawRing ring;
        const Local listener(SOCK_STREAM);
        sockaddr_storage address = {};
        socklen_t length = sizeof(address);
        const Sqe entry = sqe::accept(listener.fd, reinterpret_cast<sockaddr*>(&address), &length);
        Fd client;
        if (!waits) client = listener.client();
        EXPECT_THAT(ring.submit(entry), Gives(1));
        if (waits) client = listener.client();
        const std::vector<Cqe> completions = ring.wait(1);
        ASSERT_EQ(completions.size(), 1u);
        const Fd server(completions[0].res);
        sockaddr_in own = {};
        socklen_t own_length = sizeof(own);
        EXPECT_EQ(getsockname(client, reinterpret_cast<sockaddr*>(&own), &own_length), 0);
        EXPECT_EQ(length, sizeof(own));
        EXPECT_EQ(memcmp(&address, &own, sizeof(own)), 0);
    }
}

TEST(Accept, with_bad_pointers_fails_and_loses_the_connection) {
    const ForbiddenPage page;
    for (const int kind : listener_kinds) {
        RawRing ring;
        const Local listener(kind);
        sockaddr_storage address;
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        socklen_t length = sizeof(address), negative = static_cast<socklen_t>(-1);
        const Fd clients[] = {listener.client(), listener.client(), listener.client()};
        EXPECT_EQ(ring.run(sqe::accept(listener.fd, static_cast<sockaddr*>(page.address()), &length)).res, -EFAULT);
        EXPECT_EQ(ring.run(sqe::accept(listener.fd, generic, static_cast<socklen_t*>(page.address()))).res, -EFAULT);
        EXPECT_EQ(ring.run(sqe::accept(listener.fd, generic, &negative)).res, -EINVAL);
        EXPECT_EQ(ring.run(sqe::accept(listener.fd).set(&Sqe::ioprio, IORING_ACCEPT_DONTWAIT)).res, -EAGAIN);
    }
}

TEST(Accept, tells_whether_there_are_more) {
    for (const int kind : listener_kinds) {
        RawRing ring;
        const Local listener(kind);
        const Fd clients[] = {listener.client(), listener.client()};
        const Cqe first = ring.run(sqe::accept(listener.fd)), second = ring.run(sqe::accept(listener.fd));
        EXPECT_EQ(first.flags, IORING_CQE_F_SOCK_NONEMPTY);
        EXPECT_EQ(second.flags, 0u);
        ::close(first.res);
        ::close(second.res);
    }
}

TEST(Accept, that_must_not_wait_gives_eagain) {
    for (const int kind : listener_kinds) {
        RawRing ring;
        const Local listener(kind);
        const Sqe entry = sqe::accept(listener.fd).set(&Sqe::ioprio, IORING_ACCEPT_DONTWAIT);
        EXPECT_THAT(ring.run(entry), Gives(-EAGAIN));
        EXPECT_THAT(ring.run(Sqe(entry).set(&Sqe::ioprio, IORING_ACCEPT_DONTWAIT | IORING_ACCEPT_MULTISHOT)),
                    Gives(-EAGAIN));
        const Fd client = listener.client();
        const Fd server(ring.run(entry).res);
        EXPECT_GE(server, 0);
    }
}

TEST(Accept, that_polls_first_finds_what_is_there_already) {
    for (const int kind : listener_kinds) {
        RawRing ring;
        const Local listener(kind);
        const Fd client = listener.client();
        const Fd server(ring.run(sqe::accept(listener.fd).set(&Sqe::ioprio, IORING_ACCEPT_POLL_FIRST)).res);
        EXPECT_GE(server, 0);
    }
}

TEST(Accept, on_what_does_not_listen_is_refused) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::accept(tcp_pair().near)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::accept(unix_pair(SOCK_DGRAM).near)), Gives(-EOPNOTSUPP));
    const Local listener(SOCK_STREAM);
    EXPECT_THAT(ring.run(sqe::accept(listener.fd).set(&Sqe::ioprio, 8)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::accept(listener.fd).set(&Sqe::len, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::accept(listener.fd).set(&Sqe::buf_index, 1)), Gives(-EINVAL));
}

TEST(Accept, can_be_cancelled) {
    for (const int kind : listener_kinds) {
        for (const unsigned flag : {0U, IOSQE_ASYNC}) {
            for (const unsigned mode : {0U, IORING_ACCEPT_MULTISHOT}) {
                RawRing ring;
                const Local listener(kind);
                EXPECT_THAT(ring.submit(sqe::accept(listener.fd).data(1).flag(flag).set(&Sqe::ioprio, mode)), Gives(1));
                EXPECT_THAT(ring.linger(5), IsEmpty());
                EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
                EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
            }
        }
    }
}

TEST(Accept, several_share_what_comes) {
    for (const int kind : listener_kinds) {
        RawRing ring(16);
        const Local listener(kind);
        for (uint64_t index = 0; index < 8; ++index) {
            EXPECT_THAT(ring.submit(sqe::accept(listener.fd).data(index)), Gives(1));
        }
        std::vector<Fd> clients;
        for (int index = 0; index < 8; ++index) clients.push_back(listener.client());
        std::set<int> servers;
        for (const Cqe& cqe : ring.wait(8)) servers.insert(cqe.res);
        EXPECT_EQ(servers.size(), 8u);
        EXPECT_GE(*servers.begin(), 0);
        for (const int server : servers) ::close(server);
    }
}

// Two rings compete for the connections of one listener: none of them is stuck, no connection is lost.
TEST(Accept, does_not_hang_its_ring_when_others_are_faster) {
    for (const int kind : listener_kinds) {
        RawRing first, second;
        const Local listener(kind);
        const Sqe entry = sqe::accept(listener.fd).data(1).set(&Sqe::ioprio, IORING_ACCEPT_MULTISHOT);
        EXPECT_THAT(first.submit(entry), Gives(1));
        EXPECT_THAT(second.submit(entry), Gives(1));
        std::vector<Fd> clients, servers;
        for (int round = 0; round < 50; ++round) {
            clients.push_back(listener.client());
            ASSERT_TRUE(eventually(
                [&] {
                    for (RawRing* ring : {&first, &second}) {
                        ring->enter(0, 0, IORING_ENTER_GETEVENTS);
                        for (const Cqe& cqe : ring->reap()) servers.emplace_back(cqe.res);
                    }
                    return servers.size() == clients.size();
                },
                2000))
                << servers.size() << " of " << clients.size();
        }
        EXPECT_THAT(first.run(sqe::nop().data(2)), Gives(0));
        EXPECT_THAT(second.run(sqe::nop().data(2)), Gives(0));
    }
}

TEST(MultishotAccept, takes_connection_after_connection) {
    for (const int kind : listener_kinds) {
        for (const unsigned flag : {0U, IOSQE_ASYNC}) {
            RawRing ring;
            const Local listener(kind);
            std::vector<Fd> clients, servers;
            clients.push_back(listener.client());
            clients.push_back(listener.client());
            EXPECT_THAT(
                ring.submit(sqe::accept(listener.fd).data(1).flag(flag).set(&Sqe::ioprio, IORING_ACCEPT_MULTISHOT)),
                Gives(1));
            for (int round = 0; round < 6; ++round) {
                if (round >= 2) clients.push_back(listener.client());
                for (const Cqe& cqe : ring.wait(1)) {
                    ASSERT_GE(cqe.res, 0);
                    EXPECT_TRUE(cqe.flags & IORING_CQE_F_MORE);
                    servers.emplace_back(cqe.res);
                }
                if (servers.size() == 2 && round == 0) ++round;
            }
            EXPECT_EQ(servers.size(), 6u);
            EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
            EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
        }
    }
}

TEST(MultishotAccept, that_asks_for_a_worker_tells_of_each_connection_at_once) {
    // It used to wait once more when a worker had brought it one, and told of that only with the next.
    for (const int kind : listener_kinds) {
        RawRing ring;
        const Local listener(kind);
        std::vector<Fd> clients;
        clients.push_back(listener.client());
        EXPECT_THAT(
            ring.submit(sqe::accept(listener.fd).data(1).flag(IOSQE_ASYNC).set(&Sqe::ioprio, IORING_ACCEPT_MULTISHOT)),
            Gives(1));
        for (int round = 0; round < 3; ++round) {
            const std::vector<Cqe> completions = ring.wait(1);
            ASSERT_EQ(completions.size(), 1u);
            EXPECT_GE(Fd(completions[0].res), 0);
            EXPECT_TRUE(completions[0].flags & IORING_CQE_F_MORE);
            clients.push_back(listener.client());
        }
    }
}

// A worker accepts in its place where the listener blocks. Cancelled while it brought a connection, the request ended
// with the connection in hand, and nobody heard of it.
TEST(MultishotAccept, loses_no_connection_when_it_is_cancelled) {
    for (const unsigned flags : {0u, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN}) {
        SCOPED_TRACE(flags);
        constexpr unsigned rounds = 60, at_once = 4;
        RawRing ring(64, flags);
        const Local listener(SOCK_STREAM, 500);
        std::vector<Fd> clients, connections;
        bool armed = false;
        const auto take = [&](const std::vector<Cqe>& cqes) {
            for (const Cqe& cqe : cqes) {
                if (cqe.user_data != 1) continue;
                if (cqe.res >= 0) connections.emplace_back(cqe.res);
                armed = cqe.flags & IORING_CQE_F_MORE;
            }
        };
        for (unsigned round = 0; round < rounds; ++round) {
            if (!armed) {
                const Sqe accept = sqe::accept(listener.fd).data(1).set(&Sqe::ioprio, IORING_ACCEPT_MULTISHOT);
                ASSERT_THAT(ring.submit(accept), Gives(1));
                armed = true;
            }
            for (unsigned i = 0; i < at_once; ++i) clients.push_back(listener.client());
            if (round % 2 == 1) ring.push(sqe::cancel(1).data(2));
            ASSERT_GE(ring.enter(round % 2, 0, IORING_ENTER_GETEVENTS), 0);
            take(ring.reap());
        }
        ASSERT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
        while (armed) take(ring.wait(1));
        take(ring.linger(5));
        // The others are where they were.
        ASSERT_EQ(fcntl(listener.fd, F_SETFL, O_NONBLOCK), 0);
        for (int more; (more = accept(listener.fd, nullptr, nullptr)) >= 0;) connections.emplace_back(more);
        EXPECT_EQ(connections.size(), rounds * at_once);
    }
}

TEST(MultishotAccept, ends_when_the_completion_queue_is_full) {
    for (const int kind : listener_kinds) {
        RawRing ring(2);  // 4 completions
        const Local listener(kind);
        std::vector<Fd> clients, servers;
        for (int index = 0; index < 8; ++index) clients.push_back(listener.client());
        EXPECT_THAT(ring.submit(sqe::accept(listener.fd).data(1).set(&Sqe::ioprio, IORING_ACCEPT_MULTISHOT)), Gives(1));
        EXPECT_TRUE(eventually([&] {
            ring.enter(0, 0, IORING_ENTER_GETEVENTS);
            return (ring.sq_flags().load() & IORING_SQ_CQ_OVERFLOW) != 0;
        }));
        const std::vector<Cqe> completions = ring.wait(5);
        ASSERT_EQ(completions.size(), 5u);
        for (const Cqe& cqe : completions) {
            servers.emplace_back(cqe.res);
            EXPECT_GE(cqe.res, 0);
        }
        EXPECT_TRUE(completions[3].flags & IORING_CQE_F_MORE);
        EXPECT_FALSE(completions[4].flags & IORING_CQE_F_MORE);
    }
}

TEST(MultishotAccept, ends_when_descriptors_run_out) {
    RawRing ring;
    const Local listener(SOCK_STREAM | SOCK_NONBLOCK);
    const Fd client = listener.client();
    const Sqe entry = sqe::accept(listener.fd).data(1).set(&Sqe::ioprio, IORING_ACCEPT_MULTISHOT);
    EXPECT_THAT(ring.submit(entry), Gives(1));
    std::vector<Fd> servers;
    for (const Cqe& cqe : ring.wait(1)) servers.emplace_back(cqe.res);
    const Fd next(::socket(AF_INET, SOCK_STREAM, 0));
    std::vector<Fd> all;
    for (int fd; (fd = ::dup(0)) >= 0;) all.emplace_back(fd);
    EXPECT_EQ(::connect(next, listener.generic(), sizeof(listener.address)), 0);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -EMFILE)));
}

TEST(Accept, into_a_slot_needs_a_table) {
    RawRing ring;
    const Local listener(SOCK_STREAM);
    const Fd client = listener.client();
    EXPECT_THAT(ring.run(sqe::accept(listener.fd).set(&Sqe::file_index, 1)), Gives(-ENXIO));
    EXPECT_THAT(ring.run(sqe::accept(listener.fd, nullptr, nullptr, SOCK_CLOEXEC).set(&Sqe::file_index, 1)),
                Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::accept(listener.fd).set(&Sqe::file_index, 1).set(&Sqe::ioprio, IORING_ACCEPT_MULTISHOT)),
                Gives(-EINVAL));
}

// A table of empty slots.
void make_slots(RawRing& ring, unsigned count) {
    io_uring_rsrc_register table = {};
    table.nr = count;
    table.flags = IORING_RSRC_REGISTER_SPARSE;
    ASSERT_EQ(ring.register_call(IORING_REGISTER_FILES2, &table, sizeof(table)), 0);
}

TEST(Accept, into_a_slot_gives_a_socket_that_requests_can_use) {
    for (const int kind : listener_kinds) {
        for (const unsigned flag : {0U, IOSQE_ASYNC}) {
            RawRing ring;
            make_slots(ring, 4);
            const Local listener(kind);
            const Fd client = listener.client();
            EXPECT_THAT(ring.run(sqe::accept(listener.fd).set(&Sqe::file_index, 3).flag(flag)), Gives(0));
            EXPECT_EQ(::send(client, "hello", 5, 0), 5);
            char buffer[8] = {};
            EXPECT_THAT(ring.run(sqe::recv(2, buffer, 8).flag(IOSQE_FIXED_FILE)), Gives(5));
            EXPECT_STREQ(buffer, "hello");
        }
    }
}

TEST(MultishotAccept, into_slots_takes_free_ones_until_there_are_none) {
    for (const int kind : listener_kinds) {
        RawRing ring;
        make_slots(ring, 2);
        const Local listener(kind);
        const Fd clients[] = {listener.client(), listener.client(), listener.client()};
        EXPECT_THAT(ring.submit(sqe::accept(listener.fd)
                                    .data(1)
                                    .set(&Sqe::ioprio, IORING_ACCEPT_MULTISHOT)
                                    .set(&Sqe::file_index, IORING_FILE_INDEX_ALLOC)),
                    Gives(1));
        const std::vector<Cqe> completions = ring.wait(3);
        ASSERT_EQ(completions.size(), 3u);
        EXPECT_EQ(completions[0].res, 0);
        EXPECT_EQ(completions[1].res, 1);
        EXPECT_EQ(completions[2].res, -ENFILE);
        EXPECT_FALSE(completions[2].flags & IORING_CQE_F_MORE);
        EXPECT_EQ(::send(clients[1], "hello", 5, 0), 5);
        char buffer[8] = {};
        EXPECT_THAT(ring.run(sqe::recv(1, buffer, 8).flag(IOSQE_FIXED_FILE)), Gives(5));
    }
}

TEST(Accept, on_a_unix_socket_never_tells_of_more) {
    sockaddr_un address = {AF_UNIX, {}};
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "ringside-accept-%d", getpid());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + strlen(address.sun_path + 1));
    for (const int kind : listener_kinds) {
        RawRing ring;
        const Fd listener(::socket(AF_UNIX, kind, 0));
        ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), length), 0);
        ASSERT_EQ(::listen(listener, 4), 0);
        const Fd clients[] = {Fd(::socket(AF_UNIX, SOCK_STREAM, 0)), Fd(::socket(AF_UNIX, SOCK_STREAM, 0))};
        for (const Fd& client : clients) ASSERT_EQ(::connect(client, reinterpret_cast<sockaddr*>(&address), length), 0);
        for (int round = 0; round < 2; ++round) {
            const Cqe cqe = ring.run(sqe::accept(listener));
            EXPECT_GE(cqe.res, 0);
            EXPECT_EQ(cqe.flags, 0u);
            ::close(cqe.res);
        }
    }
}

}  // namespace
}  // namespace ringside::test
