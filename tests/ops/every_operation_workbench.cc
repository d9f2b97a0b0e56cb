#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ops/every_operation.h"
#include "register/buffers.h"
#include "support/process.h"

namespace ringside::test {
namespace {

constexpr unsigned group = 3;
constexpr uint64_t nobody = 99;

}  // namespace

Workbench::Workbench() {
    EXPECT_EQ(register_buffers(ring, {{buffer_, sizeof(buffer_)}}), 0);
    EXPECT_THAT(ring.run(sqe::provide_buffers(buffer_, 8, 2, group)), Gives(0));
    int slots[4] = {-1, -1, -1, -1};
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES, slots, 4), Gives(0));
    EXPECT_EQ(write(full_.write_end, "content", 7), 7);
    EXPECT_EQ(send(pair_.near, "content", 7, 0), 7);
    message_.msg_iov = &vector_;
    message_.msg_iovlen = 1;
    event_.events = EPOLLIN;
    EXPECT_EQ(epoll_ctl(epoll_, EPOLL_CTL_ADD, full_.read_end, &event_), 0);
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    futex_ = {.val = 1, .uaddr = address_of(&word_), .flags = sqe::futex_32, .__reserved = 0};
}

Sqe Workbench::request(uint8_t opcode) {
    for (const auto family :
         {&Workbench::file_request, &Workbench::name_request, &Workbench::socket_request, &Workbench::ring_request}) {
        const Sqe found = (this->*family)(opcode);
        if (found.opcode != IORING_OP_NOP) return found;
    }
    EXPECT_EQ(opcode, IORING_OP_NOP) << "no request of this opcode is known here";
    return sqe::nop();
}

Sqe Workbench::file_request(uint8_t opcode) {
    switch (opcode) {
        case IORING_OP_READ:
        case IORING_OP_READ_FIXED:
            return Sqe(sqe::read(file_, buffer_, 4)).set(&Sqe::opcode, opcode);
        case IORING_OP_WRITE:
        case IORING_OP_WRITE_FIXED:
            return Sqe(sqe::write(file_, buffer_, 4)).set(&Sqe::opcode, opcode);
        case IORING_OP_READV:
        case IORING_OP_READV_FIXED:
            return Sqe(sqe::readv(file_, &vector_, 1)).set(&Sqe::opcode, opcode);
        case IORING_OP_WRITEV:
        case IORING_OP_WRITEV_FIXED:
            return Sqe(sqe::writev(file_, &vector_, 1)).set(&Sqe::opcode, opcode);
        case IORING_OP_READ_MULTISHOT:
            // Ends with the pipe.
            full_.write_end.reset();
            full_.drain();
            return sqe::selecting(Sqe(IORING_OP_READ_MULTISHOT, full_.read_end), group);
        case IORING_OP_FSYNC:
            return sqe::fsync(file_);
        case IORING_OP_SYNC_FILE_RANGE:
            return sqe::sync_file_range(file_, 0, 0, 0);
        case IORING_OP_FALLOCATE:
            return sqe::fallocate(file_, 0, 0, 10);
        case IORING_OP_FTRUNCATE:
            return sqe::ftruncate(file_, 10);
        case IORING_OP_FADVISE:
            return sqe::fadvise(file_, 0, 0, POSIX_FADV_NORMAL);
        case IORING_OP_MADVISE:
            return sqe::madvise(nullptr, 0, 0);
        case IORING_OP_SPLICE:
            return sqe::splice(full_.read_end, sqe::file_position, empty_.write_end, sqe::file_position, 3);
        case IORING_OP_TEE:
            return sqe::tee(full_.read_end, empty_.write_end, 3);
        case IORING_OP_PIPE:
            return sqe::pipe(fds_);
        case IORING_OP_FIXED_FD_INSTALL: {
            int fd = file_;
            io_uring_rsrc_update update = {.offset = 0, .resv = 0, .data = address_of(&fd)};
            EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES_UPDATE, &update, 1), Gives(1));
            return Sqe(IORING_OP_FIXED_FD_INSTALL, 0).flag(IOSQE_FIXED_FILE);
        }
        default:
            return sqe::nop();
    }
}

Sqe Workbench::name_request(uint8_t opcode) {
    const char* const file = file_path_.c_str();
    const char* const other = new_path_.c_str();
    switch (opcode) {
        case IORING_OP_OPENAT:
            return sqe::openat(AT_FDCWD, file, O_RDONLY);
        case IORING_OP_OPENAT2:
            return sqe::openat2(AT_FDCWD, file, &how_);
        case IORING_OP_CLOSE:
            return sqe::close(fcntl(file_, F_DUPFD_CLOEXEC, 0));
        case IORING_OP_STATX:
            return sqe::statx(AT_FDCWD, file, 0, STATX_BASIC_STATS, &status_);
        case IORING_OP_RENAMEAT:
            return sqe::renameat(AT_FDCWD, file, AT_FDCWD, other);
        case IORING_OP_UNLINKAT:
            return sqe::unlinkat(AT_FDCWD, file);
        case IORING_OP_MKDIRAT:
            return sqe::mkdirat(AT_FDCWD, other, 0700);
        case IORING_OP_SYMLINKAT:
            return sqe::symlinkat("target", AT_FDCWD, other);
        case IORING_OP_LINKAT:
            return sqe::linkat(AT_FDCWD, file, AT_FDCWD, other);
        case IORING_OP_FSETXATTR:
            return sqe::fsetxattr(file_, "user.name", "value", 5);
        case IORING_OP_SETXATTR:
            return sqe::setxattr(file, "user.name", "value", 5);
        case IORING_OP_FGETXATTR:
        case IORING_OP_GETXATTR:
            EXPECT_THAT(ring.run(sqe::fsetxattr(file_, "user.name", "value", 5)), Gives(0));
            return opcode == IORING_OP_GETXATTR ? sqe::getxattr(file, "user.name", buffer_, 8)
                                                : sqe::fgetxattr(file_, "user.name", buffer_, 8);
        default:
            return sqe::nop();
    }
}

Sqe Workbench::socket_request(uint8_t opcode) {
    switch (opcode) {
        case IORING_OP_SEND:
        case IORING_OP_SEND_ZC:
            return Sqe(sqe::send(pair_.near, buffer_, 4)).set(&Sqe::opcode, opcode);
        case IORING_OP_SENDMSG:
        case IORING_OP_SENDMSG_ZC:
            return Sqe(sqe::sendmsg(pair_.near, &message_)).set(&Sqe::opcode, opcode);
        case IORING_OP_RECV:
            return sqe::recv(pair_.far, buffer_, 8);
        case IORING_OP_RECVMSG:
            return sqe::recvmsg(pair_.far, &message_);
        case IORING_OP_RECV_ZC:
            return Sqe(IORING_OP_RECV_ZC, pair_.far).set(&Sqe::ioprio, IORING_RECV_MULTISHOT);
        case IORING_OP_ACCEPT:
            return sqe::accept(listener_.fd, reinterpret_cast<sockaddr*>(&address_), &address_length_);
        case IORING_OP_CONNECT:
            return sqe::connect(unbound_, listener_.generic(), sizeof(sockaddr_in));
        case IORING_OP_BIND:
            return sqe::bind(unbound_, &address_, sizeof(address_));
        case IORING_OP_LISTEN:
            return sqe::listen(unbound_, 4);
        case IORING_OP_SHUTDOWN:
            return sqe::shutdown(pair_.near, SHUT_WR);
        case IORING_OP_SOCKET:
            return sqe::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC);
        case IORING_OP_URING_CMD:
            return Sqe(IORING_OP_URING_CMD, pair_.far).set(&Sqe::cmd_op, SOCKET_URING_OP_SIOCINQ);
        case IORING_OP_EPOLL_CTL:
            return sqe::epoll_ctl(idle_epoll_, EPOLL_CTL_ADD, empty_.read_end, &event_);
        case IORING_OP_EPOLL_WAIT:
            return sqe::epoll_wait(epoll_, events_, 2);
        default:
            return sqe::nop();
    }
}

Sqe Workbench::ring_request(uint8_t opcode) {
    switch (opcode) {
        case IORING_OP_POLL_ADD:
            return sqe::poll_add(full_.read_end, POLLIN);
        case IORING_OP_POLL_REMOVE:
            return sqe::poll_remove(nobody);
        case IORING_OP_TIMEOUT:
            return sqe::timeout(&time_);
        case IORING_OP_TIMEOUT_REMOVE:
            return sqe::timeout_remove(nobody);
        case IORING_OP_LINK_TIMEOUT:
            return Sqe(sqe::timeout(&time_)).set(&Sqe::opcode, opcode);
        case IORING_OP_ASYNC_CANCEL:
            return sqe::cancel(nobody);
        case IORING_OP_FILES_UPDATE:
            return sqe::transfer(IORING_OP_FILES_UPDATE, -1, fds_, 2, 0);
        case IORING_OP_PROVIDE_BUFFERS:
            return sqe::provide_buffers(buffer_, 8, 2, group);
        case IORING_OP_REMOVE_BUFFERS:
            return Sqe(IORING_OP_REMOVE_BUFFERS, 2).set(&Sqe::buf_group, group);
        case IORING_OP_MSG_RING:
            return Sqe(IORING_OP_MSG_RING, ring.fd()).set(&Sqe::len, 5).set(&Sqe::off, nobody);
        case IORING_OP_WAITID:
            have_a_child(false);
            return sqe::waitid(P_ALL, 0, &info_, WEXITED);
        case IORING_OP_FUTEX_WAIT:
            // The word holds another value.
            return sqe::futex_wait(&word_, 1);
        case IORING_OP_FUTEX_WAKE:
            return sqe::futex_wake(&word_, 1);
        case IORING_OP_FUTEX_WAITV:
            return sqe::futex_waitv(&futex_, 1);
        default:
            return sqe::nop();
    }
}

// One that waits to be killed, or one that has ended and can be waited for.
void Workbench::have_a_child(bool alive) {
    child_ = fork();
    if (child_ == 0) {
        if (alive) pause();
        _exit(0);
    }
    siginfo_t info;
    if (!alive) {
        EXPECT_EQ(waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOWAIT), 0);
    }
}

Workbench::~Workbench() {
    // A request that is refused or cancelled has left it.
    if (child_ == 0) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
}

Sqe Workbench::waiting_request(uint8_t opcode) {
    switch (opcode) {
        case IORING_OP_READ:
        case IORING_OP_READ_FIXED:
        case IORING_OP_READV:
        case IORING_OP_READV_FIXED:
            return request(opcode).set(&Sqe::fd, empty_.read_end.get());
        case IORING_OP_WRITE:
        case IORING_OP_WRITE_FIXED:
        case IORING_OP_WRITEV:
        case IORING_OP_WRITEV_FIXED:
            full_.fill();
            return request(opcode).set(&Sqe::fd, full_.write_end.get());
        case IORING_OP_READ_MULTISHOT:
            return sqe::selecting(Sqe(opcode, empty_.read_end), group);
        case IORING_OP_POLL_ADD:
            return sqe::poll_add(empty_.read_end, POLLIN);
        case IORING_OP_SEND:
        case IORING_OP_SENDMSG:
        case IORING_OP_SEND_ZC:
        case IORING_OP_SENDMSG_ZC:
            fill(silent_.near);
            return request(opcode).set(&Sqe::fd, silent_.near.get());
        case IORING_OP_RECV:
        case IORING_OP_RECVMSG:
            return request(opcode).set(&Sqe::fd, silent_.near.get());
        case IORING_OP_ACCEPT:
            return request(opcode).set(&Sqe::fd, deaf_.fd.get());
        case IORING_OP_TIMEOUT:
            return sqe::timeout(&long_time_);
        case IORING_OP_SPLICE:
            return sqe::splice(empty_.read_end, sqe::file_position, full_.write_end, sqe::file_position, 3);
        case IORING_OP_TEE:
            return sqe::tee(empty_.read_end, full_.write_end, 3);
        case IORING_OP_EPOLL_WAIT:
            return sqe::epoll_wait(idle_epoll_, events_, 2);
        case IORING_OP_FUTEX_WAIT:
            return sqe::futex_wait(&word_, 0);
        case IORING_OP_FUTEX_WAITV:
            futex_.val = 0;
            return sqe::futex_waitv(&futex_, 1);
        case IORING_OP_WAITID:
            have_a_child(true);
            return sqe::waitid(P_ALL, 0, &info_, WEXITED);
        default:
            return sqe::nop();
    }
}

}  // namespace ringside::test
