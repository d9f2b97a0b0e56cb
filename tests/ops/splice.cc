// IORING_OP_SPLICE, IORING_OP_TEE and IORING_OP_PIPE.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "support/files.h"
#include "support/interruption.h"
#include "support/process.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

constexpr uint64_t here = sqe::file_position;

void put(const Pipe& pipe, const std::string& bytes) {
    ASSERT_EQ(write(pipe.write_end, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
}

// What a pipe or socket holds right now.
std::string taken_from(int fd) {
    const int before = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, before | O_NONBLOCK);
    char buffer[4096];
    const ssize_t length = read(fd, buffer, sizeof(buffer));
    fcntl(fd, F_SETFL, before);
    return length < 0 ? "" : std::string(buffer, static_cast<size_t>(length));
}

// --- Splice ---------------------------------------------------------------------------------------------------------

TEST(Splice, moves_from_pipe_to_pipe) {
    RawRing ring;
    const Pipe in, out;
    put(in, "content");
    EXPECT_THAT(ring.run(sqe::splice(in.read_end, here, out.write_end, here, 3)), Gives(3));
    EXPECT_EQ(taken_from(out.read_end), "con");
    EXPECT_THAT(ring.run(sqe::splice(in.read_end, here, out.write_end, here, 100)), Gives(4));
    EXPECT_EQ(taken_from(out.read_end), "tent");
}

TEST(Splice, moves_from_a_file_at_an_offset_or_at_its_position) {
    RawRing ring;
    const Fd file = file_with("0123456789");
    const Pipe pipe;
    EXPECT_THAT(ring.run(sqe::splice(file, 5, pipe.write_end, here, 3)), Gives(3));
    EXPECT_EQ(taken_from(pipe.read_end), "567");
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 0);
    EXPECT_THAT(ring.run(sqe::splice(file, here, pipe.write_end, here, 3)), Gives(3));
    EXPECT_EQ(taken_from(pipe.read_end), "012");
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 3);
    EXPECT_THAT(ring.run(sqe::splice(file, 100, pipe.write_end, here, 3)), Gives(0));
}

TEST(Splice, moves_to_a_file_at_an_offset_or_at_its_position) {
    RawRing ring;
    const Fd file = file_with("0123456789");
    const Pipe pipe;
    put(pipe, "abcdef");
    EXPECT_THAT(ring.run(sqe::splice(pipe.read_end, here, file, 5, 3)), Gives(3));
    EXPECT_THAT(ring.run(sqe::splice(pipe.read_end, here, file, here, 3)), Gives(3));
    EXPECT_EQ(content_of(file), "def34abc89");
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 3);
}

TEST(Splice, moves_between_sockets_and_pipes) {
    RawRing ring;
    const Ends in = tcp_pair(), out = tcp_pair();
    const Pipe pipe;
    ASSERT_EQ(write(in.near, "content", 7), 7);
    EXPECT_THAT(ring.run(sqe::splice(in.far, here, pipe.write_end, here, 100)), Gives(7));
    EXPECT_THAT(ring.run(sqe::splice(pipe.read_end, here, out.near, here, 7)), Gives(7));
    char buffer[8] = {};
    EXPECT_EQ(read(out.far, buffer, 7), 7);
    EXPECT_STREQ(buffer, "content");
}

TEST(Splice, copies_a_file_through_a_pipe_in_a_chain) {
    RawRing ring;
    const std::string content(60'000, 'x');
    const Fd from = file_with(content), to = file_with("");
    const Pipe pipe;
    EXPECT_THAT(ring.submit(sqe::splice(from, 0, pipe.write_end, here, 60'000).data(1).flag(IOSQE_IO_LINK),
                            sqe::splice(pipe.read_end, here, to, 0, 60'000).data(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 60'000), Completes(2, 60'000)));
    EXPECT_EQ(content_of(to), content);
}

TEST(Splice, of_less_than_was_asked_for_ends_a_chain) {
    RawRing ring;
    const Pipe in, out;
    put(in, "abc");
    EXPECT_THAT(ring.submit(sqe::splice(in.read_end, here, out.write_end, here, 4).data(1).flag(IOSQE_IO_LINK),
                            sqe::nop().data(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 3), Completes(2, -ECANCELED)));
}

TEST(Splice, as_the_last_of_a_chain_that_stays_open_finds_both_its_files) {
    // Such a request goes straight to a worker. The engine forgot to look for the file to read from on that way.
    const Pipe in, out;
    const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    put(in, "abc");
    EXPECT_THAT(RawRing().run(sqe::splice(in.read_end, here, out.write_end, here, 1).flag(IOSQE_IO_LINK)), Gives(1));
    EXPECT_THAT(RawRing().run(sqe::tee(in.read_end, out.write_end, 1).flag(IOSQE_IO_LINK)), Gives(1));
    EXPECT_THAT(RawRing().run(sqe::splice(in.read_end, here, null, 0, 1000).flag(IOSQE_IO_LINK)), Gives(2));
    EXPECT_THAT(RawRing().run(sqe::splice(in.read_end, here, null, 0, 100, SPLICE_F_NONBLOCK).flag(IOSQE_IO_HARDLINK)),
                Gives(-EAGAIN));
    EXPECT_EQ(taken_from(out.read_end), "ab");
}

TEST(Tee, within_one_pipe_and_after_one_that_failed) {
    RawRing ring;
    const Pipe in, out;
    put(in, "abc");
    EXPECT_THAT(ring.run(sqe::tee(in.read_end, in.write_end, 1)), Gives(-EINVAL));
    EXPECT_THAT(
        ring.submit(sqe::tee(1'000'000, out.write_end, 1).data(1), sqe::tee(in.read_end, out.write_end, 1).data(2)),
        Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, -EBADF), Completes(2, 1)));
}

TEST(Splice, waits_for_data_and_for_room) {
    RawRing ring;
    const Pipe in, out;
    EXPECT_THAT(ring.submit(sqe::splice(in.read_end, here, out.write_end, here, 3).data(1), sqe::nop().data(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    EXPECT_THAT(ring.linger(), testing::IsEmpty());
    put(in, "abc");
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 3)));

    out.fill();
    put(in, "def");
    EXPECT_THAT(ring.submit(sqe::splice(in.read_end, here, out.write_end, here, 3).data(3)), Gives(1));
    EXPECT_THAT(ring.linger(), testing::IsEmpty());
    out.drain();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(3, 3)));
}

TEST(Splice, ends_with_its_input) {
    RawRing ring;
    Pipe in;
    const Pipe out;
    EXPECT_THAT(ring.submit(sqe::splice(in.read_end, here, out.write_end, here, 3)), Gives(1));
    in.write_end.reset();
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(0, 0)));
}

TEST(Splice, into_a_pipe_that_nobody_reads_gives_epipe_and_no_signal) {
    RawRing ring;
    const Pipe in;
    Pipe out;
    put(in, "abc");
    out.read_end.reset();
    EXPECT_THAT(ring.run(sqe::splice(in.read_end, here, out.write_end, here, 3)), Gives(-EPIPE));
}

TEST(Splice, does_not_wait_when_told_not_to) {
    RawRing ring;
    const Pipe in, out;
    EXPECT_THAT(ring.run(sqe::splice(in.read_end, here, out.write_end, here, 3, SPLICE_F_NONBLOCK)), Gives(-EAGAIN));
    put(in, "abc");
    constexpr unsigned all = SPLICE_F_NONBLOCK | SPLICE_F_MOVE | SPLICE_F_MORE | SPLICE_F_GIFT;
    EXPECT_THAT(ring.run(sqe::splice(in.read_end, here, out.write_end, here, 3, all)), Gives(3));
}

TEST(Splice, that_waits_is_interrupted_by_a_cancellation) {
    RawRing ring;
    const Pipe in, out;
    const Interruption seen = interrupt(ring, sqe::splice(in.read_end, here, out.write_end, here, 3));
    EXPECT_THAT(seen.cancellation, Gives(-EALREADY));
    EXPECT_THAT(seen.request, AnyOf(restart, -EINTR));
}

TEST(Splice, that_waits_does_not_keep_its_ring_from_closing) {
    const size_t before = count_fds();
    {
        RawRing ring(64);
        const Pipe in, out;
        for (int count = 0; count < 50; ++count) ring.push(sqe::splice(in.read_end, here, out.write_end, here, 3));
        EXPECT_THAT(ring.submit_pushed(50), Gives(50));
    }
    EXPECT_EQ(count_fds(), before);
}

TEST(Splice, of_nothing_looks_at_its_files_and_no_further) {
    RawRing ring;
    const Fd file = file_with("content");
    const Fd path_only(open("/", O_PATH | O_CLOEXEC));
    const Pipe pipe;
    EXPECT_THAT(ring.run(sqe::splice(file, 0, file, 0, 0)), Gives(0));
    EXPECT_THAT(ring.run(sqe::tee(file, file, 0)), Gives(0));
    EXPECT_THAT(ring.run(sqe::splice(1'000'000, here, pipe.write_end, here, 0)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::splice(pipe.read_end, here, 1'000'000, here, 0)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::splice(path_only, here, pipe.write_end, here, 0)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::splice(pipe.read_end, here, path_only, here, 0)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::splice(0, here, pipe.write_end, here, 0, SPLICE_F_FD_IN_FIXED)), Gives(-EBADF));
}

TEST(Splice, tells_each_error) {
    RawRing ring;
    const Fd file = file_with("content");
    const Fd appending = file_with("content", O_APPEND);
    const Pipe in, out;
    put(in, "abc");
    EXPECT_THAT(ring.run(sqe::splice(file, 0, file, 0, 3)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::splice(in.read_end, 0, out.write_end, here, 3)), Gives(-ESPIPE));
    EXPECT_THAT(ring.run(sqe::splice(in.read_end, here, out.write_end, 0, 3)), Gives(-ESPIPE));
    EXPECT_THAT(ring.run(sqe::splice(in.read_end, here, in.write_end, here, 3)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::splice(in.write_end, here, out.write_end, here, 3)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::splice(in.read_end, here, out.read_end, here, 3)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::splice(in.read_end, here, out.read_end, 1, 3)), Gives(-EBADF)) << "before the offset";
    EXPECT_THAT(ring.run(sqe::splice(in.write_end, 1, out.write_end, here, 3)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::splice(in.read_end, here, appending, here, 3)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::splice(file, static_cast<uint64_t>(-5), out.write_end, here, 3)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::splice(1'000'000, here, out.write_end, here, 3)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::splice(in.read_end, here, -1, here, 3)), Gives(-EBADF));
    for (unsigned bit = 4; bit < 31; ++bit) {
        EXPECT_THAT(ring.run(sqe::splice(in.read_end, here, out.write_end, here, 3, 1U << bit)), Gives(-EINVAL)) << bit;
    }
    EXPECT_EQ(taken_from(in.read_end), "abc");
}

TEST(Splice, takes_fixed_files_on_either_side) {
    RawRing ring;
    Pipe in, out;
    int files[] = {in.read_end.get(), out.write_end.get()};
    ASSERT_THAT(ring.register_call(IORING_REGISTER_FILES, files, 2), Gives(0));
    put(in, "abcdefghi");
    EXPECT_THAT(ring.run(sqe::splice(0, here, out.write_end, here, 3, SPLICE_F_FD_IN_FIXED)), Gives(3));
    EXPECT_THAT(ring.run(sqe::splice(in.read_end, here, 1, here, 3).flag(IOSQE_FIXED_FILE)), Gives(3));
    in.read_end.reset();
    out.write_end.reset();
    EXPECT_THAT(ring.run(sqe::splice(0, here, 1, here, 3, SPLICE_F_FD_IN_FIXED).flag(IOSQE_FIXED_FILE | IOSQE_ASYNC)),
                Gives(3));
    EXPECT_EQ(taken_from(out.read_end), "abcdefghi");
    EXPECT_THAT(ring.run(sqe::splice(2, here, 1, here, 3, SPLICE_F_FD_IN_FIXED).flag(IOSQE_FIXED_FILE)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::splice(0, here, 2, here, 3, SPLICE_F_FD_IN_FIXED).flag(IOSQE_FIXED_FILE)), Gives(-EBADF));
}

TEST(Splice, that_waits_keeps_a_fixed_input_that_is_unregistered) {
    RawRing ring;
    Pipe in;
    const Pipe out;
    int files[] = {in.read_end.get()};
    ASSERT_THAT(ring.register_call(IORING_REGISTER_FILES, files, 1), Gives(0));
    in.read_end.reset();
    EXPECT_THAT(ring.submit(sqe::splice(0, here, out.write_end, here, 3, SPLICE_F_FD_IN_FIXED).data(1)), Gives(1));
    EXPECT_THAT(ring.linger(), testing::IsEmpty());
    EXPECT_THAT(ring.register_call(IORING_UNREGISTER_FILES, nullptr, 0), Gives(0));
    put(in, "abc");
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 3)));
    EXPECT_EQ(taken_from(out.read_end), "abc");
}

// --- Tee ------------------------------------------------------------------------------------------------------------

TEST(Tee, copies_and_leaves_the_original) {
    RawRing ring;
    const Pipe in, out;
    put(in, "content");
    EXPECT_THAT(ring.run(sqe::tee(in.read_end, out.write_end, 3)), Gives(3));
    EXPECT_THAT(ring.run(sqe::tee(in.read_end, out.write_end, 100)), Gives(7));
    EXPECT_EQ(taken_from(out.read_end), "concontent");
    EXPECT_EQ(taken_from(in.read_end), "content");
}

TEST(Tee, waits_for_data_unless_told_not_to) {
    RawRing ring;
    const Pipe in, out;
    EXPECT_THAT(ring.run(sqe::tee(in.read_end, out.write_end, 3, SPLICE_F_NONBLOCK)), Gives(-EAGAIN));
    EXPECT_THAT(ring.submit(sqe::tee(in.read_end, out.write_end, 3).data(1).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_THAT(ring.linger(), testing::IsEmpty());
    put(in, "abc");
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 3)));
}

TEST(Tee, tells_each_error) {
    RawRing ring;
    const Fd file = file_with("content");
    const Pipe in, out;
    put(in, "abc");
    EXPECT_THAT(ring.run(sqe::tee(file, out.write_end, 3)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::tee(in.read_end, file, 3)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::tee(in.read_end, in.write_end, 3)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::tee(1'000'000, out.write_end, 3)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::tee(in.read_end, 1'000'000, 3)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::tee(in.read_end, out.write_end, 3, 16)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::tee(0, out.write_end, 3, SPLICE_F_FD_IN_FIXED)), Gives(-EBADF));
}

TEST(Tee, of_less_than_was_asked_for_ends_a_chain) {
    RawRing ring;
    const Pipe in, out;
    put(in, "abc");
    EXPECT_THAT(ring.submit(sqe::tee(in.read_end, out.write_end, 4).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 3), Completes(2, -ECANCELED)));
}

// --- Pipe -----------------------------------------------------------------------------------------------------------

void expect_a_pipe(int read_end, int write_end) {
    EXPECT_EQ(write(write_end, "x", 1), 1);
    char byte = 0;
    EXPECT_EQ(read(read_end, &byte, 1), 1);
    EXPECT_EQ(byte, 'x');
}

TEST(NewPipe, is_one) {
    RawRing ring;
    int ends[2] = {-1, -1};
    EXPECT_THAT(ring.run(sqe::pipe(ends)), Gives(0));
    const Fd read_end(ends[0]), write_end(ends[1]);
    expect_a_pipe(read_end, write_end);
    EXPECT_EQ(fcntl(read_end, F_GETFD), 0);
    EXPECT_EQ(fcntl(read_end, F_GETFL), O_RDONLY);
    EXPECT_EQ(fcntl(write_end, F_GETFL), O_WRONLY);
}

TEST(NewPipe, is_as_its_flags_say) {
    RawRing ring;
    int ends[2] = {-1, -1};
    EXPECT_THAT(ring.run(sqe::pipe(ends, O_CLOEXEC | O_NONBLOCK | O_DIRECT)), Gives(0));
    const Fd read_end(ends[0]), write_end(ends[1]);
    EXPECT_EQ(fcntl(read_end, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(read_end, F_GETFL), O_RDONLY | O_NONBLOCK);
    EXPECT_EQ(fcntl(write_end, F_GETFL), O_WRONLY | O_NONBLOCK | O_DIRECT);
}

TEST(NewPipe, refuses_unknown_flags) {
    RawRing ring;
    int ends[2];
    constexpr unsigned known = O_CLOEXEC | O_NONBLOCK | O_DIRECT | O_EXCL;
    for (unsigned bit = 0; bit < 32; ++bit) {
        if (1U << bit & known) continue;
        EXPECT_THAT(ring.run(sqe::pipe(ends, 1U << bit)), Gives(-EINVAL)) << bit;
    }
    // A notification pipe, which not every kernel was built with: what pipe2(2) says holds.
    const int plain = pipe2(ends, O_EXCL) == 0 ? 0 : -errno;
    const Fd read_end(plain == 0 ? ends[0] : -1), write_end(plain == 0 ? ends[1] : -1);
    EXPECT_THAT(ring.run(sqe::pipe(ends, O_EXCL)), Gives(plain));
}

TEST(NewPipe, that_cannot_be_told_of_is_not_made) {
    RawRing ring;
    const ForbiddenPage page;
    const size_t before = count_fds();
    EXPECT_THAT(ring.run(sqe::pipe(nullptr)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::pipe(static_cast<int*>(page.address()))), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::pipe(reinterpret_cast<int*>(page.brink(4)))), Gives(-EFAULT));
    EXPECT_EQ(count_fds(), before);
}

TEST(NewPipe, needs_a_table_for_slots) {
    RawRing ring;
    int ends[2] = {7, 7};
    EXPECT_THAT(ring.run(sqe::pipe(ends, 0, 1)), Gives(-ENXIO));
    EXPECT_THAT(ring.run(sqe::pipe(ends, 0, IORING_FILE_INDEX_ALLOC)), Gives(-ENFILE));
    EXPECT_THAT(ring.run(sqe::pipe(ends, O_CLOEXEC, 1)), Gives(-EINVAL));
    EXPECT_EQ(ends[0], 7);
}

class PipeInSlots : public testing::Test {
  protected:
    void SetUp() override {
        int empty[4] = {-1, -1, -1, -1};
        ASSERT_THAT(ring.register_call(IORING_REGISTER_FILES, empty, 4), Gives(0));
    }

    void expect_a_fixed_pipe(int read_slot, int write_slot) {
        EXPECT_THAT(ring.run(sqe::write(write_slot, "x", 1).flag(IOSQE_FIXED_FILE)), Gives(1));
        char byte = 0;
        EXPECT_THAT(ring.run(sqe::read(read_slot, &byte, 1).flag(IOSQE_FIXED_FILE)), Gives(1));
        EXPECT_EQ(byte, 'x');
    }

    bool is_empty(int slot) { return ring.run(sqe::write(slot, "", 0).flag(IOSQE_FIXED_FILE)).res == -EBADF; }

    RawRing ring;
    int slots[2] = {7, 7};
};

TEST_F(PipeInSlots, takes_the_named_one_and_the_next) {
    EXPECT_THAT(ring.run(sqe::pipe(slots, 0, 2)), Gives(0));
    EXPECT_THAT(slots, ElementsAre(1, 2));
    expect_a_fixed_pipe(1, 2);
    // What was there makes way.
    EXPECT_THAT(ring.run(sqe::pipe(slots, 0, 3)), Gives(0));
    EXPECT_THAT(slots, ElementsAre(2, 3));
    expect_a_fixed_pipe(2, 3);
}

TEST_F(PipeInSlots, finds_two_empty_ones) {
    EXPECT_THAT(ring.run(sqe::pipe(slots, 0, 2)), Gives(0));
    EXPECT_THAT(ring.run(sqe::pipe(slots, 0, IORING_FILE_INDEX_ALLOC)), Gives(0));
    EXPECT_THAT(slots, UnorderedElementsAre(0, 3));
    expect_a_fixed_pipe(slots[0], slots[1]);
    slots[0] = slots[1] = 7;
    EXPECT_THAT(ring.run(sqe::pipe(slots, 0, IORING_FILE_INDEX_ALLOC)), Gives(-ENFILE));
    EXPECT_THAT(slots, ElementsAre(7, 7));
}

TEST_F(PipeInSlots, that_do_not_both_exist_is_not_made) {
    EXPECT_THAT(ring.run(sqe::pipe(slots, 0, 5)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::pipe(slots, 0, 4)), Gives(-EINVAL));
    EXPECT_TRUE(is_empty(3));
    EXPECT_THAT(ring.run(sqe::pipe(slots, O_CLOEXEC, 1)), Gives(-EINVAL));
    EXPECT_THAT(slots, ElementsAre(7, 7));
}

TEST_F(PipeInSlots, that_cannot_be_told_of_is_not_made) {
    const size_t before = count_fds();
    EXPECT_THAT(ring.run(sqe::pipe(nullptr, 0, 1)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::pipe(nullptr, 0, IORING_FILE_INDEX_ALLOC)), Gives(-EFAULT));
    for (int slot = 0; slot < 4; ++slot) EXPECT_TRUE(is_empty(slot)) << slot;
    EXPECT_EQ(count_fds(), before);
}

}  // namespace
}  // namespace ringside::test
