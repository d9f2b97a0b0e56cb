// IORING_OP_SYNC_FILE_RANGE, FALLOCATE, FTRUNCATE, FADVISE, MADVISE.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "support/files.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;

int64_t size_of(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_size : -1;
}

int64_t blocks_of(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_blocks : -1;
}

TEST(SyncFileRange, writes_a_range_back) {
    RawRing ring;
    const Fd file = file_with(std::string(100'000, 'x'));
    constexpr unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    EXPECT_THAT(ring.run(sqe::sync_file_range(file, 0, 0, all)), Gives(0));
    EXPECT_THAT(ring.run(sqe::sync_file_range(file, 4096, 8192, SYNC_FILE_RANGE_WRITE)), Gives(0));
    EXPECT_THAT(ring.run(sqe::sync_file_range(file, 1 << 20, 1, 0)), Gives(0));
}

TEST(SyncFileRange, tells_each_error) {
    RawRing ring;
    const Fd file = file_with("content");
    const Pipe pipe;
    EXPECT_THAT(ring.run(sqe::sync_file_range(file, 0, 0, 8)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::sync_file_range(file, static_cast<uint64_t>(-1), 0, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::sync_file_range(file, INT64_MAX, 10, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::sync_file_range(pipe.read_end, 0, 0, 0)), Gives(-ESPIPE));
    EXPECT_THAT(ring.run(sqe::sync_file_range(-1, 0, 0, 0)), Gives(-EBADF));
}

TEST(Fallocate, makes_a_file_longer) {
    RawRing ring;
    const Fd file = file_with("content");
    EXPECT_THAT(ring.run(sqe::fallocate(file, 0, 0, 100'000)), Gives(0));
    EXPECT_EQ(size_of(file), 100'000);
    EXPECT_EQ(content_of(file).substr(0, 8), std::string("content\0", 8));
    EXPECT_THAT(ring.run(sqe::fallocate(file, FALLOC_FL_KEEP_SIZE, 100'000, 100'000)), Gives(0));
    EXPECT_EQ(size_of(file), 100'000);
    EXPECT_GE(blocks_of(file), 200'000 / 512);
}

TEST(Fallocate, punches_holes) {
    RawRing ring;
    const Fd file = memory_file_with(std::string(3 * 4096, 'x'));
    EXPECT_THAT(ring.run(sqe::fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096)), Gives(0));
    EXPECT_EQ(content_of(file), std::string(4096, 'x') + std::string(4096, '\0') + std::string(4096, 'x'));
    EXPECT_EQ(blocks_of(file), 2 * 4096 / 512);
}

TEST(Fallocate, takes_lengths_of_64_bits) {
    RawRing ring;
    const Fd file = memory_file_with("");
    constexpr uint64_t far = uint64_t{5} << 32;
    EXPECT_THAT(ring.run(sqe::fallocate(file, 0, far, 4096)), Gives(0));
    EXPECT_EQ(size_of(file), static_cast<int64_t>(far + 4096));
    EXPECT_THAT(ring.run(sqe::fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, far + 4096)), Gives(0));
    EXPECT_EQ(blocks_of(file), 0);
}

TEST(Fallocate, tells_each_error) {
    RawRing ring;
    const Fd file = file_with("content");
    const Fd read_only(open("/dev/null", O_RDONLY | O_CLOEXEC));
    const Pipe pipe;
    EXPECT_THAT(ring.run(sqe::fallocate(file, 0, 0, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fallocate(file, 0, static_cast<uint64_t>(-1), 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fallocate(file, 0, 0, static_cast<uint64_t>(-1))), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fallocate(file, 1 << 30, 0, 1)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(ring.run(sqe::fallocate(file, FALLOC_FL_PUNCH_HOLE, 0, 1)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(ring.run(sqe::fallocate(file, 0, INT64_MAX, 1)), Gives(-EFBIG));
    EXPECT_THAT(ring.run(sqe::fallocate(read_only, 0, 0, 1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::fallocate(pipe.write_end, 0, 0, 1)), Gives(-ESPIPE));
    EXPECT_THAT(ring.run(sqe::fallocate(-1, 0, 0, 1)), Gives(-EBADF));
}

TEST(Ftruncate, cuts_and_extends) {
    RawRing ring;
    const Fd file = file_with("content");
    EXPECT_THAT(ring.run(sqe::ftruncate(file, 3)), Gives(0));
    EXPECT_EQ(content_of(file), "con");
    EXPECT_THAT(ring.run(sqe::ftruncate(file, 5)), Gives(0));
    EXPECT_EQ(content_of(file), std::string("con\0\0", 5));
    EXPECT_THAT(ring.run(sqe::ftruncate(file, uint64_t{1} << 33)), Gives(0));
    EXPECT_EQ(size_of(file), int64_t{1} << 33);
}

TEST(Ftruncate, tells_each_error) {
    RawRing ring;
    const TemporaryDirectory directory;
    const Fd read_only(open(directory.add("file").c_str(), O_RDONLY | O_CLOEXEC));
    const Fd path_only(open(directory.path_of("file").c_str(), O_PATH | O_CLOEXEC));
    const Fd parent(open(directory.path().c_str(), O_RDONLY | O_CLOEXEC));
    const Fd file = file_with("content");
    const Pipe pipe;
    EXPECT_THAT(ring.run(sqe::ftruncate(file, static_cast<uint64_t>(-1))), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::ftruncate(file, INT64_MAX)), Gives(-EFBIG));
    EXPECT_THAT(ring.run(sqe::ftruncate(read_only, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::ftruncate(path_only, 0)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::ftruncate(path_only, static_cast<uint64_t>(-1))), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::ftruncate(parent, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::ftruncate(pipe.write_end, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::ftruncate(-1, 0)), Gives(-EBADF));
}

TEST(Fadvise, takes_every_advice) {
    RawRing ring;
    const Fd file = file_with(std::string(100'000, 'x'));
    for (const unsigned advice : {POSIX_FADV_NORMAL, POSIX_FADV_RANDOM, POSIX_FADV_SEQUENTIAL, POSIX_FADV_WILLNEED,
                                  POSIX_FADV_DONTNEED, POSIX_FADV_NOREUSE}) {
        EXPECT_THAT(ring.run(sqe::fadvise(file, 0, 0, advice)), Gives(0)) << advice;
        EXPECT_THAT(ring.run(sqe::fadvise(file, 4096, 4096, advice).flag(IOSQE_ASYNC)), Gives(0)) << advice;
    }
    EXPECT_EQ(content_of(file), std::string(100'000, 'x'));
}

TEST(Fadvise, tells_each_error) {
    RawRing ring;
    const Fd file = file_with("content");
    const Pipe pipe;
    EXPECT_THAT(ring.run(sqe::fadvise(file, 0, 0, 99)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fadvise(file, 0, 0, POSIX_FADV_WILLNEED).set(&Sqe::addr, static_cast<uint64_t>(-1))),
                Gives(-EINVAL));
    for (const unsigned advice : {POSIX_FADV_NORMAL, POSIX_FADV_WILLNEED}) {
        EXPECT_THAT(ring.run(sqe::fadvise(pipe.read_end, 0, 0, advice)), Gives(-ESPIPE));
        EXPECT_THAT(ring.run(sqe::fadvise(-1, 0, 0, advice)), Gives(-EBADF));
    }
}

TEST(Madvise, drops_pages) {
    RawRing ring;
    constexpr size_t length = 3 * 4096;
    void* memory = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    char* bytes = static_cast<char*>(memory);
    memset(bytes, 'x', length);
    EXPECT_THAT(ring.run(sqe::madvise(bytes + 4096, 4096, MADV_DONTNEED)), Gives(0));
    EXPECT_EQ(bytes[4095], 'x');
    EXPECT_EQ(bytes[4096], '\0');
    EXPECT_EQ(bytes[8192], 'x');
    // The wider field for the length counts when it is used.
    EXPECT_THAT(ring.run(sqe::madvise(bytes, 4096, MADV_DONTNEED).set(&Sqe::off, length)), Gives(0));
    EXPECT_EQ(bytes[0], '\0');
    EXPECT_EQ(bytes[8192], '\0');
    munmap(memory, length);
}

TEST(Madvise, tells_each_error) {
    RawRing ring;
    alignas(4096) static char page[4096];
    EXPECT_THAT(ring.run(sqe::madvise(page + 1, 4096, MADV_NORMAL)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::madvise(page, 4096, 9999)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::madvise(nullptr, 4096, MADV_NORMAL)), Gives(-ENOMEM));
    EXPECT_THAT(ring.run(sqe::madvise(page, 0, MADV_NORMAL).set(&Sqe::off, static_cast<uint64_t>(-1))), Gives(-EINVAL));
    // There is no file to it: the flag and the descriptor mean nothing.
    EXPECT_THAT(ring.run(sqe::madvise(page, 4096, MADV_NORMAL).flag(IOSQE_FIXED_FILE)), Gives(0));
}

TEST(Space, of_fixed_files_is_managed_too) {
    RawRing ring;
    Fd file = file_with("content");
    int files[] = {file.get()};
    ASSERT_THAT(ring.register_call(IORING_REGISTER_FILES, files, 1), Gives(0));
    EXPECT_THAT(ring.run(sqe::fallocate(0, 0, 0, 10).flag(IOSQE_FIXED_FILE)), Gives(0));
    EXPECT_EQ(size_of(file), 10);
    EXPECT_THAT(ring.run(sqe::ftruncate(0, 4).flag(IOSQE_FIXED_FILE)), Gives(0));
    EXPECT_EQ(size_of(file), 4);
    EXPECT_THAT(ring.run(sqe::sync_file_range(0, 0, 4, SYNC_FILE_RANGE_WRITE).flag(IOSQE_FIXED_FILE)), Gives(0));
    EXPECT_THAT(ring.run(sqe::fadvise(0, 0, 0, POSIX_FADV_RANDOM).flag(IOSQE_FIXED_FILE)), Gives(0));
    EXPECT_THAT(ring.run(sqe::fadvise(0, 0, 0, POSIX_FADV_WILLNEED).flag(IOSQE_FIXED_FILE)), Gives(0));
    for (const Sqe& sqe : {sqe::fallocate(1, 0, 0, 10), sqe::ftruncate(1, 4), sqe::sync_file_range(1, 0, 0, 0),
                           sqe::fadvise(1, 0, 0, POSIX_FADV_NORMAL), sqe::fadvise(1, 0, 0, POSIX_FADV_WILLNEED)}) {
        EXPECT_THAT(ring.run(Sqe(sqe).flag(IOSQE_FIXED_FILE)), Gives(-EBADF)) << static_cast<int>(sqe.opcode);
    }
}

TEST(Space, is_managed_in_the_order_of_a_chain) {
    RawRing ring;
    const Fd file = memory_file_with("");
    EXPECT_THAT(ring.submit(sqe::fallocate(file, 0, 0, 8192).data(1).flag(IOSQE_IO_LINK),
                            sqe::ftruncate(file, 100).data(2).flag(IOSQE_IO_LINK),
                            sqe::fallocate(file, 0, 0, 0).data(3).flag(IOSQE_IO_LINK), sqe::ftruncate(file, 5).data(4)),
                Gives(4));
    // What the file system refuses does not end the chain, unlike advice that means nothing to a pipe.
    EXPECT_THAT(ring.wait(4), ElementsAre(Completes(1, 0), Completes(2, 0), Completes(3, -EINVAL), Completes(4, 0)));
    EXPECT_EQ(size_of(file), 5);
    const Pipe pipe;
    EXPECT_THAT(ring.submit(sqe::fadvise(pipe.read_end, 0, 0, POSIX_FADV_WILLNEED).data(5).flag(IOSQE_IO_LINK),
                            sqe::ftruncate(file, 0).data(6)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(5, -ESPIPE), Completes(6, -ECANCELED)));
    // Where there is no file at all it ends.
    EXPECT_THAT(ring.submit(sqe::ftruncate(1'000'000, 0).data(7).flag(IOSQE_IO_LINK), sqe::nop().data(8)), Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(7, -EBADF), Completes(8, -ECANCELED)));
}

TEST(Space, that_is_refused_is_silent_where_success_is) {
    RawRing ring;
    const Fd file = file_with("content");
    alignas(4096) static char page[4096];
    for (const Sqe& sqe : {sqe::fallocate(file, 0, 0, 0), sqe::ftruncate(file, static_cast<uint64_t>(-1)),
                           sqe::sync_file_range(file, 0, 0, 8), sqe::madvise(page + 1, 1, MADV_NORMAL)}) {
        EXPECT_THAT(ring.submit(Sqe(sqe).data(1).flag(IOSQE_CQE_SKIP_SUCCESS | IOSQE_IO_LINK), sqe::nop().data(2)),
                    Gives(2));
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0))) << static_cast<int>(sqe.opcode);
    }
    EXPECT_THAT(ring.linger(5), testing::IsEmpty());
}

}  // namespace
}  // namespace ringside::test
