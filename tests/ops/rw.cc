// IORING_OP_READ and IORING_OP_WRITE: offsets, the file position, flags, ends of files, and what is no good.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <string>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using sqe::file_position;

// An I/O priority as ioprio_set(2) composes it. (The kernel's header for it is not C++.)
enum class PriorityClass { none = 0, best_effort = 2, idle = 3, unknown = 5 };
uint16_t priority(PriorityClass priority_class, int level) {
    return static_cast<uint16_t>(static_cast<int>(priority_class) << 13 | level);
}

off_t position_of(int fd) { return lseek(fd, 0, SEEK_CUR); }

TEST(Read, takes_bytes_from_an_offset_and_leaves_the_position_alone) {
    RawRing ring;
    const Fd file = file_with("0123456789");
    char buffer[8] = {};
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 4, 3)), Gives(4));
    EXPECT_STREQ(buffer, "3456");
    EXPECT_EQ(position_of(file), 0);
}

TEST(Read, at_offset_minus_one_uses_and_advances_the_position) {
    RawRing ring;
    const Fd file = file_with("0123456789");
    char buffer[8] = {};
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 4, file_position)), Gives(4));
    EXPECT_STREQ(buffer, "0123");
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 4, file_position)), Gives(4));
    EXPECT_STREQ(buffer, "4567");
    EXPECT_EQ(position_of(file), 8);
}

TEST(Read, at_the_end_gives_what_is_left_and_then_zero) {
    RawRing ring;
    const Fd file = file_with("0123456789");
    char buffer[8] = {};
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 8, 7)), Gives(3));
    EXPECT_STREQ(buffer, "789");
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 8, 10)), Gives(0));
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 8, 1'000'000)), Gives(0));
    EXPECT_STREQ(buffer, "789");
}

TEST(Read, of_no_bytes_gives_zero) {
    RawRing ring;
    const Fd file = file_with("content");
    EXPECT_THAT(ring.run(sqe::read(file, nullptr, 0)), Gives(0));
}

TEST(Read, at_an_offset_that_no_file_has_is_refused) {
    RawRing ring;
    const Fd file = file_with("content");
    char buffer[8];
    // -1 is the file position; anything else below zero is no offset.
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 4, static_cast<uint64_t>(-2))), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 4, uint64_t{1} << 63)), Gives(-EINVAL));
}

TEST(Read, into_memory_that_is_not_there_gives_efault) {
    RawRing ring;
    const Fd file = file_with("content");
    const ForbiddenPage page;
    EXPECT_THAT(ring.run(sqe::read(file, page.address(), 4)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::read(file, nullptr, 4)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::read(file, reinterpret_cast<void*>(~uintptr_t{0} - 100), 4)), Gives(-EFAULT));
    // The offset beyond the end leaves nothing to copy, so nobody looks.
    EXPECT_THAT(ring.run(sqe::read(file, page.address(), 4, 100)), Gives(0));
}

TEST(Read, into_memory_that_ends_early_gives_what_fits) {
    RawRing ring;
    const Fd file = file_with("content");
    const ForbiddenPage page;
    EXPECT_THAT(ring.run(sqe::read(file, page.brink(3), 7)), Gives(3));
    EXPECT_EQ(std::string(page.brink(3), 3), "con");
}

TEST(Read, of_what_is_no_open_file_gives_ebadf) {
    RawRing ring;
    char byte;
    EXPECT_THAT(ring.run(sqe::read(-1, &byte, 1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::read(1'000'000, &byte, 1)), Gives(-EBADF));
    const Fd path(open("/tmp", O_PATH | O_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::read(path, &byte, 1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::transfer(IORING_OP_READV_FIXED, path, nullptr, 0, 0)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::read(path, &byte, 1).flag(IOSQE_ASYNC)), Gives(-EBADF));
}

TEST(Read, of_a_file_open_for_writing_only_gives_ebadf) {
    RawRing ring;
    const TemporaryDirectory directory;
    const Fd file(open(directory.add("file", "content").c_str(), O_WRONLY | O_CLOEXEC));
    char byte;
    EXPECT_THAT(ring.run(sqe::read(file, &byte, 1)), Gives(-EBADF));
}

TEST(Read, of_a_directory_gives_eisdir) {
    RawRing ring;
    const Fd directory(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    char byte;
    EXPECT_THAT(ring.run(sqe::read(directory, &byte, 1)), Gives(-EISDIR));
}

TEST(Read, takes_a_valid_priority_and_refuses_others) {
    RawRing ring;
    const Fd file = file_with("content");
    char buffer[8];
    const Sqe read = sqe::read(file, buffer, 4);
    EXPECT_THAT(ring.run(Sqe(read).set(&Sqe::ioprio, priority(PriorityClass::best_effort, 4))), Gives(4));
    EXPECT_THAT(ring.run(Sqe(read).set(&Sqe::ioprio, priority(PriorityClass::idle, 0))), Gives(4));
    EXPECT_THAT(ring.run(Sqe(read).set(&Sqe::ioprio, priority(PriorityClass::none, 3))), Gives(-EINVAL));
    EXPECT_THAT(ring.run(Sqe(read).set(&Sqe::ioprio, priority(PriorityClass::unknown, 0))), Gives(-EINVAL));
}

TEST(Read, takes_the_flags_of_preadv2) {
    RawRing ring;
    const Fd file = file_with("content");
    char buffer[8] = {};
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 7).set(&Sqe::rw_flags, RWF_NOWAIT)), Gives(7));
    EXPECT_STREQ(buffer, "content");
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 7).set(&Sqe::rw_flags, RWF_DSYNC | RWF_SYNC)), Gives(7));
    // Polled completion is for direct I/O on a polled ring.
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 7).set(&Sqe::rw_flags, RWF_HIPRI)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 7).set(&Sqe::rw_flags, RWF_APPEND)), Gives(7));
}

TEST(Read, of_a_file_that_cannot_be_read_without_waiting_fails_with_nowait) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.run(sqe::read(pipe.read_end, &byte, 1).set(&Sqe::rw_flags, RWF_NOWAIT)), Gives(-EAGAIN));
}

TEST(Read, of_many_megabytes_is_whole) {
    RawRing ring;
    std::string content(8'000'000, '\0');
    for (size_t index = 0; index < content.size(); ++index) content[index] = static_cast<char>(index * 31 >> 4);
    const Fd file = memory_file_with(content);
    std::string buffer(content.size(), '\0');
    EXPECT_THAT(ring.run(sqe::read(file, buffer.data(), static_cast<uint32_t>(buffer.size()))),
                Gives(static_cast<int>(content.size())));
    EXPECT_TRUE(buffer == content);
}

TEST(Read, longer_than_a_result_can_tell_is_cut) {
    // A read of 4 GiB from an empty file: the length is more than any read(2) takes, and no reason to refuse.
    RawRing ring;
    // The buffer is far from the end of the address space, where a stack is not.
    const Fd file = memory_file_with("");
    static char byte;
    EXPECT_THAT(ring.run(sqe::read(file, &byte, UINT_MAX)), Gives(0));
}

TEST(Read, of_zeroes_in_a_chain_is_in_full_on_the_engine_alone) {
    RawRing ring;
    const Fd zero(open("/dev/zero", O_RDWR | O_CLOEXEC));
    std::string bytes(10'000, 'x');
    const Sqe nop = sqe::nop().data(1).flag(IOSQE_IO_LINK);
    EXPECT_THAT(ring.submit(nop, nop, sqe::read(zero, bytes.data(), 10'000).data(2)), Gives(3));
    const std::vector<Cqe> completions = ring.wait(3);
    ASSERT_EQ(completions.size(), 3u);
    const bool on_kernel = provider_under_test() == provider::Kind::kernel;
    EXPECT_THAT(completions[2].res, testing::AnyOf(10'000, on_kernel ? 4096 : 10'000));
}

TEST(Read, in_a_batch_reads_each_from_its_place) {
    RawRing ring(64);
    std::string content;
    for (int index = 0; index < 64 * 512; ++index) content += static_cast<char>('a' + index / 512 % 26);
    const Fd file = file_with(content);
    std::string buffer(content.size(), '\0');
    for (uint64_t index = 0; index < 64; ++index) {
        ring.push(sqe::read(file, buffer.data() + index * 512, 512, index * 512).data(index));
    }
    EXPECT_THAT(ring.submit_pushed(64), Gives(64));
    for (const Cqe& cqe : ring.wait(64)) EXPECT_THAT(cqe, Gives(512));
    EXPECT_EQ(buffer, content);
}

TEST(Read, in_a_batch_across_the_end_of_the_file_falls_short_where_the_file_does) {
    RawRing ring;
    const Fd file = file_with(std::string(1000, 'x'));
    char buffer[4 * 512];
    for (uint64_t index = 0; index < 4; ++index) {
        ring.push(sqe::read(file, buffer + index * 512, 512, index * 512).data(index));
    }
    EXPECT_THAT(ring.submit_pushed(4), Gives(4));
    EXPECT_THAT(ring.wait(4),
                testing::UnorderedElementsAre(Completes(0, 512), Completes(1, 488), Completes(2, 0), Completes(3, 0)));
}

TEST(Write, puts_bytes_at_an_offset_and_leaves_the_position_alone) {
    RawRing ring;
    const Fd file = file_with("0123456789");
    EXPECT_THAT(ring.run(sqe::write(file, "abc", 3, 4)), Gives(3));
    EXPECT_EQ(content_of(file.get()), "0123abc789");
    EXPECT_EQ(position_of(file), 0);
}

TEST(Write, at_offset_minus_one_uses_and_advances_the_position) {
    RawRing ring;
    const Fd file = file_with("0123456789");
    EXPECT_THAT(ring.run(sqe::write(file, "ab", 2, file_position)), Gives(2));
    EXPECT_THAT(ring.run(sqe::write(file, "cd", 2, file_position)), Gives(2));
    EXPECT_EQ(content_of(file.get()), "abcd456789");
    EXPECT_EQ(position_of(file), 4);
}

TEST(Write, beyond_the_end_leaves_a_hole_of_zeros) {
    RawRing ring;
    const Fd file = file_with("ab");
    EXPECT_THAT(ring.run(sqe::write(file, "cd", 2, 4)), Gives(2));
    EXPECT_EQ(content_of(file.get()), std::string("ab\0\0cd", 6));
}

TEST(Write, of_no_bytes_gives_zero_and_changes_nothing) {
    RawRing ring;
    const Fd file = file_with("content");
    EXPECT_THAT(ring.run(sqe::write(file, nullptr, 0, 100)), Gives(0));
    EXPECT_EQ(content_of(file.get()), "content");
}

TEST(Write, to_a_file_opened_for_appending_appends_whatever_the_offset) {
    RawRing ring;
    const Fd file = file_with("content", O_APPEND);
    EXPECT_THAT(ring.run(sqe::write(file, "!", 1, 0)), Gives(1));
    EXPECT_THAT(ring.run(sqe::write(file, "?", 1, file_position)), Gives(1));
    EXPECT_EQ(content_of(file.get()), "content!?");
}

TEST(Write, appends_when_its_flags_say_so) {
    RawRing ring;
    const Fd file = file_with("content");
    EXPECT_THAT(ring.run(sqe::write(file, "!", 1, 0).set(&Sqe::rw_flags, RWF_APPEND)), Gives(1));
    EXPECT_EQ(content_of(file.get()), "content!");
}

TEST(Write, takes_the_flags_of_pwritev2) {
    RawRing ring;
    const Fd file = memory_file_with("content");
    EXPECT_THAT(ring.run(sqe::write(file, "a", 1, 0).set(&Sqe::rw_flags, RWF_DSYNC)), Gives(1));
    EXPECT_THAT(ring.run(sqe::write(file, "b", 1, 1).set(&Sqe::rw_flags, RWF_SYNC)), Gives(1));
    EXPECT_THAT(ring.run(sqe::write(file, "c", 1, 2).set(&Sqe::rw_flags, RWF_HIPRI)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::write(file, "d", 1, 3).set(&Sqe::rw_flags, 1 << 30)), Gives(-EOPNOTSUPP));
    EXPECT_EQ(content_of(file.get()), "abntent");
}

TEST(Write, from_memory_that_is_not_there_gives_efault) {
    RawRing ring;
    const Fd file = file_with("");
    const ForbiddenPage page;
    EXPECT_THAT(ring.run(sqe::write(file, page.address(), 4)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::write(file, nullptr, 4)), Gives(-EFAULT));
    EXPECT_EQ(content_of(file.get()), "");
}

TEST(Write, to_a_file_open_for_reading_only_gives_ebadf) {
    RawRing ring;
    const Fd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::write(file, "x", 1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::write(-1, "x", 1)), Gives(-EBADF));
}

TEST(Write, at_an_offset_that_no_file_has_is_refused) {
    RawRing ring;
    const Fd file = file_with("");
    EXPECT_THAT(ring.run(sqe::write(file, "x", 1, static_cast<uint64_t>(-2))), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::write(file, "x", 1, INT64_MAX)), Gives(-EINVAL));
    // An offset, but behind the largest file that there can be.
    EXPECT_THAT(ring.run(sqe::write(file, "x", 1, INT64_MAX - 1)), Gives(-EFBIG));
}

TEST(Write, to_a_full_device_gives_enospc) {
    RawRing ring;
    const Fd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::write(full, "x", 1)), Gives(-ENOSPC));
}

// The largest file size that this process may write, set back when the object goes.
class FileSizeLimit {
  public:
    explicit FileSizeLimit(rlim_t size) {
        getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit limited = {size, before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limited);
    }
    ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

  private:
    rlimit before_;
};

TEST(Write, beyond_the_file_size_limit_gives_efbig) {
    RawRing ring;
    const Fd file = file_with("");
    signal(SIGXFSZ, SIG_IGN);
    {
        const FileSizeLimit limit(4);
        EXPECT_THAT(ring.run(sqe::write(file, "x", 1, 4)), Gives(-EFBIG));
        EXPECT_THAT(ring.run(sqe::write(file, "abcdef", 6, 1)), Gives(3));
    }
    signal(SIGXFSZ, SIG_DFL);
}

TEST(Write, in_a_batch_writes_each_to_its_place) {
    RawRing ring(64);
    const Fd file = file_with("");
    std::string content;
    for (int index = 0; index < 64 * 100; ++index) content += static_cast<char>('a' + index / 100 % 26);
    for (uint64_t index = 0; index < 64; ++index) {
        ring.push(sqe::write(file, content.data() + index * 100, 100, index * 100));
    }
    EXPECT_THAT(ring.submit_pushed(64), Gives(64));
    for (const Cqe& cqe : ring.wait(64)) EXPECT_THAT(cqe, Gives(100));
    EXPECT_EQ(content_of(file.get()), content);
}

}  // namespace
}  // namespace ringside::test
