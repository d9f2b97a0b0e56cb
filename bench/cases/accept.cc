// Connections that are accepted and closed at once.
#include <sys/socket.h>
#include <unistd.h>

#include "case.h"
#include "load.h"
#include "ring.h"

namespace bench {
namespace {

// Closing resets the connection, so that none stays behind to wait out its time.
int resetting_listener() {
    const int fd = listening_socket(SOCK_STREAM);
    const linger reset = {.l_onoff = 1, .l_linger = 0};
    must("SO_LINGER", setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset));
    return fd;
}

template <bool multishot>
class AcceptClose final : public Case {
  public:
    AcceptClose() { accept(); }
    ~AcceptClose() override { close(listener_); }
    unsigned in_flight() const override { return clients; }
    unsigned batch() override {
        unsigned closed = 0;
        ring_.submit_and_wait(1);
        ring_.reap([&](const io_uring_cqe* cqe) {
            if (cqe->res < 0) die("accept or close", cqe->res);
            if (cqe->user_data == closing) {
                ++closed;
                return;
            }
            io_uring_sqe* const sqe = ring_.sqe();
            io_uring_prep_close(sqe, cqe->res);
            sqe->user_data = closing;
            if ((cqe->flags & IORING_CQE_F_MORE) == 0) accept();
        });
        return closed;
    }

  private:
    static constexpr unsigned clients = 16;
    static constexpr uint64_t accepting = 0, closing = 1;

    void accept() {
        io_uring_sqe* const sqe = ring_.sqe();
        if (multishot) {
            io_uring_prep_multishot_accept(sqe, listener_, nullptr, nullptr, SOCK_CLOEXEC);
        } else {
            io_uring_prep_accept(sqe, listener_, nullptr, nullptr, SOCK_CLOEXEC);
        }
        sqe->user_data = accepting;
    }

    int listener_ = resetting_listener();
    Load load_{connect_load, port_of(listener_), clients};
    Ring ring_{2 * clients};
};

const Row<AcceptClose<false>> accept_close("accept", "TCP connections accepted and closed, 16 clients", 1.0);
const Row<AcceptClose<true>> accept_multishot("accept-multi",
                                              "TCP connections accepted (multishot) and closed, 16 clients", 1.0);

}  // namespace
}  // namespace bench
