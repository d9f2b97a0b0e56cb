// Bundles of provided buffers that are of different lengths, some of none.
#include <errno.h>
#include <gtest/gtest.h>
#include <string.h>

#include <string>
#include <vector>

#include "ops/net_buffers.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A ring of buffers with these lengths, one after the other in memory, and a stream to send them by.
struct Uneven {
    Uneven(const std::vector<uint32_t>& lengths, unsigned flags) : provided(ring, 16, group, flags) {
        for (unsigned id = 0; id < lengths.size(); ++id) {
            provided.add(buffers.at(id), lengths[id], id);
            memset(buffers.at(id), static_cast<int>('a' + id), buffers.size());
        }
    }
    std::vector<Cqe> send(size_t length, unsigned completions) {
        EXPECT_THAT(ring.submit(send_selecting(ends.near, length, IORING_RECVSEND_BUNDLE)), Gives(1));
        std::vector<Cqe> all = ring.wait(completions);
        EXPECT_THAT(ring.linger(3), IsEmpty());
        return all;
    }
    std::string arrived() const {
        char text[256];
        const ssize_t size = ::recv(ends.far, text, sizeof(text), MSG_DONTWAIT);
        return {text, static_cast<size_t>(size > 0 ? size : 0)};
    }

    RawRing ring{32};
    Buffers buffers{8, 16};
    BufferRing provided;
    Ends ends = unix_pair(SOCK_STREAM);
};

constexpr uint32_t half_used = IORING_CQE_F_BUF_MORE;

// An incremental ring is not moved on over a buffer of no length. What stood behind it was sent again and again,
// without end, and the peer got that.
TEST(BundledSend, sends_what_is_behind_an_empty_buffer_once) {
    Uneven incremental({5, 0, 9, 1}, IOU_PBUF_RING_INC);
    EXPECT_THAT(incremental.send(0, 1), ElementsAre(Completes(1, 15, with_buffer(0, half_used))));
    EXPECT_EQ(incremental.arrived(), "aaaaacccccccccd");
    EXPECT_EQ(head_of_ring(incremental.ring, group), 1);
    EXPECT_THAT(incremental.send(0, 1), ElementsAre(Completes(1, -ENOBUFS)));

    Uneven plain({5, 0, 9, 1}, 0);
    EXPECT_THAT(plain.send(0, 1), ElementsAre(Completes(1, 15, with_buffer(0))));
    EXPECT_EQ(plain.arrived(), "aaaaacccccccccd");
    EXPECT_EQ(head_of_ring(plain.ring, group), 4);
}

TEST(BundledSend, does_not_begin_with_an_empty_buffer) {
    for (const unsigned flags : {0U, unsigned{IOU_PBUF_RING_INC}}) {
        Uneven uneven({0, 10}, flags);
        EXPECT_THAT(uneven.send(0, 1), ElementsAre(Completes(1, -ENOBUFS)));
        EXPECT_THAT(uneven.send(4, 1), ElementsAre(Completes(1, -ENOBUFS)));
        EXPECT_EQ(uneven.arrived(), "");
        EXPECT_EQ(head_of_ring(uneven.ring, group), 0);
        EXPECT_EQ(uneven.ring.run(send_selecting(uneven.ends.near)), (Cqe{1, -ENOBUFS, 0})) << "nor does one buffer";

        Uneven later({6, 0, 2}, flags);
        EXPECT_THAT(later.send(6, 2), ElementsAre(Completes(1, 6, with_buffer(0, more)), Completes(1, -ENOBUFS)));
        EXPECT_EQ(later.arrived(), "aaaaaa");
        EXPECT_EQ(head_of_ring(later.ring, group), 1);
    }
}

TEST(BundledSend, ends_with_an_empty_buffer) {
    for (const unsigned flags : {0U, unsigned{IOU_PBUF_RING_INC}}) {
        Uneven uneven({8, 10, 0}, flags);
        const auto sent = uneven.send(6, 2);
        const bool incremental = flags != 0;
        ASSERT_EQ(sent.size(), 2);
        EXPECT_EQ(sent[0], (Cqe{1, 6, with_buffer(0, incremental ? more | half_used : more)}));
        EXPECT_EQ(sent[1], (Cqe{1, incremental ? 12 : 10, with_buffer(incremental ? 0 : 1)}));
    }
}

// How many buffers a length asks for the kernel takes from the length of the first.
TEST(BundledSend, of_a_length_counts_in_buffers_like_the_first) {
    for (const unsigned flags : {0U, unsigned{IOU_PBUF_RING_INC}}) {
        Uneven uneven({7, 1, 5, 1, 8}, flags);
        EXPECT_THAT(uneven.send(24, 2),
                    ElementsAre(Completes(1, 14, with_buffer(0, more)), Completes(1, 8, with_buffer(4))));
        EXPECT_EQ(uneven.arrived(), "aaaaaaabcccccdeeeeeeee");
        // As much as was asked for, and nothing is left: that is found only later.
        Uneven even({5, 5}, flags);
        EXPECT_THAT(even.send(10, 2), ElementsAre(Completes(1, 10, with_buffer(0, more)), Completes(1, -ENOBUFS)));
    }
}

// What was received into buffers behind one of no length was written over by the next receive.
TEST(BundledRecv, loses_nothing_behind_an_empty_buffer) {
    Uneven uneven({5, 0, 9}, IOU_PBUF_RING_INC);
    say(uneven.ends.near, "hellothere");
    const Cqe first = uneven.ring.run(recv_selecting(uneven.ends.far, 0, IORING_RECVSEND_BUNDLE));
    EXPECT_EQ(first.res, 5);
    EXPECT_EQ(head_of_ring(uneven.ring, group), 1);
    EXPECT_EQ(uneven.ring.run(recv_selecting(uneven.ends.far, 5, IORING_RECVSEND_BUNDLE)).res, -ENOBUFS);
    EXPECT_EQ(uneven.ring.run(recv_selecting(uneven.ends.far, 0, IORING_RECVSEND_BUNDLE)).res, 0);
    char rest[8];
    EXPECT_EQ(::recv(uneven.ends.far, rest, sizeof(rest), 0), 5);
    EXPECT_EQ(std::string(rest, 5), "there");
}

// Cut to the length of the buffer that was the first when it began to wait, and another has taken since.
TEST(SelectingRecv, that_has_waited_fills_its_buffer_on_the_engine_alone) {
    Uneven uneven({4, 16}, 0);
    EXPECT_THAT(uneven.ring.submit(recv_selecting(uneven.ends.far)), Gives(1));
    EXPECT_THAT(uneven.ring.submit(recv_selecting(uneven.ends.far).data(2)), Gives(1));
    say(uneven.ends.near, "ab");
    EXPECT_THAT(uneven.ring.wait(1), ElementsAre(Completes(2, 2, with_buffer(0))));
    say(uneven.ends.near, "0123456789");
    const std::vector<Cqe> last = uneven.ring.wait(1);
    ASSERT_EQ(last.size(), 1);
    EXPECT_EQ(last[0].res, provider_under_test() == provider::Kind::kernel ? 4 : 10);
}

}  // namespace
}  // namespace ringside::test
