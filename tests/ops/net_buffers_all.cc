// Receives into provided buffers that are to be filled (MSG_WAITALL), or are several at once (IORING_RECVSEND_BUNDLE):
// which buffers such a receive takes, what its completion says of them, and what it leaves to the next.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <string_view>
#include <vector>

#include "ops/net_buffers.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint32_t unfinished = IORING_CQE_F_BUF_MORE;

bool on_kernel() { return provider_under_test() == provider::Kind::kernel; }

// An incremental ring of two buffers of eight bytes, and a pair of sockets.
struct Incremental : Fixture {
    explicit Incremental(Ends pair) : Fixture(2, 8, IOU_PBUF_RING_INC), ends(std::move(pair)) {}

    Sqe receive(uint32_t length, bool message, unsigned flag = 0) {
        vector.iov_len = length;
        header.msg_iov = &vector;
        header.msg_iovlen = length != 0;
        const Sqe whole =
            message ? sqe::recvmsg(ends.far, &header, MSG_WAITALL) : sqe::recv(ends.far, nullptr, length, MSG_WAITALL);
        return sqe::selecting(whole, group).data(1).flag(flag);
    }

    // What another receive of two bytes is told.
    Cqe next() {
        const Ends others = unix_pair(SOCK_STREAM);
        say(others.near, "XY");
        return ring.run(recv_selecting(others.far).data(2));
    }

    Ends ends;
    iovec vector = {};
    msghdr header = {};
};

// The ways in which a receive of all of six bytes can end that has got three.
enum class End { rest, stream, cancelled };

int come_to(End end, Incremental& fixture) {
    switch (end) {
        case End::rest:
            say(fixture.ends.near, "def");
            break;
        case End::stream:
            EXPECT_EQ(shutdown(fixture.ends.near, SHUT_WR), 0);
            break;
        case End::cancelled:
            EXPECT_THAT(fixture.ring.submit(sqe::cancel(1).flag(IOSQE_CQE_SKIP_SUCCESS)), Gives(1));
            break;
    }
    return end == End::rest ? 6 : 3;
}

// Of these a receive of all goes on with what comes next.
bool continues(const SocketPair& pair) { return pair.stream || std::string_view(pair.name) == "UNIX seqpacket"; }

// They are there at once, so the worker goes on in its call, in which one record is enough.
TEST(ReceiveOfAll, that_a_worker_makes_ends_with_the_second_record) {
    for (const bool message : {false, true}) {
        Incremental fixture(unix_pair(SOCK_SEQPACKET));
        say(fixture.ends.near, "ab");
        say(fixture.ends.near, "cde");
        const Cqe cqe = fixture.ring.run(fixture.receive(8, message, IOSQE_ASYNC));
        EXPECT_EQ(cqe.res, 5);
        EXPECT_EQ(std::string(fixture.buffers.at(0), 5), "abcde");
        // Who submits it itself waits for the rest.
        say(fixture.ends.near, "ab");
        say(fixture.ends.near, "cde");
        EXPECT_THAT(fixture.ring.submit(fixture.receive(8, message)), Gives(1));
        EXPECT_THAT(fixture.ring.linger(5), IsEmpty());
    }
}

// The kernel counts the first part alone as used, and lends what comes behind it to whoever receives next, while the
// request fills it.
TEST(ReceiveOfAll, has_its_incremental_buffer_to_itself_on_the_engine_alone) {
    for (const SocketPair& pair : socket_pairs) {
        for (const bool message : {false, true}) {
            for (const End end : {End::rest, End::stream, End::cancelled}) {
                Incremental fixture(pair.make());
                if (!continues(pair)) continue;
                SCOPED_TRACE(testing::Message() << pair.name << message << static_cast<int>(end));
                ASSERT_THAT(fixture.ring.submit(fixture.receive(6, message)), Gives(1));
                say(fixture.ends.near, "abc");
                expect_taken(fixture.ends.far);
                ASSERT_THAT(fixture.ring.linger(3), IsEmpty());
                const int received = come_to(end, fixture);
                const bool sees_end = end == End::stream && std::string_view(pair.name) == "TCP";
                EXPECT_THAT(fixture.ring.wait(1),
                            ElementsAre(Completes(1, received, with_buffer(0, sees_end ? nonempty : 0))));
                EXPECT_EQ(fixture.buffers.text(0, 6), received == 6 ? "abcdef" : "abc...");
                EXPECT_EQ(fixture.next(), (Cqe{2, 2, with_buffer(on_kernel() ? 0 : 1, unfinished)}));
                EXPECT_EQ(fixture.buffers.text(0, 5), on_kernel() ? "abcXY" : received == 6 ? "abcde" : "abc..");
            }
        }
    }
}

// One that a worker does has all that it asked for of its buffer, on both.
TEST(ReceiveOfAll, has_its_part_of_an_incremental_buffer_in_a_worker) {
    for (const unsigned flag : {IOSQE_ASYNC, IOSQE_IO_LINK}) {
        for (const bool message : {false, true}) {
            for (const End end : {End::rest, End::stream}) {
                SCOPED_TRACE(testing::Message() << flag << message << static_cast<int>(end));
                Incremental fixture(unix_pair(SOCK_STREAM));
                ASSERT_THAT(fixture.ring.submit(fixture.receive(6, message, flag)), Gives(1));
                say(fixture.ends.near, "abc");
                expect_taken(fixture.ends.far);
                ASSERT_THAT(fixture.ring.linger(3), IsEmpty());
                const int received = come_to(end, fixture);
                EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, received, with_buffer(0, unfinished))));
                EXPECT_EQ(fixture.next(), (Cqe{2, 2, with_buffer(0)})) << "the other two bytes of that buffer";
            }
        }
    }
}

TEST(ReceiveOfAll, that_comes_at_once_leaves_the_rest_of_its_incremental_buffer) {
    Incremental fixture(unix_pair(SOCK_STREAM));
    say(fixture.ends.near, "abcdef");
    EXPECT_EQ(fixture.ring.run(fixture.receive(6, false)), (Cqe{1, 6, with_buffer(0, unfinished)}));
    EXPECT_EQ(fixture.next(), (Cqe{2, 2, with_buffer(0)}));
}

// --- Bundles --------------------------------------------------------------------------------------------------------

Sqe bundle(const Ends& ends, size_t length, int flags = 0) {
    return recv_selecting(ends.far, length, IORING_RECVSEND_BUNDLE, flags);
}

// What comes next into the same group.
Cqe next_receive(Fixture& fixture) {
    const Ends others = unix_pair(SOCK_STREAM);
    say(others.near, "XY");
    return fixture.ring.run(recv_selecting(others.far).data(2));
}

TEST(BundleOfAll, leaves_buffers_that_it_has_not_begun_to_the_next) {
    for (const unsigned ring_flags : {0U, unsigned{IOU_PBUF_RING_INC}}) {
        for (const bool cancelled : {false, true}) {
            SCOPED_TRACE(testing::Message() << ring_flags << cancelled);
            Fixture fixture(4, 4, ring_flags);
            const Ends ends = unix_pair(SOCK_STREAM);
            ASSERT_THAT(fixture.ring.submit(bundle(ends, 12, MSG_WAITALL)), Gives(1));
            say(ends.near, "abcd");
            expect_taken(ends.far);
            ASSERT_THAT(fixture.ring.linger(3), IsEmpty());
            if (cancelled) {
                EXPECT_THAT(fixture.ring.submit(sqe::cancel(1).flag(IOSQE_CQE_SKIP_SUCCESS)), Gives(1));
            } else {
                EXPECT_EQ(shutdown(ends.near, SHUT_WR), 0);
            }
            EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 4, with_buffer(0))));
            EXPECT_EQ(buffer_id(next_receive(fixture)), 1);
        }
    }
}

// The kernel takes the buffers of the first part alone out of the ring.
TEST(BundleOfAll, has_its_buffers_to_itself_on_the_engine_alone) {
    Fixture fixture(4, 4);
    const Ends ends = unix_pair(SOCK_STREAM);
    ASSERT_THAT(fixture.ring.submit(bundle(ends, 8, MSG_WAITALL)), Gives(1));
    say(ends.near, "ab");
    expect_taken(ends.far);
    ASSERT_THAT(fixture.ring.linger(3), IsEmpty());
    EXPECT_EQ(next_receive(fixture), (Cqe{2, 2, with_buffer(on_kernel() ? 1 : 2)}));
    say(ends.near, "cdefgh");
    EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 8, with_buffer(0))));
    EXPECT_EQ(fixture.buffers.text(0, 8), "abcdefgh");
}

TEST(BundleOfAll, does_not_give_back_what_others_have_taken_behind_it) {
    Fixture fixture(4, 4);
    const Ends ends = unix_pair(SOCK_STREAM);
    ASSERT_THAT(fixture.ring.submit(bundle(ends, 8, MSG_WAITALL)), Gives(1));
    say(ends.near, "ab");
    expect_taken(ends.far);
    ASSERT_THAT(fixture.ring.linger(3), IsEmpty());
    const int others = buffer_id(next_receive(fixture));
    EXPECT_EQ(shutdown(ends.near, SHUT_WR), 0);
    EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 2, with_buffer(0))));
    EXPECT_EQ(buffer_id(next_receive(fixture)), others + 1);
}

TEST(BundledRecv, that_a_worker_waits_with_has_one_buffer) {
    for (const unsigned flag : {IOSQE_ASYNC, IOSQE_IO_LINK}) {
        for (const size_t length : {0UL, 6UL, 12UL}) {
            for (const unsigned ring_flags : {0U, unsigned{IOU_PBUF_RING_INC}}) {
                SCOPED_TRACE(testing::Message() << flag << ' ' << length << ' ' << ring_flags);
                Fixture fixture(4, 8, ring_flags);
                const Ends ends = unix_pair(SOCK_STREAM);
                ASSERT_THAT(fixture.ring.submit(bundle(ends, length).flag(flag)), Gives(1));
                ASSERT_THAT(fixture.ring.linger(3), IsEmpty());
                say(ends.near, "abc");
                const bool part = ring_flags != 0 && length == 6;
                EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 3, with_buffer(0, part ? unfinished : 0))));
                EXPECT_EQ(fixture.buffers.text(0, 8), "abc.....");
                EXPECT_EQ(buffer_id(next_receive(fixture)), part ? 0 : 1);
            }
        }
    }
}

TEST(BundledRecv, of_a_group_that_was_never_made_finds_no_buffer_in_a_worker) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    EXPECT_THAT(ring.run(bundle(ends, 0).data(0)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(bundle(ends, 0).flag(IOSQE_ASYNC).data(0)), Gives(-ENOBUFS));
}

// A length that ends within a buffer shortens the receive, and not the buffer in the program's memory.
TEST(BundledRecv, leaves_the_lengths_of_buffers_as_they_are) {
    Fixture fixture(2, 8);
    const Ends ends = unix_pair(SOCK_STREAM);
    ASSERT_THAT(fixture.ring.submit(bundle(ends, 6)), Gives(1));
    ASSERT_THAT(fixture.ring.submit(sqe::cancel(1).flag(IOSQE_CQE_SKIP_SUCCESS)), Gives(1));
    EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, -ECANCELED)));
    say(ends.near, "abcdefgh");
    EXPECT_EQ(fixture.ring.run(bundle(ends, 6)), (Cqe{1, 6, with_buffer(0, nonempty)}));
    EXPECT_EQ(fixture.provided.entry(0).len, 8u);
}

// One that goes on ends with the buffer that was the last when it was selected, unless that had all the room that was
// asked for: even if some of it is left.
TEST(BundledRecv, again_and_again_ends_when_there_was_less_than_it_asked_for) {
    struct Case {
        size_t length;
        unsigned ring_flags;
        bool is_last;
    };
    for (const Case& each :
         {Case{6, 0, false}, Case{8, 0, false}, Case{12, 0, true}, Case{0, 0, true}, Case{6, IOU_PBUF_RING_INC, false},
          Case{12, IOU_PBUF_RING_INC, true}, Case{0, IOU_PBUF_RING_INC, true}}) {
        SCOPED_TRACE(testing::Message() << each.length << ' ' << each.ring_flags);
        Fixture fixture(1, 8, each.ring_flags);
        const Ends ends = unix_pair(SOCK_STREAM);
        say(ends.near, "abc");
        ASSERT_THAT(fixture.ring.submit(recv_multishot(ends.far, each.length, IORING_RECVSEND_BUNDLE)), Gives(1));
        const uint32_t flags = (each.ring_flags != 0 ? unfinished : 0) | (each.is_last ? 0 : more);
        EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 3, with_buffer(0, flags))));
    }
}

// Whether the last buffer, when it is filled, ends a bundle without a length that goes on depends in the kernel on how
// much of a request's memory has been used before.
TEST(BundledRecv, again_and_again_without_a_length_may_find_only_later_that_there_is_no_buffer) {
    Fixture fixture(2, 8);
    const Ends ends = unix_pair(SOCK_STREAM);
    say(ends.near, "abcdefghijklmnop");
    ASSERT_THAT(fixture.ring.submit(recv_multishot(ends.far, 0, IORING_RECVSEND_BUNDLE)), Gives(1));
    std::vector<Cqe> completions = fixture.ring.wait(1);
    ASSERT_FALSE(completions.empty());
    EXPECT_EQ(completions[0].res, 16);
    if (!on_kernel()) {
        EXPECT_EQ(completions[0].flags, with_buffer(0));
    } else if (completions[0].flags & more) {
        say(ends.near, "q");
        EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, -ENOBUFS)));
    }
}

// --- Again and again ------------------------------------------------------------------------------------------------

// The kernel's worker has it wait for what happens next, and the end has happened.
TEST(MultishotRecv, that_a_worker_begins_hears_of_an_end_that_came_before_on_the_engine_alone) {
    for (const unsigned flag : {IOSQE_ASYNC, IOSQE_IO_LINK}) {
        SCOPED_TRACE(flag);
        Fixture fixture(4, 8);
        Ends ends = unix_pair(SOCK_STREAM);
        say(ends.near, "abc");
        ASSERT_EQ(shutdown(ends.near, SHUT_WR), 0);
        ASSERT_THAT(fixture.ring.submit(recv_multishot(ends.far).flag(flag)), Gives(1));
        const auto all = {Completes(1, 3, with_buffer(0, more)), Completes(1, 0)};
        if (!on_kernel()) {
            EXPECT_THAT(fixture.ring.wait(2), testing::ElementsAreArray(all));
            continue;
        }
        EXPECT_THAT(fixture.ring.wait(1), ElementsAre(*all.begin()));
        EXPECT_THAT(fixture.ring.linger(), IsEmpty());
        ends.near.reset();
        EXPECT_THAT(fixture.ring.wait(1), ElementsAre(Completes(1, 0)));
    }
}

}  // namespace
}  // namespace ringside::test
