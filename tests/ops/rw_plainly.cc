// Reads and writes on files that do not know RWF_NOWAIT and are not on disk: the submitter must not wait in them.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;

constexpr uint64_t here = ~uint64_t{0};
constexpr size_t room_in_pipe = 65536;

// A named pipe, open at both ends.
Fd new_fifo() {
    const TemporaryDirectory directory;
    const std::string path = directory.path_of("fifo");
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    return Fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
}

size_t read_from(int fd, size_t most) {
    std::string text(most, 0);
    const ssize_t got = read(fd, text.data(), most);
    return got < 0 ? 0 : static_cast<size_t>(got);
}

// It blocked the submitter, who was to read what it wrote.
TEST(NamedPipe, takes_what_it_has_room_for) {
    const std::string much(200'000, 'x');
    for (const unsigned flag : {0u, unsigned{IOSQE_ASYNC}}) {
        RawRing ring;
        const Fd fifo = new_fifo();
        iovec vectors[] = {{const_cast<char*>(much.data()), 10}, {const_cast<char*>(much.data()), 150'000}};
        EXPECT_THAT(ring.run(sqe::write(fifo, much.data(), 200'000).flag(flag)), Gives(room_in_pipe));
        EXPECT_EQ(read_from(fifo, room_in_pipe), room_in_pipe);
        EXPECT_THAT(ring.run(sqe::writev(fifo, vectors, 2).flag(flag)), Gives(room_in_pipe));
        // It is full: the next waits for room, and takes no more than there is then.
        EXPECT_THAT(ring.submit(sqe::write(fifo, much.data(), 200'000).data(1).flag(flag)), Gives(1));
        EXPECT_THAT(ring.linger(5), testing::IsEmpty());
        EXPECT_EQ(read_from(fifo, 4096), 4096u);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 4096)));
    }
}

TEST(NamedPipe, takes_everything_from_a_write_that_blocks) {
    RawRing ring;
    const Fd fifo = new_fifo();
    const std::string much(200'000, 'x');
    ASSERT_THAT(ring.submit(sqe::write(fifo, much.data(), 200'000).data(1).flag(IOSQE_IO_LINK)), Gives(1));
    size_t drained = 0;
    while (drained < much.size()) {
        const size_t got = read_from(fifo, room_in_pipe);
        ASSERT_GT(got, 0u);
        drained += got;
    }
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 200'000)));
}

// What shares a page with the fault does not go.
TEST(NamedPipe, tells_how_much_went_before_a_fault) {
    RawRing ring;
    const Fd fifo = new_fifo();
    const ForbiddenPage page;
    const std::string good(10'000, 'x');
    iovec vectors[] = {{const_cast<char*>(good.data()), good.size()}, {page.address(), 100}};
    EXPECT_THAT(ring.run(sqe::writev(fifo, vectors, 2)), Gives(8192));
    EXPECT_THAT(ring.run(sqe::write(fifo, page.address(), 10'000)), Gives(-EFAULT));
}

// A file that knows the older way to write alone, and may block, is one for the kernel's workers: what follows in the
// chain is done there, too, and blocks, whatever its flags say.
TEST(CounterInChain, has_what_follows_done_by_a_worker) {
    uint64_t one = 1;
    char byte;
    for (const uint32_t length : {8u, 0u}) {
        RawRing ring;
        const Pipe pipe;
        const Fd counter(eventfd(0, EFD_CLOEXEC));
        EXPECT_THAT(ring.submit(sqe::write(counter, &one, length).data(1).flag(IOSQE_IO_LINK),
                                sqe::read(pipe.read_end, &byte, 1).data(2).set(&Sqe::rw_flags, RWF_NOWAIT)),
                    Gives(2));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, static_cast<int>(length))));
        EXPECT_THAT(ring.linger(5), testing::IsEmpty());
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 1)));
    }
}

TEST(CounterInChain, leaves_what_follows_alone_where_it_fails_or_cannot_block) {
    uint64_t one = 1;
    char byte;
    struct Case {
        int flags;
        uint32_t length;
        int result;
    };
    for (const Case& each : {Case{EFD_NONBLOCK, 8, 8}, Case{EFD_NONBLOCK, 0, 0}, Case{0, 3, -EINVAL}}) {
        RawRing ring;
        const Pipe pipe;
        const Fd counter(eventfd(0, EFD_CLOEXEC | each.flags));
        EXPECT_THAT(ring.submit(sqe::write(counter, &one, each.length).data(1).flag(IOSQE_IO_HARDLINK),
                                sqe::read(pipe.read_end, &byte, 1).data(2).set(&Sqe::rw_flags, RWF_NOWAIT)),
                    Gives(2));
        EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, each.result), Completes(2, -EAGAIN)));
    }
}

TEST(CounterInChain, has_what_follows_done_by_a_worker_when_a_worker_adds_to_it) {
    uint64_t two = 2;
    char byte;
    RawRing ring;
    const Pipe pipe;
    const Fd counter(eventfd(0, EFD_CLOEXEC));
    EXPECT_THAT(ring.submit(sqe::write(counter, &two, 8).data(1).flag(IOSQE_IO_LINK),
                            sqe::read(pipe.read_end, &byte, 1).data(2).set(&Sqe::rw_flags, RWF_NOWAIT)),
                Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 8)));
    EXPECT_THAT(ring.linger(5), testing::IsEmpty());
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 1)));
}

// splice(2) has a pipe forget RWF_NOWAIT; io_uring does not.
TEST(SplicedPipe, still_knows_not_to_wait) {
    RawRing ring;
    const Fd file = memory_file_with("content");
    const Pipe pipe;
    char bytes[8] = {};
    const auto at_once = [](Sqe sqe) { return sqe.set(&Sqe::rw_flags, RWF_NOWAIT); };
    EXPECT_THAT(ring.run(sqe::splice(file, here, pipe.write_end, here, 3)), Gives(3));
    EXPECT_THAT(ring.run(sqe::splice(pipe.read_end, here, file, 0, 1)), Gives(1));
    EXPECT_THAT(ring.run(at_once(sqe::read(pipe.read_end, bytes, 8))), Gives(2));
    EXPECT_STREQ(bytes, "on");
    EXPECT_THAT(ring.run(at_once(sqe::read(pipe.read_end, bytes, 8))), Gives(-EAGAIN));
    const std::string much(200'000, 'x');
    EXPECT_THAT(ring.run(at_once(sqe::write(pipe.write_end, much.data(), 200'000))), Gives(room_in_pipe));
    EXPECT_THAT(ring.run(at_once(sqe::write(pipe.write_end, "x", 1))), Gives(-EAGAIN));
    pipe.drain();
    EXPECT_THAT(ring.run(sqe::write(pipe.write_end, much.data(), 200'000)), Gives(room_in_pipe));
    pipe.drain();
    // Neither in a worker nor behind one.
    EXPECT_THAT(ring.run(at_once(sqe::write(pipe.write_end, "xyz", 3)).flag(IOSQE_ASYNC)), Gives(3));
    EXPECT_THAT(ring.submit(sqe::splice(file, 0, pipe.write_end, here, 1).data(1).flag(IOSQE_IO_LINK),
                            at_once(sqe::read(pipe.read_end, bytes, 4)).data(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(2, 4)));
    // A named one never knew.
    const Fd fifo = new_fifo();
    EXPECT_THAT(ring.run(at_once(sqe::write(fifo, "x", 1))), Gives(-EOPNOTSUPP));
}

TEST(SplicedPipe, is_read_on_and_on) {
    RawRing ring;
    constexpr uint16_t group = 3;
    std::array<char, 128> buffers;
    const Fd file = memory_file_with("content");
    const Pipe pipe;
    const Fd fifo = new_fifo();
    EXPECT_THAT(ring.run(sqe::splice(file, here, pipe.write_end, here, 3)), Gives(3));
    EXPECT_EQ(write(fifo, "abc", 3), 3);
    for (const int fd : {pipe.read_end.get(), fifo.get()}) {
        EXPECT_THAT(ring.run(Sqe(IORING_OP_PROVIDE_BUFFERS, 2)
                                 .set(&Sqe::addr, address_of(buffers.data()))
                                 .set(&Sqe::len, 64)
                                 .set(&Sqe::buf_group, group)),
                    Gives(0));
        EXPECT_THAT(ring.submit(Sqe(IORING_OP_READ_MULTISHOT, fd)
                                    .data(1)
                                    .set(&Sqe::buf_group, group)
                                    .set(&Sqe::off, here)
                                    .flag(IOSQE_BUFFER_SELECT)),
                    Gives(1));
        const std::vector<Cqe> first = ring.wait(1);
        ASSERT_EQ(first.size(), 1u);
        EXPECT_EQ(first[0].res, 3);
        EXPECT_TRUE(first[0].flags & IORING_CQE_F_MORE);
        EXPECT_THAT(ring.linger(5), testing::IsEmpty());
        EXPECT_EQ(write(fd == fifo ? fifo : pipe.write_end, "x", 1), 1);
        EXPECT_EQ(ring.wait(1).at(0).res, 1);
        EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
        EXPECT_EQ(ring.wait(2).size(), 2u);
    }
}

}  // namespace
}  // namespace ringside::test
