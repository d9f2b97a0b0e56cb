// Reads and writes of files opened with O_DIRECT: they bypass the page cache, and many are in flight at a time.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <string>

#include "register/buffers.h"
#include "register/fixed_files.h"

namespace ringside::test {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned block = 4096;

class DirectFile : public testing::Test {
  protected:
    void SetUp() override {
        file_ = Fd(open(path_.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC));
        ASSERT_GE(file_.get(), 0) << "a file system with O_DIRECT under /tmp is needed";
        memory_.data()[0] = 0;
        for (unsigned i = 0; i < blocks; ++i) {
            memset(memory_.data(), static_cast<int>('a' + i % 26), block);
            ASSERT_EQ(pwrite(file_, memory_.data(), block, off_t{block} * i), ssize_t{block});
        }
        memset(memory_.data(), '.', memory_.size());
    }

    char* part(unsigned index) { return memory_.data() + size_t{index} * block; }
    Sqe read(unsigned index) { return sqe::read(file_, part(index), block, uint64_t{index} * block).data(index); }
    std::string letters(unsigned count) {
        std::string all;
        for (unsigned i = 0; i < count; ++i) all += *part(i);
        return all;
    }

    static constexpr unsigned blocks = 8;
    TemporaryDirectory directory_;
    std::string path_ = directory_.add("direct");
    Fd file_;
    AlignedBuffer memory_{512 * block};
};

TEST_F(DirectFile, is_read_in_blocks) {
    RawRing ring;
    EXPECT_EQ(ring.submit(read(2), read(0), read(1)), 3);
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(0, block), Completes(1, block), Completes(2, block)));
    EXPECT_EQ(letters(4), "abc.");
}

TEST_F(DirectFile, is_written_in_blocks) {
    RawRing ring;
    memset(part(0), 'X', block);
    EXPECT_THAT(ring.run(sqe::write(file_, part(0), block, 3 * block)), Gives(block));
    EXPECT_THAT(ring.run(sqe::write(file_, part(0), block, blocks * block)), Gives(block)) << "beyond its end";
    EXPECT_EQ(content_of(path_).size(), size_t{blocks + 1} * block);
    EXPECT_THAT(ring.run(read(3)), Gives(block));
    EXPECT_EQ(letters(4), "X..X");
}

TEST_F(DirectFile, ends_where_it_ends) {
    RawRing ring;
    ASSERT_EQ(ftruncate(file_, block + 100), 0);
    EXPECT_THAT(ring.run(sqe::read(file_, part(0), 4 * block)), Gives(block + 100));
    EXPECT_THAT(ring.run(sqe::read(file_, part(0), block, 4 * block)), Gives(0));
    EXPECT_THAT(ring.run(sqe::read(file_, part(0), 0)), Gives(0));
}

TEST_F(DirectFile, takes_whole_blocks_only) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::read(file_, part(0), block - 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::read(file_, part(0), block, 100)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::write(file_, part(0) + 1, block)), Gives(-EINVAL));
}

TEST_F(DirectFile, takes_no_bad_memory) {
    RawRing ring;
    const ForbiddenPage forbidden;
    EXPECT_THAT(ring.run(sqe::read(file_, forbidden.address(), block)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::write(file_, forbidden.address(), block)), Gives(-EFAULT));
    const iovec bad = {forbidden.address(), block};
    EXPECT_THAT(ring.run(sqe::readv(file_, &bad, 1)), Gives(-EFAULT));
}

TEST_F(DirectFile, is_read_into_several_places) {
    RawRing ring;
    const iovec parts[] = {{part(3), block}, {part(0), 2 * block}};
    EXPECT_THAT(ring.run(sqe::readv(file_, parts, 2, block)), Gives(3 * block));
    EXPECT_EQ(letters(4), "cd.b");
    EXPECT_THAT(ring.run(sqe::writev(file_, parts, 2)), Gives(3 * block));
    EXPECT_THAT(ring.run(read(0)), Gives(block));
    EXPECT_EQ(letters(1), "b");
}

// One alone in its batch: its iovec is not copied by the engine, but read by the call that begins the transfer.
TEST_F(DirectFile, alone_goes_by_its_iovec_as_it_was) {
    RawRing ring;
    for (unsigned turn = 0; turn < 20; ++turn) {
        auto* page =
            static_cast<iovec*>(mmap(nullptr, block, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        ASSERT_NE(page, MAP_FAILED);
        *page = {part(turn % 4), block};
        const unsigned from = turn % blocks;
        ASSERT_THAT(ring.submit(sqe::readv(file_, page, 1, uint64_t{from} * block).data(turn)), Gives(1));
        *page = {};
        ASSERT_EQ(munmap(page, block), 0);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(turn, block)));
        EXPECT_EQ(*part(turn % 4), static_cast<char>('a' + from));
    }
    const iovec whole = {part(0), block};
    EXPECT_THAT(ring.run(sqe::writev(file_, &whole, 1, block)), Gives(block));
    EXPECT_THAT(ring.run(read(1)), Gives(block));
    EXPECT_EQ(*part(1), *part(0));
}

TEST_F(DirectFile, alone_with_an_iovec_that_does_not_do_is_refused) {
    RawRing ring;
    const ForbiddenPage forbidden;
    EXPECT_THAT(ring.run(sqe::readv(file_, static_cast<iovec*>(forbidden.address()), 1)), Gives(-EFAULT));
    const auto read_into = [&](void* memory, size_t length, uint64_t from = 0) {
        const iovec vector = {memory, length};
        return ring.run(sqe::readv(file_, &vector, 1, from));
    };
    EXPECT_THAT(read_into(forbidden.address(), block), Gives(-EFAULT));
    EXPECT_THAT(read_into(part(0) + 1, block), Gives(-EINVAL));
    EXPECT_THAT(read_into(part(0), block - 1), Gives(-EINVAL));
    EXPECT_THAT(read_into(part(0), block, 100), Gives(-EINVAL));
    EXPECT_THAT(read_into(part(0), 0), Gives(0));
    EXPECT_THAT(read_into(part(0), block, blocks * block), Gives(0));
    EXPECT_THAT(read_into(part(0), 2 * block, (blocks - 1) * block), Gives(block));
    const iovec vector = {part(0), block};
    const Fd reads_only(open(path_.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::writev(reads_only, &vector, 1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::readv(file_, &vector, 1)), Gives(block));
    const int number = file_.release();
    ASSERT_THAT(ring.submit(sqe::readv(number, &vector, 1, block).data(2)), Gives(1));
    ASSERT_EQ(close(number), 0);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, block)));
    EXPECT_THAT(ring.run(sqe::readv(number, &vector, 1)), Gives(-EBADF));
}

// The kernel forgets to move it when the disk answers later; whether we do is not told here.
TEST_F(DirectFile, can_be_read_at_its_position) {
    RawRing ring;
    lseek(file_, block, SEEK_SET);
    EXPECT_THAT(ring.run(sqe::read(file_, part(0), block, sqe::file_position)), Gives(block));
    EXPECT_EQ(letters(1), "b");
}

TEST_F(DirectFile, keeps_many_in_flight) {
    RawRing ring(512);
    for (unsigned i = 0; i < 500; ++i) {
        ring.push(sqe::read(file_, part(i), block, uint64_t{i % blocks} * block).data(i));
    }
    EXPECT_EQ(ring.enter(500), 500);
    const std::vector<Cqe> cqes = ring.wait(500);
    ASSERT_EQ(cqes.size(), 500u);
    std::vector<bool> seen(500);
    for (const Cqe& cqe : cqes) {
        EXPECT_EQ(cqe.res, static_cast<int>(block));
        seen.at(cqe.user_data) = true;
        EXPECT_EQ(*part(static_cast<unsigned>(cqe.user_data)), static_cast<char>('a' + cqe.user_data % blocks));
    }
    EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](bool one) { return one; }));
}

TEST_F(DirectFile, is_found_by_looking_alone) {
    RawRing ring;
    EXPECT_EQ(ring.submit(read(0), read(1)), 2);
    EXPECT_THAT(ring.watch(2), UnorderedElementsAre(Completes(0, block), Completes(1, block)));
}

TEST_F(DirectFile, may_be_closed_at_once) {
    RawRing ring;
    const Sqe reads[] = {read(0), read(1)};
    EXPECT_EQ(ring.submit(reads[0], reads[1], sqe::close(file_.release()).data(9)), 3);
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(0, block), Completes(1, block), Completes(9, 0)));
}

TEST_F(DirectFile, keeps_the_order_of_a_chain) {
    RawRing ring;
    ASSERT_EQ(ftruncate(file_, 2 * block), 0);
    EXPECT_EQ(ring.submit(read(0).flag(IOSQE_IO_LINK), read(1).flag(IOSQE_IO_LINK), read(2).flag(IOSQE_IO_LINK),
                          sqe::nop().data(3)),
              4);
    EXPECT_THAT(ring.wait(4),
                ElementsAre(Completes(0, block), Completes(1, block), Completes(2, 0), Completes(3, -ECANCELED)));
}

TEST_F(DirectFile, is_not_found_by_a_cancellation) {
    RawRing ring;
    const Pipe pipe;
    char waiting;
    const Sqe cancel = Sqe(IORING_OP_ASYNC_CANCEL).set(&Sqe::addr, 7).data(1);
    // Of two requests of one name, the one that can be cancelled is.
    EXPECT_EQ(ring.submit(sqe::read(pipe.read_end, &waiting, 1).data(7), read(0).data(7), cancel), 3);
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(7, -ECANCELED), Completes(7, block), Completes(1, 0)));
    EXPECT_EQ(ring.submit(read(0).data(7), cancel), 2);
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(7, block), Completes(1, -ENOENT)));
}

TEST_F(DirectFile, is_waited_for_by_a_drain) {
    RawRing ring;
    EXPECT_EQ(ring.submit(read(0), read(1), sqe::nop().data(2).flag(IOSQE_IO_DRAIN)), 3);
    const std::vector<Cqe> cqes = ring.wait(3);
    ASSERT_EQ(cqes.size(), 3u);
    EXPECT_EQ(cqes[2].user_data, 2u);
}

TEST_F(DirectFile, is_done_in_a_worker_where_that_is_asked_for) {
    RawRing ring;
    EXPECT_THAT(ring.run(read(1).flag(IOSQE_ASYNC)), Completes(1, block));
    EXPECT_EQ(letters(2), ".b");
}

TEST_F(DirectFile, works_from_slots) {
    RawRing ring;
    ASSERT_THAT(register_files(ring, {file_}), Gives(0));
    ASSERT_THAT(register_buffers(ring, {{part(0), 4 * block}}), Gives(0));
    for (unsigned i = 0; i < 4; ++i) {
        ring.push(sqe::read_fixed(0, 0, part(i), block, uint64_t{i} * block).flag(IOSQE_FIXED_FILE).data(i));
    }
    EXPECT_EQ(ring.enter(4), 4);
    // What is in flight has its file and its buffer, whatever becomes of the slots.
    EXPECT_THAT(unregister_files(ring), Gives(0));
    const std::vector<Cqe> cqes = ring.wait(4);
    EXPECT_EQ(cqes.size(), 4u);
    EXPECT_EQ(letters(5), "abcd.");
}

TEST_F(DirectFile, may_be_in_flight_when_its_ring_is_closed) {
    // The kernel does not wait for the disk when a ring is closed: it may write into memory that was given back.
    static AlignedBuffer lasting(64 * block);
    for (unsigned turn = 0; turn < 20; ++turn) {
        RawRing ring(64);
        for (unsigned i = 0; i < 64; ++i) {
            ring.push(sqe::read(file_, lasting.data() + size_t{i} * block, block, uint64_t{i % blocks} * block));
        }
        EXPECT_EQ(ring.enter(64), 64);
        EXPECT_EQ(ring.close(), 0);
    }
}

}  // namespace
}  // namespace ringside::test
