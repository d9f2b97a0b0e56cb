// Setting up in other ways, single operations, and registrations.
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "faults/scenarios.h"
#include "liburing.h"
#include "state/ring.h"
#include "support/sqe_files.h"

namespace ringside::test {

// --- Setting up -----------------------------------------------------------------------------------------------------

void sets_up_in_memory_of_its_own(Trial& trial) {
    constexpr size_t page = 4096;
    void* memory = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    io_uring_params params = params_with(IORING_SETUP_NO_MMAP);
    params.cq_off.user_addr = address_of(memory);
    params.sq_off.user_addr = address_of(memory) + page;
    trial.begin();
    const int fd = setup_ring(8, &params);
    EXPECT_TRUE(fd >= 0 || trial.excuses(fd)) << fd;
    if (fd >= 0) provider::close(provider_under_test(), fd);
    munmap(memory, 2 * page);
}

// liburing's callers poll the ring's own descriptor.
static void complete_nops(Trial& trial, unsigned count) {
    trial.begin();
    io_uring ring;
    const int made = io_uring_queue_init(8, &ring, 0);
    EXPECT_TRUE(made == 0 || trial.excuses(made)) << made;
    if (made < 0) return;
    for (unsigned i = 0; i < count; ++i) {
        io_uring_prep_nop(io_uring_get_sqe(&ring));
        const int submitted = io_uring_submit(&ring);
        EXPECT_TRUE(submitted == 1 || trial.excuses(submitted)) << submitted;
        if (submitted != 1) {
            EXPECT_EQ(io_uring_submit(&ring), 1);
        }
    }
    EXPECT_EQ(io_uring_cq_ready(&ring), count);
    io_uring_queue_exit(&ring);
}

void sets_up_a_ring_to_be_polled(Trial& trial) { complete_nops(trial, 0); }
void completes_while_nobody_polls(Trial& trial) { complete_nops(trial, 4); }

// --- Completions ----------------------------------------------------------------------------------------------------

void completes_more_than_there_is_room_for(Trial& trial) {
    RawRing ring(1);
    constexpr unsigned count = 5;
    trial.begin();
    for (unsigned i = 0; i < count; ++i) trial.submit(ring, sqe::nop());
    // One that there was no memory for is lost, and counted.
    const unsigned lost = ring.cq_overflow().load();
    EXPECT_LE(lost, trial.has_failed() ? 1u : 0u);
    EXPECT_EQ(ring.wait(count - lost).size(), count - lost);
}

// --- Threads --------------------------------------------------------------------------------------------------------

void follows_a_worker(Trial& trial) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    trial.begin();
    trial.submit(ring, sqe::nop().data(1).flag(IOSQE_ASYNC | IOSQE_IO_LINK),
                 sqe::read(pipe.read_end, &byte, 1).data(2));
    give(pipe);
    trial.expect(ring, {{1, 0}, {2, 1}});
}

void cancels_what_a_worker_does(Trial& trial) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string fifo = directory.path_of("fifo");
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    trial.begin();
    trial.submit(ring, sqe::openat(AT_FDCWD, fifo.c_str(), O_RDONLY).data(1).flag(IOSQE_ASYNC));
    // Without a thread to wait in, it is over already.
    if (trial.excuses(-EAGAIN) && ring.ready() == 1) return trial.expect(ring, {{1, -EAGAIN}});
    trial.await_call(SYS_openat);
    trial.submit(ring, sqe::cancel(1).data(2));
    trial.expect(ring, {{1, -EINTR}, {2, -EALREADY}});
}

// --- Files and sockets ----------------------------------------------------------------------------------------------

void is_particular_about_flags(Trial& trial) {
    RawRing ring;
    const TemporaryDirectory directory;
    const Fd file(open(directory.add("file").c_str(), O_WRONLY | O_CLOEXEC));
    trial.begin();
    trial.submit(ring, sqe::write(file, "x", 1).set(&Sqe::rw_flags, RWF_NOWAIT).data(1));
    // Whether it can be done at once is the file system's to say.
    const int result = ring.wait(1).at(0).res;
    EXPECT_TRUE(result == 1 || result == -EAGAIN || result == -EOPNOTSUPP || trial.excuses(result)) << result;
    // A device may have something against reading nothing from it.
    const Fd device(open("/dev/null", O_RDONLY | O_CLOEXEC));
    trial.submit(ring, sqe::read(device, nullptr, 0).data(2));
    trial.expect(ring, {{2, 0}});
}

void asks_for_attributes(Trial& trial) {
    RawRing ring;
    const Fd file = file_with("content");
    char value[8];
    trial.begin();
    trial.submit(ring, sqe::attribute(IORING_OP_FGETXATTR, file, "user.none", value, sizeof(value)).data(1));
    trial.expect(ring, {{1, -ENODATA}});
}

void connects(Trial& trial) {
    RawRing ring;
    const Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(listen(listener, 1), 0);
    ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
    const Fd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    trial.begin();
    trial.submit(ring, sqe::transfer(IORING_OP_CONNECT, client, &address, 0, length).data(1));
    trial.expect(ring, {{1, 0}});
}

void sends_messages(Trial& trial) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM | SOCK_CLOEXEC);
    char sent = 'x', received = 0;
    iovec from = {&sent, 1}, to = {&received, 1};
    msghdr sending = {}, receiving = {};
    sending.msg_iov = &from;
    receiving.msg_iov = &to;
    sending.msg_iovlen = receiving.msg_iovlen = 1;
    trial.begin();
    trial.submit(ring, sqe::transfer(IORING_OP_RECVMSG, ends.far, &receiving, 1, 0).data(1));
    trial.submit(ring, sqe::transfer(IORING_OP_SENDMSG, ends.near, &sending, 1, 0).data(2));
    std::map<uint64_t, int> results;
    for (const Cqe& completion : ring.wait(1)) results[completion.user_data] = completion.res;
    // What could not be sent cannot be received.
    if (results.contains(2) && results[2] < 0) {
        EXPECT_EQ(write(ends.near, "x", 1), 1);
    }
    while (results.size() < 2) {
        const std::vector<Cqe> more = ring.wait(1);
        ASSERT_FALSE(more.empty());
        for (const Cqe& completion : more) results[completion.user_data] = completion.res;
    }
    for (const auto& [user_data, result] : results) EXPECT_TRUE(result == 1 || trial.excuses(result)) << result;
}

// --- Registrations and other rings ----------------------------------------------------------------------------------

// The one buffer is used up when it is found that there may be more.
void reads_into_provided_buffers(Trial& trial) {
    RawRing ring;
    static char buffer[8];
    const Pipe pipe;
    trial.begin();
    trial.submit(ring, sqe::transfer(IORING_OP_PROVIDE_BUFFERS, 1, buffer, 8, 0).set(&Sqe::buf_group, 1).data(1));
    trial.expect(ring, {{1, 0}});
    trial.submit(ring, sqe::transfer(IORING_OP_READ_MULTISHOT, pipe.read_end, nullptr, 0, 0)
                           .flag(IOSQE_BUFFER_SELECT)
                           .set(&Sqe::buf_group, 1)
                           .data(2));
    give(pipe);
    const int result = ring.wait(1).at(0).res;
    EXPECT_TRUE(result == 1 || trial.excuses(result) || (trial.has_failed() && result == -ENOBUFS)) << result;
}

void takes_on_a_personality(Trial& trial) {
    RawRing ring;
    trial.begin();
    const int personality = ring.register_call(IORING_REGISTER_PERSONALITY, nullptr, 0);
    EXPECT_TRUE(personality > 0 || trial.excuses(personality)) << personality;
    if (personality < 0) return;
    trial.submit(ring, sqe::nop().data(1).set(&Sqe::personality, personality));
    trial.expect(ring, {{1, 0}});
}

// The other ring's lock is taken for so long that nobody waits for it.
void sends_to_a_busy_ring(Trial& trial) {
    RawRing ring, other;
    engine::Lock& lock = engine::find(other.fd())->lock;
    trial.begin();
    lock.acquire();
    trial.submit(ring, Sqe(IORING_OP_MSG_RING, other.fd()).set(&Sqe::off, 7).set(&Sqe::len, 5).data(1));
    lock.release();
    const int sent = ring.wait(1).at(0).res;
    EXPECT_TRUE(sent == 0 || trial.excuses(sent)) << sent;
    if (sent == 0) trial.expect(other, {{7, 5}});
}

void polls_devices(Trial& trial) {
    RawRing ring;
    io_uring_napi napi = {};
    napi.resv = 1;  // the ids are given
    trial.begin();
    EXPECT_EQ(ring.register_call(IORING_REGISTER_NAPI, &napi, 1), 0);
    napi = {};
    napi.pad[0] = 1;  // add an id
    napi.resv = 1U << 20;
    const int added = ring.register_call(IORING_REGISTER_NAPI, &napi, 1);
    EXPECT_TRUE(added == 0 || trial.excuses(added)) << added;
}

}  // namespace ringside::test
