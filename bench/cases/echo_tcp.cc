// A TCP server that sends back what it receives, written in four ways.
#include "buffer_ring.h"
#include "case.h"
#include "ring.h"
#include "tcp_server.h"

namespace bench {
namespace {

// What a completion is about: the connection, the step, and the buffer if one was picked.
struct Tag {
    enum Step : uint8_t { received, sent };
    uint32_t connection;
    uint16_t buffer;
    Step step;

    static Tag of(const io_uring_cqe* cqe) {
        Tag tag;
        memcpy(&tag, &cqe->user_data, sizeof tag);
        return tag;
    }
    void put_on(io_uring_sqe* sqe) const { memcpy(&sqe->user_data, this, sizeof *this); }
};
static_assert(sizeof(Tag) == sizeof(uint64_t));

template <unsigned connections>
class RingServer : public TcpServer<connections> {
  protected:
    Ring ring_{connections < 32 ? 32 : 2 * connections};
};

enum class Way { plain, registered, zero_copy };

// A receive, a send, a receive...; by descriptors, by registered files, or with SEND_ZC, whose buffer is free when the
// notification has come.
template <unsigned connections, Way way>
class SingleShotEcho final : public RingServer<connections> {
  public:
    SingleShotEcho() {
        if (way == Way::registered) register_sockets();
        for (uint32_t i = 0; i < connections; ++i) receive(i);
    }
    unsigned batch() override {
        unsigned echoed = 0;
        this->ring_.submit_and_wait(1);
        this->ring_.reap([&](const io_uring_cqe* cqe) {
            const Tag tag = Tag::of(cqe);
            if (zero_copy && (cqe->flags & IORING_CQE_F_NOTIF) != 0) {
                receive(tag.connection);
                return;
            }
            Ring::check(cqe, message_size);
            if (tag.step == Tag::received) {
                send(tag.connection);
                return;
            }
            ++echoed;
            if (!zero_copy) receive(tag.connection);
        });
        return echoed;
    }

  private:
    static constexpr bool zero_copy = way == Way::zero_copy;

    void register_sockets() {
        const int result = io_uring_register_files(this->ring_.get(), this->sockets_, connections);
        if (result < 0) die("io_uring_register_files", result);
    }
    int socket(uint32_t connection) const {
        return way == Way::registered ? static_cast<int>(connection) : this->sockets_[connection];
    }
    static void mark(io_uring_sqe* sqe) {
        if (way == Way::registered) sqe->flags |= IOSQE_FIXED_FILE;
    }
    void receive(uint32_t connection) {
        io_uring_sqe* const sqe = this->ring_.sqe();
        io_uring_prep_recv(sqe, socket(connection), messages_[connection], message_size, 0);
        mark(sqe);
        Tag{connection, 0, Tag::received}.put_on(sqe);
    }
    void send(uint32_t connection) {
        io_uring_sqe* const sqe = this->ring_.sqe();
        if (zero_copy) {
            io_uring_prep_send_zc(sqe, socket(connection), messages_[connection], message_size, 0, 0);
        } else {
            io_uring_prep_send(sqe, socket(connection), messages_[connection], message_size, 0);
        }
        mark(sqe);
        Tag{connection, 0, Tag::sent}.put_on(sqe);
    }

    char messages_[connections][message_size];
};

// One receive for all that a connection will ever say, into buffers from a ring, and sends from those buffers.
template <unsigned connections>
class MultishotEcho final : public RingServer<connections> {
  public:
    MultishotEcho() {
        for (uint32_t i = 0; i < connections; ++i) receive(i);
    }
    unsigned batch() override {
        unsigned echoed = 0;
        this->ring_.submit_and_wait(1);
        this->ring_.reap([&](const io_uring_cqe* cqe) {
            const Tag tag = Tag::of(cqe);
            Ring::check(cqe, message_size);
            if (tag.step == Tag::received) {
                send(tag.connection, static_cast<uint16_t>(cqe->flags >> IORING_CQE_BUFFER_SHIFT));
                if ((cqe->flags & IORING_CQE_F_MORE) == 0) receive(tag.connection);
                return;
            }
            buffers_.give_back(tag.buffer);
            ++echoed;
        });
        return echoed;
    }

  private:
    void receive(uint32_t connection) {
        io_uring_sqe* const sqe = this->ring_.sqe();
        io_uring_prep_recv_multishot(sqe, this->sockets_[connection], nullptr, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = 0;
        Tag{connection, 0, Tag::received}.put_on(sqe);
    }
    void send(uint32_t connection, uint16_t buffer) {
        io_uring_sqe* const sqe = this->ring_.sqe();
        io_uring_prep_send(sqe, this->sockets_[connection], buffers_.buffer(buffer), message_size, 0);
        Tag{connection, buffer, Tag::sent}.put_on(sqe);
    }

    // The next message of a connection may come before we have heard that the last one is sent: two buffers for each.
    BufferRing buffers_{this->ring_.get(), connections < 64 ? 128 : 2048, message_size};
};

const Row<SingleShotEcho<1, Way::plain>> echo_1("tcp-echo-1", "TCP echo 64 B, 1 connection, recv and send", 1.0);
const Row<SingleShotEcho<64, Way::plain>> echo_64("tcp-echo-64", "TCP echo 64 B, 64 connections, recv and send", 1.0);
const Row<SingleShotEcho<1000, Way::plain>> echo_1000("tcp-echo-1000",
                                                      "TCP echo 64 B, 1,000 connections, recv and send", 1.0);
const Row<SingleShotEcho<64, Way::registered>> fixed_64("tcp-fixed-64", "TCP echo 64 B, 64 registered connections",
                                                        1.0);
const Row<SingleShotEcho<1000, Way::registered>> fixed_1000("tcp-fixed-1000",
                                                            "TCP echo 64 B, 1,000 registered connections", 1.0);
const Row<MultishotEcho<1>> multi_1("tcp-multi-1", "TCP echo 64 B, 1 connection, multishot and buffer ring");
const Row<MultishotEcho<64>> multi_64("tcp-multi-64", "TCP echo 64 B, 64 connections, multishot and buffer ring", 1.0);
const Row<MultishotEcho<1000>> multi_1000("tcp-multi-1000",
                                          "TCP echo 64 B, 1,000 connections, multishot and buffer ring", 1.0);
const Row<SingleShotEcho<1, Way::zero_copy>> zc_1("tcp-zc-1", "TCP echo 64 B, 1 connection, recv and send_zc");
const Row<SingleShotEcho<64, Way::zero_copy>> zc_64("tcp-zc-64", "TCP echo 64 B, 64 connections, recv and send_zc");
const Row<SingleShotEcho<1000, Way::zero_copy>> zc_1000("tcp-zc-1000",
                                                        "TCP echo 64 B, 1,000 connections, recv and send_zc");

}  // namespace
}  // namespace bench
