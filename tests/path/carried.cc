// Requests of one batch whose first attempts go into the kernel together (path/carry.cc). Each has the result that it
// would have had alone, and what else the batch holds comes in its order.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "ops/net_sqe.h"
#include "path/carriers.h"
#include "register/buffers.h"
#include "register/fixed_files.h"
#include "support/counted_calls.h"
#include "support/files.h"
#include "support/process.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

using Carried = OnCarrier;
INSTANTIATE_TEST_SUITE_P(By, Carried, carriers(), name_of_carrier);

TEST_P(Carried, reads_of_all_kinds_of_files_have_their_own_results) {
    in_child([] {
        RawRing ring(64);
        const Fd file = file_with("0123456789"), memory = memory_file_with("content"), counter(eventfd(7, 0));
        const Fd direct = file_with(std::string(4096, 'd'), O_DIRECT), watch(inotify_init1(IN_CLOEXEC));
        const Fd write_only(open("/dev/null", O_WRONLY)), directory(open("/", O_RDONLY | O_DIRECTORY));
        const Pipe pipe, empty, closed;
        const Ends pair = unix_pair(SOCK_STREAM);
        ASSERT_EQ(write(pipe.write_end, "pipe", 4), 4);
        ASSERT_EQ(send(pair.far, "socket", 6, 0), 6);
        char parts[16][16] = {};
        alignas(4096) static char block[4096];
        uint64_t count = 0;
        ASSERT_THAT(
            ring.submit(sqe::read(file, parts[0], 4, 2).data(0), sqe::read(memory, parts[1], 16).data(1),
                        sqe::read(counter, &count, 8).data(2), sqe::read(pipe.read_end, parts[3], 16).data(3),
                        sqe::read(pair.near, parts[4], 16).data(4), sqe::read(99999, parts[5], 16).data(5),
                        sqe::read(write_only, parts[6], 16).data(6), sqe::read(file, parts[7], 16, 10).data(7),
                        sqe::read(directory, parts[8], 16).data(8), sqe::read(direct, block, 4096).data(9),
                        sqe::read(empty.read_end, parts[10], 16).data(10), sqe::read(watch, parts[11], 16).data(11),
                        sqe::nop().data(12), sqe::read(pair.near, parts[13], 16, 3).data(13),
                        sqe::read(file, reinterpret_cast<void*>(16), 4).data(14),
                        sqe::read(file, parts[15], 0).data(15)),
            Gives(16));
        EXPECT_THAT(ring.wait(14),
                    UnorderedElementsAre(Completes(0, 4), Completes(1, 7), Completes(2, 8), Completes(3, 4),
                                         Completes(4, 6), Completes(5, -EBADF), Completes(6, -EBADF), Completes(7, 0),
                                         Completes(8, -EISDIR), Completes(9, 4096), Completes(12, 0),
                                         Completes(13, -ESPIPE), Completes(14, -EFAULT), Completes(15, 0)));
        EXPECT_STREQ(parts[0], "2345");
        EXPECT_STREQ(parts[3], "pipe");
        EXPECT_STREQ(parts[4], "socket");
        EXPECT_EQ(count, 7u);
        EXPECT_EQ(block[4095], 'd');
        ASSERT_EQ(write(empty.write_end, "late", 4), 4);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(10, 4)));
        EXPECT_STREQ(parts[10], "late");
    });
}

TEST_P(Carried, completions_come_in_the_order_of_submission) {
    in_child([] {
        RawRing ring(256);
        const Fd file = file_with(std::string(4096, 'x'));
        char bytes[200];
        for (unsigned i = 0; i < 200; ++i) {
            ring.push(i % 7 == 3 ? sqe::nop().data(i) : sqe::read(file, &bytes[i], 1, i * 11 % 4096).data(i));
        }
        ASSERT_THAT(ring.enter(200, 0, 0), Gives(200));
        const std::vector<Cqe> cqes = ring.wait(200);
        ASSERT_EQ(cqes.size(), 200u);
        for (unsigned i = 0; i < 200; ++i) EXPECT_EQ(cqes[i].user_data, i);
    });
}

TEST_P(Carried, registered_sockets_send_receive_read_and_write) {
    in_child([] {
        RawRing ring(64);
        const Ends stream = unix_pair(SOCK_STREAM), records = unix_pair(SOCK_SEQPACKET), tcp = tcp_pair();
        const Pipe pipe;
        ASSERT_THAT(register_files(ring, {stream.near, stream.far, records.near, records.far, tcp.near, tcp.far,
                                          pipe.write_end, pipe.read_end}),
                    Gives(0));
        char parts[8][16] = {};
        const auto fixed = [](Sqe sqe) { return sqe.flag(IOSQE_FIXED_FILE); };
        ASSERT_THAT(
            ring.submit(fixed(sqe::send(0, "stream", 6, 0)).data(0), fixed(sqe::recv(1, parts[1], 16, 0)).data(1),
                        fixed(sqe::send(2, "record", 6, 0)).data(2), fixed(sqe::recv(3, parts[3], 3, 0)).data(3),
                        fixed(sqe::write(4, "tcp", 3)).data(4), fixed(sqe::send(6, "pipe", 4, 0)).data(5),
                        fixed(sqe::recv(7, parts[6], 16, 0)).data(6), fixed(sqe::recv(1, parts[7], 16, 0)).data(7)),
            Gives(8));
        EXPECT_THAT(ring.wait(7),
                    UnorderedElementsAre(Completes(0, 6), Completes(1, 6), Completes(2, 6), Completes(3, 3),
                                         Completes(4, 3), Completes(5, -ENOTSOCK), Completes(6, -ENOTSOCK)));
        EXPECT_STREQ(parts[1], "stream");
        EXPECT_STREQ(parts[3], "rec");
        // The rest of the record is gone, and what the pipe was to get never came.
        EXPECT_THAT(ring.run(fixed(sqe::recv(3, parts[3], 16, MSG_DONTWAIT))), Gives(-EAGAIN));
        EXPECT_EQ(fcntl(pipe.read_end, F_SETFL, O_NONBLOCK), 0);
        EXPECT_EQ(read(pipe.read_end, parts[6], 16), -1);
        // One that found nothing waits.
        ASSERT_EQ(send(stream.near, "late", 4, 0), 4);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(7, 4)));
        EXPECT_STREQ(parts[7], "late");
    });
}

TEST_P(Carried, a_send_to_nobody_raises_no_signal_and_a_write_does) {
    in_child([] {
        RawRing ring(8);
        Ends pair = unix_pair(SOCK_STREAM);
        ASSERT_THAT(register_files(ring, {pair.near}), Gives(0));
        pair.far = Fd();
        static int raised = 0;
        signal(SIGPIPE, [](int) { ++raised; });
        ASSERT_THAT(ring.submit(sqe::send(0, "a", 1, 0).data(1).flag(IOSQE_FIXED_FILE),
                                sqe::send(0, "b", 1, 0).data(2).flag(IOSQE_FIXED_FILE)),
                    Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EPIPE), Completes(2, -EPIPE)));
        EXPECT_EQ(raised, 0);
        ASSERT_THAT(ring.submit(sqe::write(0, "a", 1).data(1).flag(IOSQE_FIXED_FILE),
                                sqe::write(0, "b", 1).data(2).flag(IOSQE_FIXED_FILE)),
                    Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EPIPE), Completes(2, -EPIPE)));
        EXPECT_NE(raised, 0);
    });
}

TEST_P(Carried, registered_buffers_are_read_into_and_their_bounds_hold) {
    in_child([] {
        RawRing ring(16);
        const Fd file = memory_file_with("0123456789");
        char pool[32] = {};
        iovec buffer = {pool, 16};
        ASSERT_THAT(ring.register_call(IORING_REGISTER_BUFFERS, &buffer, 1), Gives(0));
        const auto read_fixed = [&](char* to, uint32_t length, uint64_t offset) {
            return sqe::transfer(IORING_OP_READ_FIXED, file, to, length, offset).set(&Sqe::buf_index, uint16_t{0});
        };
        ASSERT_THAT(ring.submit(read_fixed(pool, 3, 1).data(1), read_fixed(pool + 8, 3, 6).data(2),
                                read_fixed(pool + 14, 3, 0).data(3), read_fixed(pool + 12, 2, 9).data(4)),
                    Gives(4));
        EXPECT_THAT(ring.wait(4),
                    UnorderedElementsAre(Completes(1, 3), Completes(2, 3), Completes(3, -EFAULT), Completes(4, 1)));
        EXPECT_EQ(std::string(pool, 3), "123");
        EXPECT_EQ(std::string(pool + 8, 3), "678");
    });
}

TEST_P(Carried, linked_drained_and_asynchronous_requests_keep_their_place) {
    in_child([] {
        RawRing ring(32);
        const Fd file = file_with("0123456789");
        char a[4] = {}, b[4] = {}, c[4] = {};
        ASSERT_THAT(
            ring.submit(sqe::read(file, a, 1, 0).data(1), sqe::read(file, a + 1, 1, 5).data(2),
                        sqe::read(file, b, 4, 8).data(3).flag(IOSQE_IO_LINK), sqe::nop().data(4),
                        sqe::read(file, c, 1, 3).data(5), sqe::nop().data(6).flag(IOSQE_IO_DRAIN),
                        sqe::read(file, c + 1, 1, 1).data(7), sqe::read(file, c + 2, 1, 7).data(8).flag(IOSQE_ASYNC)),
            Gives(8));
        const std::vector<Cqe> cqes = ring.wait(8);
        EXPECT_THAT(cqes,
                    UnorderedElementsAre(Completes(1, 1), Completes(2, 1), Completes(3, 2), Completes(4, -ECANCELED),
                                         Completes(5, 1), Completes(6, 0), Completes(7, 1), Completes(8, 1)));
        EXPECT_EQ(cqes[0].user_data, 1u);
        EXPECT_EQ(cqes[1].user_data, 2u);
        EXPECT_STREQ(a, "05");
        EXPECT_STREQ(c, "317");
    });
}

TEST_P(Carried, a_child_of_fork_carries_by_itself) {
    in_child([] {
        const Fd file = file_with("0123456789");
        const auto reads_two = [&] {
            RawRing ring(8);
            char bytes[3] = {};
            EXPECT_THAT(ring.submit(sqe::read(file, bytes, 1, 4).data(1), sqe::read(file, bytes + 1, 1, 2).data(2)),
                        Gives(2));
            EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(2, 1)));
            EXPECT_STREQ(bytes, "42");
            return HasFailure() ? 1 : 0;
        };
        EXPECT_EQ(reads_two(), 0);
        EXPECT_EQ(ending_of_child(reads_two), 0);
        EXPECT_EQ(reads_two(), 0);
    });
}

// --- System calls, counted
// --------------------------------------------------------------------------------------------

// By calls there is one for each, and now and then one that looks whether the whole file is in memory.
TEST_P(Carried, a_batch_of_cached_reads_takes_few_calls) {
    const Fd file = file_with(std::string(1 << 16, 'x'));
    const int calls = count_calls([&](const Counted& counted) {
        setenv("RINGSIDE_CARRIER", GetParam(), 1);
        RawRing ring(64);
        char bytes[32];
        const auto batch = [&] {
            for (unsigned i = 0; i < 32; ++i) ring.push(sqe::read(file, &bytes[i], 1, i * 1009 % 65536));
            EXPECT_THAT(ring.enter(32, 32, IORING_ENTER_GETEVENTS), Gives(32));
        };
        batch();
        counted(batch);
    });
    EXPECT_GE(calls, 1);
    EXPECT_LE(calls, std::string_view(GetParam()) == "aio" ? 2 : 40);
}

}  // namespace
}  // namespace ringside::test
