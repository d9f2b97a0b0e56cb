// A UDP server of one socket that sends back what it receives to where it came from.
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "buffer_ring.h"
#include "case.h"
#include "load.h"
#include "ring.h"

namespace bench {
namespace {

// A message on its way through the server. Nothing in it moves: the msghdr points into it.
struct Datagram {
    sockaddr_in from;
    char bytes[message_size];
    iovec part;
    msghdr message;

    void point_to(void* data, sockaddr_in* peer) {
        part = {data, message_size};
        message = {};
        message.msg_name = peer;
        message.msg_namelen = sizeof *peer;
        message.msg_iov = &part;
        message.msg_iovlen = 1;
    }
};

template <unsigned peers>
class UdpServer : public Case {
  public:
    ~UdpServer() override { close(socket_); }
    unsigned in_flight() const override { return peers; }

  protected:
    int socket_ = listening_socket(SOCK_DGRAM);
    Load load_{udp_load, port_of(socket_), peers};
    Ring ring_{256};
};

// Some RECVMSG are in flight at all times; what they receive is sent from where it lies.
template <unsigned peers>
class SingleShotUdp final : public UdpServer<peers> {
  public:
    SingleShotUdp() {
        for (auto& datagram : datagrams_) receive(&datagram);
    }
    unsigned batch() override {
        unsigned echoed = 0;
        this->ring_.submit_and_wait(1);
        this->ring_.reap([&](const io_uring_cqe* cqe) {
            Ring::check(cqe, message_size);
            auto* const datagram = reinterpret_cast<Datagram*>(cqe->user_data & ~sent);
            if ((cqe->user_data & sent) == 0) {
                send(datagram);
            } else {
                receive(datagram);
                ++echoed;
            }
        });
        return echoed;
    }

  private:
    static constexpr uint64_t sent = 1;  // in user_data, beside the datagram's address
    static constexpr unsigned receivers = peers < 64 ? peers : 64;

    void receive(Datagram* datagram) {
        datagram->point_to(datagram->bytes, &datagram->from);
        io_uring_sqe* const sqe = this->ring_.sqe();
        io_uring_prep_recvmsg(sqe, this->socket_, &datagram->message, 0);
        sqe->user_data = reinterpret_cast<uintptr_t>(datagram);
    }
    void send(Datagram* datagram) {
        io_uring_sqe* const sqe = this->ring_.sqe();
        io_uring_prep_sendmsg(sqe, this->socket_, &datagram->message, 0);
        sqe->user_data = reinterpret_cast<uintptr_t>(datagram) | sent;
    }

    Datagram datagrams_[receivers];
};

// One RECVMSG for all that ever comes, into buffers from a ring: each with the sender's address before the message.
template <unsigned peers>
class MultishotUdp final : public UdpServer<peers> {
  public:
    MultishotUdp() {
        form_.msg_namelen = sizeof(sockaddr_in);
        receive();
    }
    unsigned batch() override {
        unsigned echoed = 0;
        this->ring_.submit_and_wait(1);
        this->ring_.reap([&](const io_uring_cqe* cqe) {
            if (cqe->user_data == receiver) {
                received(cqe);
            } else {
                Ring::check(cqe, message_size);
                buffers_.give_back(static_cast<unsigned>(cqe->user_data));
                ++echoed;
            }
        });
        return echoed;
    }

  private:
    static constexpr uint64_t receiver = ~0ULL;  // user_data; that of a send is its buffer
    static constexpr unsigned buffer_count = 128;
    static constexpr unsigned head_size = sizeof(io_uring_recvmsg_out) + sizeof(sockaddr_in);

    void receive() {
        io_uring_sqe* const sqe = this->ring_.sqe();
        io_uring_prep_recvmsg_multishot(sqe, this->socket_, &form_, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = 0;
        sqe->user_data = receiver;
    }
    void received(const io_uring_cqe* cqe) {
        // It ends when buffers or places in the CQ run out; they come back with the sends that are under way.
        if ((cqe->flags & IORING_CQE_F_MORE) == 0) receive();
        if (cqe->res == -ENOBUFS) return;
        Ring::check(cqe, head_size + message_size);
        const unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        char* const buffer = buffers_.buffer(id);
        sends_[id].point_to(buffer + head_size, reinterpret_cast<sockaddr_in*>(buffer + sizeof(io_uring_recvmsg_out)));
        io_uring_sqe* const sqe = this->ring_.sqe();
        io_uring_prep_sendmsg(sqe, this->socket_, &sends_[id].message, 0);
        sqe->user_data = id;
    }

    msghdr form_ = {};
    Datagram sends_[buffer_count];
    BufferRing buffers_{this->ring_.get(), buffer_count, head_size + message_size};
};

const Row<SingleShotUdp<1>> udp_1("udp-echo-1", "UDP echo 64 B, 1 peer, recvmsg and sendmsg", 1.0);
const Row<SingleShotUdp<64>> udp_64("udp-echo-64", "UDP echo 64 B, 64 peers, recvmsg and sendmsg", 1.0);
const Row<SingleShotUdp<1000>> udp_1000("udp-echo-1000", "UDP echo 64 B, 1,000 peers, recvmsg and sendmsg", 1.0);
const Row<MultishotUdp<1>> multi_1("udp-multi-1", "UDP echo 64 B, 1 peer, multishot and buffer ring");
const Row<MultishotUdp<64>> multi_64("udp-multi-64", "UDP echo 64 B, 64 peers, multishot and buffer ring");
const Row<MultishotUdp<1000>> multi_1000("udp-multi-1000", "UDP echo 64 B, 1,000 peers, multishot and buffer ring");

}  // namespace
}  // namespace bench
