// Requests that wait while the program comes to its limit of descriptors, or closes numbers and has others take them.
//
// Once each waiting request took a descriptor of the program's: at a limit of 1,024 a server had room for 337
// connections instead of 505. When there was none left, the engine went on by the program's own number; when the
// program had closed that and a stranger had it, the request took the stranger's data.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "path/at_work.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::string name_of_mode(const testing::TestParamInfo<unsigned>& mode) {
    return mode.param == deferred ? "deferred" : "plain";
}

// All numbers that the program still gets.
std::deque<Fd> take_all_numbers() {
    std::deque<Fd> taken;
    for (int fd; (fd = dup(0)) >= 0;) taken.emplace_back(fd);
    EXPECT_EQ(errno, EMFILE);
    return taken;
}

// --- At the limit ---------------------------------------------------------------------------------------------------

constexpr unsigned connections = 1000;
// Numbers that are left beside the connections', and beside what the process has open by itself.
constexpr rlim_t numbers_to_spare = 40;
// What the engine may take of the program's numbers, whatever waits.
constexpr size_t engines_handful = 16;

void connect_each(const sockaddr_un& address, std::vector<int>& fds) {
    for (unsigned i = 0; i < connections; ++i) {
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) _exit(1);
        fds.push_back(fd);
    }
}

// A process that has the other end of each connection. Connection n gets the number n from it on request.
class Peers {
  public:
    explicit Peers(const std::string& path) : listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        memcpy(address.sun_path, path.c_str(), path.size());
        EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
        EXPECT_EQ(listen(listener_, connections), 0);
        process_ = fork();
        if (process_ == 0) _exit(serve(address));
    }
    ~Peers() {
        orders_.write_end.reset();
        EXPECT_EQ(ending_of(process_), 0);
    }
    Peers(const Peers&) = delete;
    Peers& operator=(const Peers&) = delete;

    Fd next_connection() { return Fd(accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)); }
    void end_listening() { listener_.reset(); }
    void send_to_all() { EXPECT_EQ(write(orders_.write_end, "s", 1), 1); }

  private:
    int serve(const sockaddr_un& address) {
        orders_.write_end.reset();
        std::vector<int> fds;
        connect_each(address, fds);
        char order;
        while (read(orders_.read_end, &order, 1) == 1) {
            for (uint32_t i = 0; i < connections; ++i) {
                if (send(fds[i], &i, sizeof(i), MSG_NOSIGNAL) != sizeof(i)) return 2;
            }
        }
        return 0;
    }

    Fd listener_;
    Pipe orders_;
    pid_t process_;
};

class AtTheLimitOfDescriptors : public testing::TestWithParam<unsigned> {
  protected:
    const TemporaryDirectory directory;
    Peers peers{directory.path_of("peers")};
    const rlim_t limit = count_fds() + connections + numbers_to_spare;
    const DescriptorLimit lowered{limit};
    RawRing ring{1024, GetParam()};
    std::vector<Fd> accepted;
    std::vector<uint32_t> received = std::vector<uint32_t>(connections, ~0U);

    void accept_all() {
        for (unsigned i = 0; i < connections; ++i) {
            accepted.push_back(peers.next_connection());
            ASSERT_GE(accepted.back().get(), 0) << "connection " << i;
        }
        peers.end_listening();
    }
    void push_receive(unsigned i) { ring.push(receive(accepted[i], &received[i], sizeof(received[i])).data(i)); }
    void expect_each_its_own() {
        peers.send_to_all();
        const std::vector<Cqe> completions = ring.wait(connections);
        EXPECT_THAT(completions, SizeIs(connections));
        for (const Cqe& completion : completions) {
            ASSERT_THAT(completion, Gives(sizeof(uint32_t))) << "connection " << completion.user_data;
            EXPECT_EQ(received[completion.user_data], completion.user_data);
        }
    }
};

INSTANTIATE_TEST_SUITE_P(Modes, AtTheLimitOfDescriptors, testing::Values(0U, deferred), name_of_mode);

TEST_P(AtTheLimitOfDescriptors, a_thousand_receives_wait_and_leave_the_program_its_numbers) {
    const size_t before = count_fds();
    accept_all();
    for (unsigned i = 0; i < connections; ++i) push_receive(i);
    ASSERT_THAT(ring.submit_pushed(connections), Gives(connections));
    ring.enter(0, 0, IORING_ENTER_GETEVENTS);
    {
        // Without the listener, whose number the program has back.
        const std::deque<Fd> rest = take_all_numbers();
        EXPECT_GE(before - 1 + connections + rest.size(), limit - engines_handful);
        expect_each_its_own();
    }
}

TEST_P(AtTheLimitOfDescriptors, receives_begin_to_wait_with_no_number_left) {
    accept_all();
    const std::deque<Fd> rest = take_all_numbers();
    for (unsigned i = 0; i < connections; ++i) {
        push_receive(i);
        ASSERT_THAT(ring.submit_pushed(1), Gives(1));
    }
    ring.enter(0, 0, IORING_ENTER_GETEVENTS);
    expect_each_its_own();
}

// What case crossing.c shows: the numbers change hands while there is no other left.
TEST_P(AtTheLimitOfDescriptors, receives_get_their_own_data_though_strangers_have_their_numbers) {
    accept_all();
    const Ends stranger = unix_pair(SOCK_STREAM);
    const std::deque<Fd> rest = take_all_numbers();
    for (unsigned i = 0; i < connections; ++i) push_receive(i);
    ASSERT_THAT(ring.submit_pushed(connections), Gives(connections));
    for (unsigned i = 0; i < connections; i += 3) ASSERT_EQ(dup2(stranger.near, accepted[i]), accepted[i].get());
    ASSERT_EQ(send(stranger.far, "secret", 6, MSG_NOSIGNAL), 6);
    EXPECT_THAT(ring.linger(), IsEmpty());
    expect_each_its_own();
    char own[8] = {};
    EXPECT_EQ(recv(stranger.near, own, sizeof(own), MSG_DONTWAIT), 6);
    EXPECT_STREQ(own, "secret");
}

TEST_P(AtTheLimitOfDescriptors, receives_complete_though_the_program_has_closed_its_numbers) {
    accept_all();
    const std::deque<Fd> rest = take_all_numbers();
    for (unsigned i = 0; i < connections; ++i) push_receive(i);
    ASSERT_THAT(ring.submit_pushed(connections), Gives(connections));
    for (unsigned i = 0; i < connections; i += 2) accepted[i].reset();
    expect_each_its_own();
}

// --- Numbers that change hands --------------------------------------------------------------------------------------

// Connections, each with a word of its own in all that its peer sends, and the program's number of each.
class NumbersChangeHands : public testing::TestWithParam<unsigned> {
  protected:
    struct Connection {
        Fd near;  // the program's, as long as it has it
        Fd peer;
        bool awaited = false;
    };
    struct Receive {
        size_t connection;
        uint32_t word = ~0U;
    };

    RawRing ring{64, GetParam()};
    Listener listener;
    std::deque<Connection> all;
    std::deque<Receive> receives;
    std::mt19937 random{15};
    size_t completed = 0;

    size_t below(size_t bound) { return random() % bound; }

    void add_pair() {
        Ends ends = unix_pair(SOCK_STREAM);
        all.push_back({std::move(ends.near), std::move(ends.far)});
    }
    void add_accepted() {
        Fd peer(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ASSERT_EQ(connect(peer, reinterpret_cast<sockaddr*>(&listener.address), sizeof(listener.address)), 0);
        all.push_back({Fd(accept4(listener.fd, nullptr, nullptr, SOCK_CLOEXEC)), std::move(peer)});
    }
    void put_in_place_of(Connection& old) {
        add_pair();
        Connection& stranger = all.back();
        if (&stranger == &old || old.near < 0) return;
        ASSERT_EQ(dup2(stranger.near, old.near), old.near.get());
        stranger.near = std::move(old.near);
    }
    // Not in a worker (IOSQE_ASYNC): in the kernel that looks the number up itself, later than the submission.
    void await(size_t index) {
        if (all[index].near < 0 || all[index].awaited) return;
        all[index].awaited = true;
        receives.push_back({index});
        ring.push(receive(all[index].near, &receives.back().word, sizeof(uint32_t)).data(receives.size() - 1));
        ASSERT_THAT(ring.submit_pushed(1), Gives(1));
    }
    // A peer sends as much as is received, so that nothing is left over for the next.
    void feed(size_t index) {
        if (!all[index].awaited) return;
        const auto word = static_cast<uint32_t>(index);
        ASSERT_EQ(send(all[index].peer, &word, sizeof(word), MSG_NOSIGNAL), ssize_t{sizeof(word)}) << strerror(errno);
        const std::vector<Cqe> completions = ring.wait(1);
        ASSERT_THAT(completions, SizeIs(1)) << "connection " << index;
        const Receive& receive = receives[completions.front().user_data];
        ASSERT_THAT(completions.front(), Gives(sizeof(word)));
        ASSERT_EQ(receive.connection, index);
        ASSERT_EQ(receive.word, word);
        all[index].awaited = false;
        ++completed;
    }
    void take_step() {
        const size_t index = below(all.size());
        switch (random() % 8) {
            case 0:
                return all[index].near.reset();
            case 1:
                return put_in_place_of(all[index]);
            case 2:
                return add_accepted();
            case 3:
                return feed(index);
            default:
                return await(index);
        }
    }
};

INSTANTIATE_TEST_SUITE_P(Modes, NumbersChangeHands, testing::Values(0U, deferred), name_of_mode);

TEST_P(NumbersChangeHands, and_no_data_crosses_between_connections) {
    for (unsigned i = 0; i < 100; ++i) add_pair();
    for (unsigned step = 0; step < 1500 && !HasFatalFailure(); ++step) take_step();
    for (size_t index = 0; index < all.size() && !HasFatalFailure(); ++index) feed(index);
    EXPECT_GT(completed, 100u);
    EXPECT_EQ(completed, receives.size());
    EXPECT_THAT(ring.linger(), IsEmpty());
    // And nobody took what is left for the connections that are still open.
    for (size_t index = 0; index < all.size() && !HasFatalFailure(); ++index) {
        await(index);
        feed(index);
    }
}

// --- The end that a peer sees ---------------------------------------------------------------------------------------

struct Transport {
    const char* name;
    Ends (*connect)();
};

Ends of_pipe() {
    Pipe pipe;
    return {std::move(pipe.read_end), std::move(pipe.write_end)};
}

const Transport transports[] = {
    {"unix", [] { return unix_pair(SOCK_STREAM); }}, {"tcp", [] { return tcp_pair(); }}, {"pipe", of_pipe}};

bool is_at_end(int fd) {
    pollfd entry = {fd, POLLIN | POLLRDHUP, 0};
    return poll(&entry, 1, 0) == 1 && (entry.revents & (POLLERR | POLLHUP | POLLRDHUP)) != 0;
}

using EndOfPeerCase = std::tuple<unsigned, Transport>;
class EndThatAPeerSees : public testing::TestWithParam<EndOfPeerCase> {
  protected:
    RawRing ring{8, std::get<0>(GetParam())};
    Ends ends = std::get<1>(GetParam()).connect();
    char bytes[8] = {};

    void await() { ASSERT_THAT(ring.submit(sqe::read(ends.near, bytes, sizeof(bytes)).data(1)), Gives(1)); }
    void tell() { ASSERT_EQ(write(ends.far, "data", 4), 4); }
    void expect_received() {
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 4)));
        EXPECT_STREQ(bytes, "data");
    }
    bool is_over() const { return is_at_end(ends.far); }
    void expect_over() {
        EXPECT_TRUE(eventually([&] { return is_over(); }, 2000));
    }
};

INSTANTIATE_TEST_SUITE_P(Transports, EndThatAPeerSees,
                         testing::Combine(testing::Values(0U, deferred), testing::ValuesIn(transports)),
                         [](const testing::TestParamInfo<EndOfPeerCase>& test) {
                             return std::string(std::get<1>(test.param).name) +
                                    (std::get<0>(test.param) == deferred ? "_deferred" : "");
                         });

TEST_P(EndThatAPeerSees, comes_after_the_receive_that_waits_when_the_program_closes) {
    await();
    ends.near.reset();
    EXPECT_THAT(ring.linger(), IsEmpty());
    EXPECT_FALSE(is_over());
    tell();
    expect_received();
    expect_over();
}

TEST_P(EndThatAPeerSees, comes_at_once_when_the_program_closes_after_the_receive) {
    await();
    tell();
    expect_received();
    EXPECT_FALSE(is_over());
    ends.near.reset();
    expect_over();
}

TEST_P(EndThatAPeerSees, comes_when_the_receive_of_a_closed_file_is_cancelled) {
    await();
    ends.near.reset();
    EXPECT_FALSE(is_over());
    ASSERT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
    expect_over();
}

TEST_P(EndThatAPeerSees, comes_when_the_ring_is_closed) {
    await();
    ends.near.reset();
    EXPECT_FALSE(is_over());
    EXPECT_EQ(ring.close(), 0);
    ring.unmap();
    expect_over();
}

// The program looks for completions by memory alone: nothing of its own doing lets go of the file.
TEST(EndThatAPeerSeesUnasked, comes_though_the_program_makes_no_call) {
    for (const Transport& transport : transports) {
        SCOPED_TRACE(transport.name);
        RawRing ring(8);
        Ends ends = transport.connect();
        char byte;
        ASSERT_THAT(ring.submit(sqe::read(ends.near, &byte, 1).data(1)), Gives(1));
        ends.near.reset();
        ASSERT_EQ(write(ends.far, "x", 1), 1);
        EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 1)));
        EXPECT_TRUE(eventually([&] { return is_at_end(ends.far); }, 2000));
    }
}

}  // namespace
}  // namespace ringside::test
