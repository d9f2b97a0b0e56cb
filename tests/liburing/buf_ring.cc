#include <errno.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "liburing/ring.h"
#include "support/files.h"

namespace ringside::test {
namespace {

constexpr int group = 3;
constexpr unsigned buffer_size = 64;

// A buffer ring with all its buffers provided.
class BufferRing : public testing::Test {
  protected:
    void SetUp() override {
        int error = 0;
        buffers_ = io_uring_setup_buf_ring(ring_.get(), 4, group, 0, &error);
        ASSERT_NE(buffers_, nullptr) << error;
        for (unsigned short bid = 0; bid < 4; bid++) {
            io_uring_buf_ring_add(buffers_, memory_[bid], buffer_size, bid, io_uring_buf_ring_mask(4), bid);
        }
        io_uring_buf_ring_advance(buffers_, 4);
    }
    void TearDown() override {
        if (buffers_ == nullptr) return;
        EXPECT_EQ(io_uring_free_buf_ring(ring_.get(), buffers_, 4, group), 0);
    }

    Uring ring_{8};
    io_uring_buf_ring* buffers_ = nullptr;
    char memory_[4][buffer_size] = {};
};

TEST_F(BufferRing, counts_what_is_available) {
    uint16_t head = 99;
    EXPECT_EQ(io_uring_buf_ring_head(ring_.get(), group, &head), 0);
    EXPECT_EQ(head, 0u);
    EXPECT_EQ(io_uring_buf_ring_available(ring_.get(), buffers_, group), 4);
    EXPECT_LT(io_uring_buf_ring_head(ring_.get(), group + 1, &head), 0);
}

TEST_F(BufferRing, lends_a_buffer_to_each_read_and_takes_it_back) {
    Pipe pipe;
    for (int round = 0; round < 10; round++) {
        const std::string text = "round " + std::to_string(round);
        ASSERT_EQ(write(pipe.write_end, text.data(), text.size()), static_cast<ssize_t>(text.size()));
        io_uring_sqe* const sqe = io_uring_get_sqe(ring_.get());
        io_uring_prep_read(sqe, pipe.read_end, nullptr, buffer_size, 0);
        io_uring_sqe_set_flags(sqe, IOSQE_BUFFER_SELECT);
        io_uring_sqe_set_buf_group(sqe, group);
        ASSERT_EQ(io_uring_submit_and_wait(ring_.get(), 1), 1);
        io_uring_cqe* cqe;
        ASSERT_EQ(io_uring_peek_cqe(ring_.get(), &cqe), 0);
        ASSERT_EQ(cqe->res, static_cast<int>(text.size()));
        ASSERT_TRUE(cqe->flags & IORING_CQE_F_BUFFER);
        const auto bid = static_cast<unsigned short>(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
        ASSERT_EQ(bid, round % 4);
        EXPECT_EQ(std::string(memory_[bid], text.size()), text);
        io_uring_buf_ring_add(buffers_, memory_[bid], buffer_size, bid, io_uring_buf_ring_mask(4), 0);
        io_uring_buf_ring_cq_advance(ring_.get(), buffers_, 1);
    }
    EXPECT_EQ(io_uring_buf_ring_available(ring_.get(), buffers_, group), 4);
    EXPECT_EQ(io_uring_cq_ready(ring_.get()), 0u);
}

TEST(BufferRingSetup, tells_why_it_cannot_be_made) {
    Uring ring(8);
    int error = 0;
    EXPECT_EQ(io_uring_setup_buf_ring(ring.get(), 3, group, 0, &error), nullptr);
    EXPECT_EQ(error, -EINVAL) << "not a power of two";
    EXPECT_EQ(io_uring_setup_buf_ring(ring.get(), 65536, group, 0, &error), nullptr);
    EXPECT_EQ(error, -EINVAL) << "too large";
    EXPECT_LT(io_uring_unregister_buf_ring(ring.get(), group), 0);
}

TEST_F(BufferRing, receives_message_after_message_and_takes_each_apart) {
    const Fd receiver(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), sender(socket(AF_INET, SOCK_DGRAM, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    ASSERT_EQ(bind(receiver, reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(getsockname(receiver, reinterpret_cast<sockaddr*>(&address), &length), 0);

    msghdr shape = {};
    shape.msg_namelen = sizeof(sockaddr_in);
    io_uring_sqe* const sqe = io_uring_get_sqe(ring_.get());
    io_uring_prep_recvmsg_multishot(sqe, receiver, &shape, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = group;
    ASSERT_EQ(io_uring_submit(ring_.get()), 1);

    for (const std::string text : {"first", "second one"}) {
        ASSERT_EQ(sendto(sender, text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&address), length),
                  static_cast<ssize_t>(text.size()));
        io_uring_cqe* cqe;
        ASSERT_EQ(io_uring_wait_cqe(ring_.get(), &cqe), 0);
        ASSERT_GT(cqe->res, 0);
        EXPECT_TRUE(cqe->flags & IORING_CQE_F_MORE);
        io_uring_recvmsg_out* const out =
            io_uring_recvmsg_validate(memory_[cqe->flags >> IORING_CQE_BUFFER_SHIFT], cqe->res, &shape);
        ASSERT_NE(out, nullptr);
        EXPECT_EQ(out->namelen, sizeof(sockaddr_in));
        EXPECT_EQ(static_cast<sockaddr_in*>(io_uring_recvmsg_name(out))->sin_addr.s_addr, address.sin_addr.s_addr);
        EXPECT_EQ(io_uring_recvmsg_cmsg_firsthdr(out, &shape), nullptr);
        EXPECT_EQ(std::string(static_cast<char*>(io_uring_recvmsg_payload(out, &shape)),
                              io_uring_recvmsg_payload_length(out, cqe->res, &shape)),
                  text);
        io_uring_cqe_seen(ring_.get(), cqe);
    }
}

// A buffer as a multishot recvmsg would have filled it, with two control messages.
class ReceivedMessage : public testing::Test {
  protected:
    static constexpr size_t controls = 2 * CMSG_SPACE(sizeof(int));
    ReceivedMessage() {
        shape_.msg_namelen = 16;
        shape_.msg_controllen = controls;
        out()->controllen = controls;
        for (unsigned i = 0; i < 2; i++) {
            cmsghdr* const message = control(i);
            message->cmsg_len = CMSG_LEN(sizeof(int));
            message->cmsg_type = static_cast<int>(i) + 1;
        }
    }
    io_uring_recvmsg_out* out() { return reinterpret_cast<io_uring_recvmsg_out*>(bytes_); }
    cmsghdr* control(unsigned i) {
        return reinterpret_cast<cmsghdr*>(bytes_ + sizeof(io_uring_recvmsg_out) + 16 + i * CMSG_SPACE(sizeof(int)));
    }
    alignas(16) char bytes_[256] = {};
    msghdr shape_ = {};
};

TEST_F(ReceivedMessage, is_refused_if_it_is_too_short_for_its_parts) {
    const int least = sizeof(io_uring_recvmsg_out) + 16 + controls;
    EXPECT_EQ(io_uring_recvmsg_validate(bytes_, least - 1, &shape_), nullptr);
    EXPECT_EQ(io_uring_recvmsg_validate(bytes_, -EINVAL, &shape_), nullptr);
    ASSERT_EQ(io_uring_recvmsg_validate(bytes_, least, &shape_), out());
    EXPECT_EQ(io_uring_recvmsg_payload_length(out(), least, &shape_), 0u);
    EXPECT_EQ(io_uring_recvmsg_payload_length(out(), least + 7, &shape_), 7u);
}

TEST_F(ReceivedMessage, has_its_control_messages_walked_to_the_end) {
    cmsghdr* message = io_uring_recvmsg_cmsg_firsthdr(out(), &shape_);
    ASSERT_EQ(message, control(0));
    message = io_uring_recvmsg_cmsg_nexthdr(out(), &shape_, message);
    ASSERT_EQ(message, control(1));
    EXPECT_EQ(io_uring_recvmsg_cmsg_nexthdr(out(), &shape_, message), nullptr);
}

TEST_F(ReceivedMessage, is_not_walked_beyond_what_it_has_by_a_length_that_lies) {
    control(0)->cmsg_len = 1;
    EXPECT_EQ(io_uring_recvmsg_cmsg_nexthdr(out(), &shape_, control(0)), nullptr);
    control(0)->cmsg_len = 100'000;
    EXPECT_EQ(io_uring_recvmsg_cmsg_nexthdr(out(), &shape_, control(0)), nullptr);
    control(0)->cmsg_len = static_cast<size_t>(-1);
    EXPECT_EQ(io_uring_recvmsg_cmsg_nexthdr(out(), &shape_, control(0)), nullptr);
    control(0)->cmsg_len = CMSG_LEN(sizeof(int));
    control(1)->cmsg_len = 100'000;
    EXPECT_EQ(io_uring_recvmsg_cmsg_nexthdr(out(), &shape_, control(0)), nullptr);
    out()->controllen = 3;
    EXPECT_EQ(io_uring_recvmsg_cmsg_firsthdr(out(), &shape_), nullptr);
}

}  // namespace
}  // namespace ringside::test
