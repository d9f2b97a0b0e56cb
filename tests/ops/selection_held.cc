// Who has a provided buffer while its request waits, and after its request has failed.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/un.h>

#include "ops/net_sqe.h"
#include "register/buffers.h"
#include "support/eventually.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned group = 7;
constexpr uint32_t more = IORING_CQE_F_MORE, goes_on = IORING_CQE_F_BUF_MORE;

Sqe selecting(const Sqe& sqe) { return sqe::selecting(sqe, group); }
Sqe bundle(const Sqe& sqe) { return selecting(sqe).set(&Sqe::ioprio, IORING_RECVSEND_BUNDLE); }

// A ring with a buffer ring of four buffers of eight bytes.
struct HeldSelection : testing::Test {
    explicit HeldSelection(unsigned flags = 0) : provided(ring, 8, group, flags) {
        for (unsigned id = 0; id < 4; ++id) provided.add(buffers, id);
    }
    int head() { return head_of_ring(ring, group); }
    bool head_becomes(int expected) {
        return eventually([&] { return head() == expected; });
    }

    RawRing ring{32};
    BufferRing provided;
    Buffers buffers{4, 8};
    Ends ends = unix_pair(SOCK_STREAM);
};

struct HeldPart : HeldSelection {
    HeldPart() : HeldSelection(IOU_PBUF_RING_INC) {}
};

TEST_F(HeldSelection, of_a_send_that_waits_is_nobody_elses) {
    fill(ends.near);
    EXPECT_THAT(ring.submit(selecting(sqe::send(ends.near, nullptr, 5)).data(1),
                            selecting(sqe::send(ends.near, nullptr, 5)).data(2)),
                Gives(2));
    EXPECT_EQ(head(), 2);
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(3)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED, with_buffer(0)), Completes(3, 0)));
    drain(ends.far);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 5, with_buffer(1))));
}

TEST_F(HeldSelection, of_a_bundle_that_waits_is_all_there_is) {
    fill(ends.near);
    EXPECT_THAT(ring.submit(bundle(sqe::send(ends.near, nullptr, 0)).data(1)), Gives(1));
    EXPECT_EQ(head(), 4);
    EXPECT_THAT(ring.run(bundle(sqe::send(ends.near, nullptr, 0))), Gives(-ENOBUFS));
    // What has waited ends with its next completion, whatever is provided meanwhile.
    provided.add(buffers, 0);
    drain(ends.far);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 32, with_buffer(0))));
    EXPECT_EQ(head(), 4);
}

TEST_F(HeldSelection, of_a_bundle_in_an_open_chain_is_not_made_before_there_is_room) {
    fill(ends.near);
    EXPECT_THAT(ring.submit(bundle(sqe::send(ends.near, nullptr, 0)).data(1).flag(IOSQE_IO_LINK)), Gives(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_EQ(head(), 0);
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
}

TEST_F(HeldSelection, of_as_many_bytes_as_wanted_leaves_open_whether_there_are_more_buffers) {
    EXPECT_THAT(ring.submit(bundle(sqe::send(ends.near, nullptr, 32)).data(1)), Gives(1));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 32, with_buffer(0, more)), Completes(1, -ENOBUFS)));
}

TEST_F(HeldSelection, of_a_send_that_is_refused_is_used_up) {
    const sockaddr_un nowhere = {77, "nowhere"};
    const Sqe refused = selecting(sqe::sendto(ends.near, nullptr, 5, &nowhere, sizeof(nowhere)));
    for (unsigned id = 0; id < 2; ++id) {
        EXPECT_EQ(ring.run(refused), (Cqe{0, -EISCONN, with_buffer(id)}));
    }
    // An address that is none is found out before a buffer is taken.
    EXPECT_THAT(ring.run(Sqe(refused).set(&Sqe::addr2, address_of(ForbiddenPage().address()))), Gives(-EFAULT));
    EXPECT_THAT(ring.run(Sqe(refused).set(&Sqe::addr_len, 2000)), Gives(-EINVAL));
    EXPECT_EQ(head(), 2);
}

TEST_F(HeldPart, of_a_send_that_is_refused_is_used_up_as_far_as_it_was_wanted) {
    const sockaddr_un nowhere = {77, "nowhere"};
    const Sqe refused = selecting(sqe::sendto(ends.near, nullptr, 5, &nowhere, sizeof(nowhere)));
    EXPECT_EQ(ring.run(refused), (Cqe{0, -EISCONN, with_buffer(0, goes_on)}));
    EXPECT_EQ(ring.run(refused), (Cqe{0, -EISCONN, with_buffer(0)}));
    EXPECT_EQ(ring.run(refused), (Cqe{0, -EISCONN, with_buffer(1, goes_on)}));
}

TEST_F(HeldPart, of_what_cannot_be_polled_is_used_up_though_nothing_was_read) {
    const Fd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const Sqe read = selecting(sqe::read(null, nullptr, 5));
    EXPECT_EQ(ring.run(read), (Cqe{0, 0, with_buffer(0, goes_on)}));
    EXPECT_EQ(ring.run(read), (Cqe{0, 0, with_buffer(0)}));
    EXPECT_EQ(ring.run(read), (Cqe{0, 0, with_buffer(1, goes_on)}));
}

TEST_F(HeldSelection, of_a_receive_is_taken_by_a_worker_and_by_nobody_else) {
    EXPECT_THAT(ring.submit(selecting(sqe::recv(ends.near, nullptr, 5)).data(1)), Gives(1));
    EXPECT_EQ(head(), 0);
    EXPECT_THAT(ring.submit(selecting(sqe::recv(ends.near, nullptr, 5)).data(2).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_TRUE(head_becomes(1));
    EXPECT_THAT(ring.submit(selecting(sqe::recv(ends.near, nullptr, 5)).data(3).flag(IOSQE_IO_LINK)), Gives(1));
    EXPECT_TRUE(head_becomes(2));
    ends.far.reset();
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, 0), Completes(2, 0, with_buffer(0)),
                                                   Completes(3, 0, with_buffer(1))));
}

TEST_F(HeldSelection, of_a_message_is_the_same_before_and_after_its_wait_in_a_worker) {
    iovec vector = {nullptr, 5};
    msghdr message = {};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    EXPECT_THAT(ring.submit(selecting(sqe::recvmsg(ends.near, &message)).data(1).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_TRUE(head_becomes(1));
    EXPECT_EQ(::send(ends.far, "hello", 5, 0), 5);
    const std::vector<Cqe> completions = ring.wait(1);
    ASSERT_EQ(completions.size(), 1u);
    EXPECT_EQ(completions[0].res, 5);
    EXPECT_EQ(buffer_id(completions[0]), 0);
    EXPECT_EQ(buffers.text(0, 5), "hello");
}

TEST_F(HeldSelection, of_a_receive_that_a_worker_finds_refused_is_used_up) {
    const Fd unconnected(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const Sqe receive = selecting(sqe::recv(unconnected, nullptr, 5));
    EXPECT_EQ(ring.run(Sqe(receive).flag(IOSQE_ASYNC)), (Cqe{0, -ENOTCONN, with_buffer(0)}));
    EXPECT_THAT(ring.run(receive), Gives(-ENOTCONN));
    EXPECT_EQ(head(), 1);
}

TEST_F(HeldSelection, of_a_read_in_an_open_chain_is_taken_while_it_waits) {
    const Pipe pipe;
    EXPECT_THAT(ring.submit(selecting(sqe::read(pipe.read_end, nullptr, 5)).data(1).flag(IOSQE_IO_LINK)), Gives(1));
    EXPECT_TRUE(head_becomes(1));
    EXPECT_EQ(write(pipe.write_end, "hello", 5), 5);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5, with_buffer(0))));
}

// A buffer at the address 0 is none, as is found when it has been selected: who gives it back then, and who keeps it,
// is as after other failures, but for messages, which always keep it.
TEST_F(HeldSelection, of_a_buffer_that_is_nowhere_finds_none) {
    const Fd file = file_with("content");
    const Pipe pipe;
    msghdr header = {};
    iovec only = {nullptr, 8};
    header.msg_iov = &only;
    header.msg_iovlen = 1;
    provided.entry(0).addr = 0;
    const Sqe receive = selecting(sqe::recv(ends.far, nullptr, 0));
    const auto expect = [&](const Sqe& sqe, int result, uint32_t flags, int head_after) {
        SCOPED_TRACE(static_cast<int>(sqe.opcode));
        Sqe submitted = sqe;
        EXPECT_EQ(ring.run(submitted.data(1)), (Cqe{1, result, flags}));
        EXPECT_EQ(head(), head_after);
    };
    expect(receive, -ENOBUFS, 0, 0);
    expect(Sqe(receive).set(&Sqe::ioprio, IORING_RECV_MULTISHOT), -ENOBUFS, 0, 0);
    expect(selecting(sqe::recvmsg(ends.far, &header)), -ENOBUFS, with_buffer(0), 0);
    expect(selecting(sqe::read(ends.far, nullptr, 8)), -ENOBUFS, 0, 0);
    expect(selecting(sqe::read(pipe.read_end, nullptr, 8)), -ENOBUFS, 0, 0);
    expect(sqe::read_multishot(pipe.read_end, group), -ENOBUFS, 0, 0);
    expect(Sqe(receive).set(&Sqe::fd, file.get()).flag(IOSQE_ASYNC), -ENOTSOCK, 0, 0);
    expect(Sqe(receive).flag(IOSQE_ASYNC), -ENOBUFS, with_buffer(0), 1);
    provided.entry(1).addr = 0;
    expect(selecting(sqe::read(file, nullptr, 8)), -ENOBUFS, with_buffer(1), 2);
    provided.entry(2).addr = 0;
    // What is sent may lie anywhere.
    expect(selecting(sqe::send(ends.far, nullptr, 5)), -EFAULT, with_buffer(2), 3);
}

TEST(HeldClassicSelection, of_a_buffer_that_is_nowhere_finds_none) {
    const Pipe pipe;
    const Ends ends = unix_pair(SOCK_STREAM);
    msghdr header = {};
    iovec only = {nullptr, 8};
    header.msg_iov = &only;
    header.msg_iovlen = 1;
    for (const auto& [sqe, kept] : {std::pair(selecting(sqe::recv(ends.far, nullptr, 8)), false),
                                    std::pair(bundle(sqe::recv(ends.far, nullptr, 0)), false),
                                    std::pair(sqe::read_multishot(pipe.read_end, group), false),
                                    std::pair(selecting(sqe::recvmsg(ends.far, &header)), true),
                                    std::pair(selecting(sqe::read(pipe.read_end, nullptr, 8)), true),
                                    std::pair(selecting(sqe::send(ends.far, nullptr, 8)), true)}) {
        SCOPED_TRACE(static_cast<int>(sqe.opcode));
        RawRing ring(8);
        EXPECT_THAT(ring.run(sqe::provide_buffers(nullptr, 8, 1, group)), Gives(0));
        Sqe submitted = sqe;
        EXPECT_EQ(ring.run(submitted.data(1)), (Cqe{1, -ENOBUFS, kept ? with_buffer(0) : 0}));
        EXPECT_THAT(ring.run(sqe::remove_buffers(2, group)), Gives(kept ? 0 : 1));
    }
}

// The worker has used up what it asked for, or all of the buffer, before it knows how much comes.
TEST_F(HeldPart, of_a_receive_by_a_worker_is_as_long_as_it_might_have_been) {
    EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
    EXPECT_EQ(ring.run(selecting(sqe::recv(ends.far, nullptr, 0)).data(1).flag(IOSQE_ASYNC)),
              (Cqe{1, 5, with_buffer(0)}));
    EXPECT_EQ(head(), 1);
    EXPECT_EQ(::send(ends.near, "hello", 5, 0), 5);
    EXPECT_EQ(ring.run(selecting(sqe::recv(ends.far, nullptr, 0)).data(1)), (Cqe{1, 5, with_buffer(1, goes_on)}));
    EXPECT_EQ(head(), 1);
}

TEST_F(HeldSelection, again_and_again_without_waiting_is_made_once) {
    const Pipe pipe;
    EXPECT_EQ(write(pipe.write_end, "0123456789abcdef", 16), 16);
    const Sqe read = selecting(Sqe(IORING_OP_READ_MULTISHOT, pipe.read_end)).set(&Sqe::rw_flags, RWF_NOWAIT).data(1);
    EXPECT_THAT(ring.submit(read), Gives(1));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 8, with_buffer(0, more)), Completes(1, -EAGAIN)));
    // A worker lets it wait.
    EXPECT_THAT(ring.submit(Sqe(read).data(2).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 8, with_buffer(1, more))));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_THAT(ring.submit(sqe::cancel(2).data(3)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, -ECANCELED), Completes(3, 0)));
}

// That a file is no socket is not the first thing that a worker finds.
TEST_F(HeldSelection, of_a_bundle_for_a_worker_needs_what_can_be_polled) {
    const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC)), file = file_with("content");
    const Fd directory(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const Pipe pipe;
    for (const int fd : {null.get(), file.get(), directory.get()}) {
        for (const Sqe& send : {bundle(sqe::send(fd, nullptr, 4)),
                                Sqe(sqe::send(fd, "text", 4)).set(&Sqe::ioprio, IORING_RECVSEND_BUNDLE)}) {
            EXPECT_THAT(ring.run(Sqe(send).flag(IOSQE_ASYNC)), Gives(-EBADFD));
            EXPECT_THAT(ring.run(Sqe(send).flag(IOSQE_IO_LINK)), Gives(-EBADFD));
            EXPECT_THAT(ring.run(send), Gives(-ENOTSOCK));
        }
        const Sqe polling = Sqe(sqe::send(fd, "text", 4)).set(&Sqe::ioprio, IORING_RECVSEND_POLL_FIRST);
        EXPECT_THAT(ring.run(Sqe(polling).flag(IOSQE_ASYNC)), Gives(-ENOTSOCK));
    }
    EXPECT_THAT(ring.run(bundle(sqe::send(pipe.write_end, nullptr, 4)).flag(IOSQE_ASYNC)), Gives(-ECANCELED));
    EXPECT_THAT(ring.run(bundle(sqe::send(1'000'000, nullptr, 4)).flag(IOSQE_ASYNC)), Gives(-EBADF));
    EXPECT_EQ(head(), 0);
}

}  // namespace
}  // namespace ringside::test
