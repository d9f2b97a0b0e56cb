// Which of several faults of a read or a write is told, the flags RWF_*, transfers of nothing, and what a fault in the
// middle does to the file position.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <initializer_list>
#include <string>

#include "support/files.h"
#include "support/raw_ring.h"
#include "support/sqe.h"

namespace ringside::test {
namespace {

constexpr int unknown_flag = 0x800000;
constexpr int rwf_atomic = 0x40, rwf_dontcache = 0x80;

Fd opened_again(int fd, int mode) { return Fd(open(("/proc/self/fd/" + std::to_string(fd)).c_str(), mode)); }

// The result of each, on a ring of its own; inline and through a worker.
struct Expected {
    int in_line;
    int in_worker;
};

void expect(const Sqe& sqe, Expected expected, const char* what) {
    EXPECT_THAT(RawRing().run(sqe), Gives(expected.in_line)) << what;
    EXPECT_THAT(RawRing().run(Sqe(sqe).flag(IOSQE_ASYNC)), Gives(expected.in_worker)) << what << ", in a worker";
}

void expect(const Sqe& sqe, int expected, const char* what) { expect(sqe, {expected, expected}, what); }

Sqe flagged(Sqe sqe, int flags) { return sqe.set(&Sqe::rw_flags, flags); }

// --- Flags ----------------------------------------------------------------------------------------------------------

TEST(TransferFlags, that_nobody_knows_are_refused_before_anything_is_transferred_or_waited_for) {
    const Fd file = file_with("0123456789");
    const Ends records = unix_pair(SOCK_SEQPACKET);
    const Pipe pipe;
    char buffer[8];
    expect(flagged(sqe::read(file, buffer, 8), unknown_flag), -EOPNOTSUPP, "a file");
    expect(flagged(sqe::read(file, buffer, 0), unknown_flag), -EOPNOTSUPP, "nothing of a file");
    expect(flagged(sqe::read(file, buffer, 8), -1), -EOPNOTSUPP, "all flags, RWF_HIPRI among them");
    expect(flagged(sqe::read(records.near, buffer, 8), unknown_flag), -EOPNOTSUPP, "a socket with nothing to read");
    expect(flagged(sqe::read(records.near, buffer, 8, 5), unknown_flag), -EOPNOTSUPP, "a socket at an offset");
    expect(flagged(sqe::read(pipe.read_end, buffer, 8), unknown_flag), -EOPNOTSUPP, "an empty pipe");
}

TEST(TransferFlags, for_polling_are_refused_where_nothing_polls_but_the_mode_of_the_file_comes_first) {
    const Fd file = file_with("0123456789");
    const Fd write_only = opened_again(file, O_WRONLY), read_only = opened_again(file, O_RDONLY);
    char buffer[8];
    iovec vector = {buffer, 8};
    expect(flagged(sqe::read(file, buffer, 8), RWF_HIPRI), -EINVAL, "READ");
    expect(flagged(sqe::readv(file, &vector, 1), RWF_HIPRI), -EINVAL, "READV");
    expect(flagged(sqe::write(file, buffer, 8), RWF_HIPRI), -EINVAL, "WRITE");
    expect(flagged(sqe::read(write_only, buffer, 8), RWF_HIPRI), -EBADF, "READ of what is open for writing");
    expect(flagged(sqe::write(read_only, buffer, 8), RWF_HIPRI), -EBADF, "WRITE to what is open for reading");
}

TEST(TransferFlags, of_a_file_in_memory_do_not_include_nowait) {
    const Fd file = memory_file_with("0123456789");
    char buffer[8];
    for (const uint32_t length : {0U, 8U}) {
        expect(flagged(sqe::read(file, buffer, length), RWF_NOWAIT), -EOPNOTSUPP, "READ");
        expect(flagged(sqe::write(file, buffer, length), RWF_NOWAIT), -EOPNOTSUPP, "WRITE");
    }
    iovec none[1];
    expect(flagged(sqe::writev(file, none, 0), RWF_NOWAIT), -EOPNOTSUPP, "WRITEV of no vectors");
}

TEST(TransferFlags, nowait_means_nothing_to_a_worker_that_has_a_file_on_disk) {
    const Fd file = file_with("0123456789");
    char buffer[8] = {};
    expect(flagged(sqe::write(file, buffer, 8), RWF_NOWAIT), {-EAGAIN, 8}, "WRITE");
    expect(flagged(sqe::write(file, buffer, 0), RWF_NOWAIT), {-EAGAIN, 0}, "WRITE of nothing");
    expect(flagged(sqe::read(file, buffer, 8), RWF_NOWAIT), 8, "READ");
}

TEST(TransferFlags, that_only_some_files_know_are_refused_by_others) {
    const Fd file = file_with("0123456789");
    const Fd memory = memory_file_with("0123456789");
    const Pipe pipe;
    char buffer[8] = {};
    for (const uint32_t length : {0U, 8U}) {
        expect(flagged(sqe::read(file, buffer, length), rwf_atomic), -EOPNOTSUPP, "atomic READ");
        expect(flagged(sqe::write(file, buffer, length), rwf_atomic), -EOPNOTSUPP, "atomic WRITE of the page cache");
        expect(flagged(sqe::read(memory, buffer, length), rwf_dontcache), -EOPNOTSUPP, "uncached READ of memory");
        expect(flagged(sqe::write(memory, buffer, length), rwf_dontcache), -EOPNOTSUPP, "uncached WRITE of memory");
        expect(flagged(sqe::read(pipe.read_end, buffer, length), rwf_dontcache), -EOPNOTSUPP,
               "uncached READ of a pipe");
        expect(flagged(sqe::write(file, buffer, length), RWF_APPEND | RWF_NOAPPEND), -EINVAL, "contradictory WRITE");
    }
}

TEST(TransferFlags, mean_nothing_to_files_of_the_older_kind) {
    // A directory cannot be read, and an eventfd is written by write(2) alone.
    const Fd directory(open("/tmp", O_RDONLY | O_DIRECTORY)), counter(eventfd(0, 0));
    const uint64_t one = 1;
    char buffer[8];
    for (const int flags : {0, RWF_APPEND, RWF_NOAPPEND}) {
        expect(flagged(sqe::read(directory, buffer, 8), flags), -EISDIR, "READ of a directory");
        expect(flagged(sqe::read(directory, buffer, 0), flags), 0, "READ of nothing of a directory");
        expect(flagged(sqe::write(counter, &one, 8), flags), 8, "WRITE to an eventfd");
        expect(flagged(sqe::write(counter, &one, 4), flags), -EINVAL, "WRITE of half a number to an eventfd");
        expect(flagged(sqe::write(counter, &one, 0), flags), 0, "WRITE of nothing to an eventfd");
    }
    expect(flagged(sqe::write(counter, &one, 8), RWF_NOWAIT), -EAGAIN, "WRITE that must not wait");
}

TEST(TransferFlags, on_a_ring_that_polls_the_mode_comes_first_then_flags_then_whether_it_can_be_polled) {
    const Fd file = memory_file_with("0123456789");
    const Fd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    const Fd write_only = opened_again(file, O_WRONLY);
    char buffer[8] = {};
    iovec bad = {reinterpret_cast<void*>(8), 8};
    for (const unsigned async : {0U, unsigned{IOSQE_ASYNC}}) {
        const auto result = [&](Sqe sqe) { return RawRing(8, IORING_SETUP_IOPOLL).run(sqe.flag(async)); };
        EXPECT_THAT(result(sqe::read(write_only, buffer, 8)), Gives(-EBADF));
        EXPECT_THAT(result(sqe::read(file, buffer, 8)), Gives(-EOPNOTSUPP));
        EXPECT_THAT(result(sqe::readv(file, &bad, 1)), Gives(-EOPNOTSUPP));
        EXPECT_THAT(result(sqe::writev(null, &bad, 1)), Gives(-EOPNOTSUPP));
        EXPECT_THAT(result(sqe::write(null, buffer, 8)), Gives(-EOPNOTSUPP));
        EXPECT_THAT(result(flagged(sqe::read(file, buffer, 8), unknown_flag)), Gives(-EOPNOTSUPP));
    }
}

// --- A fault in the middle
// --------------------------------------------------------------------------------------------

TEST(PartOfATransfer, at_the_file_position_does_not_move_it_when_the_rest_fails) {
    RawRing ring;
    char buffer[16] = {};
    iovec vectors[] = {{buffer, 8}, {reinterpret_cast<void*>(8), 8}, {buffer + 8, 8}};
    const ForbiddenPage forbidden;
    const Fd file = file_with(std::string(100, 'x'));
    EXPECT_THAT(ring.run(sqe::writev(file, vectors, 3, sqe::file_position)), Gives(8));
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 0);
    EXPECT_THAT(ring.run(sqe::write(file, forbidden.brink(8), 16, sqe::file_position)), Gives(8));
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 0);
    EXPECT_THAT(ring.run(sqe::write(file, forbidden.brink(8), 16, sqe::file_position).flag(IOSQE_ASYNC)), Gives(8));
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 0);
    EXPECT_THAT(ring.run(sqe::readv(file, vectors, 3, sqe::file_position)), Gives(8));
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 0);
    EXPECT_THAT(ring.run(sqe::read(file, forbidden.brink(8), 16, sqe::file_position)), Gives(8));
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 0);
}

TEST(PartOfATransfer, read_by_a_worker_moves_the_file_position) {
    RawRing ring;
    const ForbiddenPage forbidden;
    const Fd file = file_with(std::string(100, 'x'));
    EXPECT_THAT(ring.run(sqe::read(file, forbidden.brink(8), 16, sqe::file_position).flag(IOSQE_ASYNC)), Gives(8));
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 8);
}

TEST(PartOfATransfer, up_to_the_end_of_the_file_moves_the_file_position) {
    RawRing ring;
    char buffer[16];
    iovec vectors[] = {{buffer, 8}, {reinterpret_cast<void*>(8), 8}};
    const Fd file = file_with(std::string(100, 'x'));
    ASSERT_EQ(lseek(file, 92, SEEK_SET), 92);
    EXPECT_THAT(ring.run(sqe::readv(file, vectors, 2, sqe::file_position)), Gives(8));
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 100);
}

// --- A chain that its batch leaves open -----------------------------------------------------------------------------

TEST(OpenChain, of_a_fixed_read_needs_its_buffer_like_any_other) {
    // The last entry of a batch asks for a successor that never comes, and is handed to a worker. The engine let the
    // worker read to the address before anybody had looked whether it is in a registered buffer.
    const Fd file = file_with("0123456789");
    char buffer[8];
    iovec vector = {buffer, 8};
    for (Sqe sqe : {Sqe(sqe::read(file, buffer, 8)).set(&Sqe::opcode, IORING_OP_READ_FIXED),
                    Sqe(sqe::write(file, buffer, 8)).set(&Sqe::opcode, IORING_OP_WRITE_FIXED),
                    Sqe(sqe::readv(file, &vector, 1)).set(&Sqe::opcode, IORING_OP_READV_FIXED),
                    Sqe(sqe::writev(file, &vector, 1)).set(&Sqe::opcode, IORING_OP_WRITEV_FIXED)}) {
        SCOPED_TRACE(testing::Message() << "opcode " << static_cast<int>(sqe.opcode));
        EXPECT_THAT(RawRing().run(Sqe(sqe).flag(IOSQE_IO_LINK)), Gives(-EFAULT));
        EXPECT_THAT(RawRing().run(Sqe(sqe).flag(IOSQE_IO_LINK).set(&Sqe::len, 0)), Gives(-EFAULT));
        EXPECT_THAT(RawRing().run(Sqe(sqe).set(&Sqe::len, 0)), Gives(-EFAULT));
    }
    EXPECT_EQ(content_of(file), "0123456789");
}

TEST(OpenChain, of_an_absurd_number_of_vectors_finds_no_memory_for_them) {
    RawRing ring;
    iovec vector = {};
    const Sqe sqe = Sqe(sqe::readv(-1, &vector, 1025)).set(&Sqe::opcode, IORING_OP_READV_FIXED);
    EXPECT_THAT(ring.run(sqe), Gives(-EINVAL));
    EXPECT_THAT(ring.run(Sqe(sqe).set(&Sqe::len, ~0U)), Gives(-ENOMEM));
}

TEST(TransferFlags, nosignal_gives_epipe_alone) {
    // Without the flag there is a signal as well.
    constexpr int rwf_nosignal = 0x100;
    Pipe pipe;
    pipe.read_end.reset();
    EXPECT_THAT(RawRing().run(flagged(sqe::write(pipe.write_end, "x", 1), rwf_nosignal)), Gives(-EPIPE));
}

}  // namespace
}  // namespace ringside::test
