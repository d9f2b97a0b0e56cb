// One request of each operation that there is, which is well-formed and completes at once, on files of its own.
#pragma once

#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <string>

#include "ops/net_sqe.h"
#include "support/files.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {

// What the requests work on. One set serves one request.
class Workbench {
  public:
    Workbench();
    ~Workbench();
    Workbench(const Workbench&) = delete;
    Workbench& operator=(const Workbench&) = delete;

    // A request of this operation, to be submitted to `ring`, in which what it needs is registered.
    Sqe request(uint8_t opcode);

    // The same where it has to wait, for as long as nobody helps it; its opcode is NOP where it never has to.
    Sqe waiting_request(uint8_t opcode);

    RawRing ring{16};

  private:
    Sqe file_request(uint8_t opcode);
    Sqe name_request(uint8_t opcode);
    Sqe socket_request(uint8_t opcode);
    Sqe ring_request(uint8_t opcode);
    void have_a_child(bool alive);

    TemporaryDirectory directory_;
    std::string file_path_ = directory_.add("file", "content");
    std::string new_path_ = directory_.path_of("new");
    Fd file_{::open(file_path_.c_str(), O_RDWR | O_CLOEXEC)};
    Pipe full_, empty_;
    Ends pair_ = tcp_pair();
    Ends silent_ = tcp_pair();
    Local listener_{SOCK_STREAM};
    Local deaf_{SOCK_STREAM};
    Fd client_ = listener_.client();
    Fd unbound_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    Fd epoll_{epoll_create1(EPOLL_CLOEXEC)};
    Fd idle_epoll_{epoll_create1(EPOLL_CLOEXEC)};

    char buffer_[64] = {};
    iovec vector_ = {buffer_, 4};
    msghdr message_ = {};
    sockaddr_in address_ = {};
    socklen_t address_length_ = sizeof(address_);
    epoll_event event_ = {};
    epoll_event events_[2] = {};
    struct statx status_ = {};
    open_how how_ = {};
    siginfo_t info_ = {};
    uint32_t word_ = 0;
    ::futex_waitv futex_ = {};
    __kernel_timespec time_ = milliseconds_of(1);
    __kernel_timespec long_time_ = milliseconds_of(60'000);
    int fds_[2] = {-1, -1};
    pid_t child_ = 0;
};

}  // namespace ringside::test
