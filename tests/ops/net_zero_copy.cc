// SEND_ZC and SENDMSG_ZC: a result, and a notification that the buffer is free again.
#include <errno.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <string.h>

#include <string>
#include <vector>

#include "ops/net_sqe.h"
#include "register/buffers.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

constexpr uint32_t more = IORING_CQE_F_MORE;
constexpr uint32_t notification = IORING_CQE_F_NOTIF;

// Submits one and waits for both of its completions.
std::vector<Cqe> run_both(RawRing& ring, const io_uring_sqe& entry) {
    EXPECT_THAT(ring.submit(entry), Gives(1));
    return ring.wait(2);
}

auto gives_with_notification(int result, int usage = 0) {
    return ElementsAre(Completes(1, result, more), Completes(1, usage, notification));
}

TEST(ZeroCopySend, completes_and_notifies) {
    for (const unsigned flag : {0U, IOSQE_ASYNC, IOSQE_IO_LINK}) {
        RawRing ring;
        const Ends ends = tcp_pair();
        EXPECT_THAT(run_both(ring, sqe::send_zc(ends.near, "hello", 5).data(1).flag(flag)), gives_with_notification(5));
        EXPECT_EQ(receive_all(ends.far, 5), "hello");
        const Local receiver(SOCK_DGRAM);
        const Sqe datagram = sqe::sendto(receiver.fd, "hello", 5, &receiver.address, sizeof(receiver.address));
        EXPECT_THAT(run_both(ring, Sqe(datagram).set(&Sqe::opcode, IORING_OP_SEND_ZC).data(1).flag(flag)),
                    gives_with_notification(5));
        EXPECT_EQ(drain(receiver.fd), 5u);
    }
}

TEST(ZeroCopySend, reports_that_data_was_copied) {
    RawRing ring;
    const Ends ends = tcp_pair();
    const Sqe entry = sqe::send_zc(ends.near, "hello", 5).data(1).set(&Sqe::ioprio, IORING_SEND_ZC_REPORT_USAGE);
    const int copied = static_cast<int>(IORING_NOTIF_USAGE_ZC_COPIED);
    EXPECT_THAT(run_both(ring, entry), gives_with_notification(5, copied));
}

TEST(ZeroCopySend, of_messages_and_iovecs) {
    RawRing ring;
    const Ends ends = tcp_pair();
    iovec vectors[] = {{const_cast<char*>("hel"), 3}, {const_cast<char*>("lo"), 2}};
    msghdr header = {};
    header.msg_iov = vectors;
    header.msg_iovlen = 2;
    EXPECT_THAT(run_both(ring, sqe::sendmsg(ends.near, &header).set(&Sqe::opcode, IORING_OP_SENDMSG_ZC).data(1)),
                gives_with_notification(5));
    EXPECT_THAT(run_both(ring, sqe::send_zc(ends.near, vectors, 2).set(&Sqe::ioprio, IORING_SEND_VECTORIZED).data(1)),
                gives_with_notification(5));
    EXPECT_EQ(receive_all(ends.far, 10), "hellohello");
}

TEST(ZeroCopySend, that_fails_notifies_too) {
    RawRing ring;
    Ends ends = tcp_pair();
    const Pipe pipe;
    const ForbiddenPage page;
    const Ends local = unix_pair(SOCK_STREAM);
    EXPECT_THAT(run_both(ring, sqe::send_zc(local.near, "x", 1).data(1)), gives_with_notification(-EOPNOTSUPP));
    EXPECT_THAT(run_both(ring, sqe::send_zc(pipe.write_end, "x", 1).data(1)), gives_with_notification(-ENOTSOCK));
    EXPECT_THAT(run_both(ring, sqe::send_zc(1'000'000, "x", 1).data(1)), gives_with_notification(-EBADF));
    EXPECT_THAT(run_both(ring, sqe::send_zc(ends.near, page.address(), 1).data(1)), gives_with_notification(-EFAULT));
    EXPECT_THAT(run_both(ring, sqe::send_zc(ends.near, reinterpret_cast<void*>(~uintptr_t{0}), 1).data(1)),
                gives_with_notification(-EFAULT));
    EXPECT_THAT(run_both(ring, sqe::send_zc(ends.near, "x", 1).data(1).set(&Sqe::ioprio, 2)),
                gives_with_notification(-EINVAL));
    EXPECT_EQ(shutdown(ends.near, SHUT_WR), 0);
    EXPECT_THAT(run_both(ring, sqe::send_zc(ends.near, "x", 1).data(1)), gives_with_notification(-EPIPE));
}

TEST(ZeroCopySend, that_cannot_be_read_is_told_before_a_socket_that_cannot_do_it) {
    RawRing ring;
    const Ends local = unix_pair(SOCK_STREAM);
    const ForbiddenPage page;
    Sqe message = sqe::sendmsg(local.near, static_cast<msghdr*>(page.address())).data(1);
    EXPECT_THAT(run_both(ring, message.set(&Sqe::opcode, IORING_OP_SENDMSG_ZC)), gives_with_notification(-EFAULT));
    Sqe vectors = sqe::send_zc(local.near, page.address(), 2).data(1);
    EXPECT_THAT(run_both(ring, vectors.set(&Sqe::ioprio, IORING_SEND_VECTORIZED)), gives_with_notification(-EFAULT));
    EXPECT_THAT(run_both(ring, sqe::send_zc(local.near, "x", 1U << 31).data(1)), gives_with_notification(-EOPNOTSUPP));
}

TEST(ZeroCopySend, that_is_malformed_does_not_begin) {
    RawRing ring;
    const Ends ends = tcp_pair();
    const Sqe good = sqe::send_zc(ends.near, "x", 1);
    EXPECT_THAT(ring.run(Sqe(good).flag(IOSQE_CQE_SKIP_SUCCESS)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(Sqe(good).set(&Sqe::addr3, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(Sqe(good).flag(IOSQE_BUFFER_SELECT)), Gives(-EOPNOTSUPP));
}

TEST(ZeroCopySend, can_be_cancelled) {
    RawRing ring;
    const Ends ends = tcp_pair();
    for (int quiet = 0; quiet < 3;) quiet = fill(ends.near) == 0 ? quiet + 1 : (sleep_ms(5), 0);
    EXPECT_THAT(ring.submit(sqe::send_zc(ends.near, "x", 1).data(1)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(3),
                UnorderedElementsAre(Completes(1, -ECANCELED, more), Completes(1, 0, notification), Completes(2, 0)));
}

TEST(ZeroCopySend, severs_its_chain_when_it_fails_and_notifies_when_it_is_severed) {
    RawRing ring;
    const Ends ends = tcp_pair();
    EXPECT_THAT(ring.submit(sqe::send_zc(1'000'000, "x", 1).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, -EBADF, more), Completes(1, 0, notification),
                                                   Completes(2, -ECANCELED)));
    EXPECT_THAT(
        ring.submit(sqe::send(1'000'000, "x", 1).data(1).flag(IOSQE_IO_LINK), sqe::send_zc(ends.near, "x", 1).data(2)),
        Gives(2));
    EXPECT_THAT(ring.wait(3),
                UnorderedElementsAre(Completes(1, -EBADF), Completes(2, -ECANCELED), Completes(2, 0, notification)));
    EXPECT_THAT(ring.submit(sqe::send_zc(ends.near, "x", 1).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)), Gives(2));
    EXPECT_THAT(ring.wait(3),
                UnorderedElementsAre(Completes(1, 1, more), Completes(1, 0, notification), Completes(2, 0)));
}

TEST(ZeroCopySend, in_a_chain_that_never_began_notifies) {
    RawRing ring;
    const Ends ends = tcp_pair();
    const Sqe zero_copy = sqe::send_zc(ends.near, "x", 1).data(1);
    const Sqe malformed = Sqe(250).data(2);
    // Of a chain's head it is said that more is to come.
    EXPECT_THAT(ring.submit(Sqe(zero_copy).flag(IOSQE_IO_LINK), malformed), Gives(2));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, -ECANCELED, more), Completes(1, 0, notification),
                                                   Completes(2, -EINVAL)));
    EXPECT_THAT(ring.submit(Sqe(malformed).flag(IOSQE_IO_LINK), zero_copy), Gives(2));
    EXPECT_THAT(ring.wait(3),
                UnorderedElementsAre(Completes(1, -ECANCELED), Completes(1, 0, notification), Completes(2, -EINVAL)));
    // So it is of one whose file cannot be found.
    EXPECT_THAT(ring.submit(Sqe(zero_copy).set(&Sqe::fd, 7).flag(IOSQE_FIXED_FILE)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -EBADF, more), Completes(1, 0, notification)));
    // It says nothing about copies where flags are unknown; nor is it announced of any but the head of a chain.
    const Sqe with_unknown_flags = Sqe(zero_copy).set(&Sqe::ioprio, 0xffff);
    EXPECT_THAT(ring.submit(with_unknown_flags), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -EINVAL, more), Completes(1, 0, notification)));
    EXPECT_THAT(ring.submit(sqe::nop().data(2).flag(IOSQE_IO_LINK), with_unknown_flags), Gives(2));
    EXPECT_THAT(ring.wait(3),
                UnorderedElementsAre(Completes(2, -ECANCELED), Completes(1, -EINVAL), Completes(1, 0, notification)));
    // Where the rest of a chain is to end without a word, the notification is not part of that.
    EXPECT_THAT(
        ring.submit(sqe::send(1'000'000, "x", 1).data(2).flag(IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS), zero_copy),
        Gives(2));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, -EBADF), Completes(1, 0, notification)));
}

TEST(ZeroCopySend, that_drains_is_sent_by_the_engine_alone) {
    // The kernel counts the notification, which is there from the beginning, among what the send has to wait for.
    for (const bool itself : {true, false}) {
        RawRing ring;
        const Ends ends = tcp_pair();
        const unsigned drain = IOSQE_IO_DRAIN;
        EXPECT_THAT(ring.submit(sqe::nop().data(2).flag(itself ? 0 : drain),
                                sqe::send_zc(ends.near, "x", 1).data(1).flag(itself ? drain : 0)),
                    Gives(2));
        if (provider_under_test() == provider::Kind::kernel) {
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
            EXPECT_THAT(ring.linger(), testing::IsEmpty());
        } else {
            EXPECT_THAT(ring.wait(3),
                        UnorderedElementsAre(Completes(2, 0), Completes(1, 1, more), Completes(1, 0, notification)));
        }
    }
}

TEST(ZeroCopySend, from_a_registered_buffer) {
    for (const unsigned flag : {0U, IOSQE_ASYNC}) {
        RawRing ring;
        const Ends ends = tcp_pair();
        AlignedBuffer buffer(4096);
        memcpy(buffer.data() + 100, "hello", 5);
        const Sqe entry = sqe::send_zc(ends.near, buffer.data() + 100, 5)
                              .data(1)
                              .flag(flag)
                              .set(&Sqe::ioprio, IORING_RECVSEND_FIXED_BUF);
        EXPECT_THAT(run_both(ring, entry), gives_with_notification(-EFAULT));
        EXPECT_THAT(register_buffers(ring, {vector_of(buffer)}), Gives(0));
        EXPECT_THAT(run_both(ring, entry), gives_with_notification(5));
        EXPECT_THAT(run_both(ring, Sqe(entry).set(&Sqe::addr, address_of(buffer.data() + 4095))),
                    gives_with_notification(-EFAULT));
        EXPECT_THAT(run_both(ring, Sqe(entry).set(&Sqe::buf_index, 1)), gives_with_notification(-EFAULT));
        iovec vectors[] = {{buffer.data() + 100, 2}, {buffer.data() + 102, 3}};
        msghdr header = {};
        header.msg_iov = vectors;
        header.msg_iovlen = 2;
        EXPECT_THAT(run_both(ring, sqe::sendmsg(ends.near, &header)
                                       .data(1)
                                       .flag(flag)
                                       .set(&Sqe::opcode, IORING_OP_SENDMSG_ZC)
                                       .set(&Sqe::ioprio, IORING_RECVSEND_FIXED_BUF)),
                    gives_with_notification(5));
        EXPECT_EQ(receive_all(ends.far, 10), "hellohello");
    }
}

TEST(ZeroCopySend, has_vectors_or_a_registered_buffer_but_not_both) {
    RawRing ring;
    const Ends ends = tcp_pair();
    const Ends local = unix_pair(SOCK_STREAM);
    iovec vector = {const_cast<char*>("hello"), 5};
    constexpr unsigned both = IORING_SEND_VECTORIZED | IORING_RECVSEND_FIXED_BUF;
    EXPECT_THAT(run_both(ring, sqe::send_zc(ends.near, &vector, 1).set(&Sqe::ioprio, both).data(1)),
                gives_with_notification(-EINVAL));
    // The buffers of a message are looked for before its socket is found to be unfit, that of a plain send after.
    msghdr header = {};
    header.msg_iov = &vector;
    header.msg_iovlen = 1;
    const Sqe message = sqe::sendmsg(local.near, &header).set(&Sqe::opcode, IORING_OP_SENDMSG_ZC).data(1);
    EXPECT_THAT(run_both(ring, Sqe(message).set(&Sqe::ioprio, IORING_RECVSEND_FIXED_BUF)),
                gives_with_notification(-EFAULT));
    EXPECT_THAT(
        run_both(ring, sqe::send_zc(local.near, "hello", 5).set(&Sqe::ioprio, IORING_RECVSEND_FIXED_BUF).data(1)),
        gives_with_notification(-EOPNOTSUPP));
}

TEST(ZeroCopySend, that_is_refused_leaves_what_follows_alone) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_DGRAM);
    char byte = 0;
    EXPECT_THAT(ring.submit(sqe::send_zc(ends.near, &byte, 1).data(1).flag(IOSQE_IO_HARDLINK | IOSQE_ASYNC),
                            sqe::read(ends.far, &byte, 1).data(2).set(&Sqe::rw_flags, RWF_NOWAIT)),
                Gives(2));
    const bool on_kernel = provider_under_test() == provider::Kind::kernel;
    std::vector<Cqe> completions = ring.wait(on_kernel ? 2 : 3);
    if (completions.size() == 2) {
        // Once in a while a worker of the kernel's goes on all the same, and waits.
        EXPECT_EQ(send(ends.near, "x", 1, 0), 1);
        const std::vector<Cqe> last = ring.wait(1);
        completions.insert(completions.end(), last.begin(), last.end());
    }
    EXPECT_THAT(completions,
                UnorderedElementsAre(Completes(1, -EOPNOTSUPP, more), Completes(1, 0, notification),
                                     testing::AnyOf(Completes(2, -EAGAIN), Completes(2, on_kernel ? 1 : -EAGAIN))));
}

}  // namespace
}  // namespace ringside::test
