// Reads of one batch that go on where the one before them ends. However they are carried out, each has the result that
// it would have had alone, and what else the batch holds comes in its order.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <unistd.h>

#include <string>

#include "register/buffers.h"
#include "register/fixed_files.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::Each;
using testing::ElementsAre;

// The bytes 0 to `size` of a pattern in which each place differs from its neighbourhood.
std::string pattern(size_t size) {
    std::string text(size, '\0');
    for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
    return text;
}

// One piece of a file after the other, `count` of them, each into its own part of one buffer.
class Pieces {
  public:
    Pieces(int fd, unsigned size, unsigned count, uint64_t offset = 0)
        : fd_(fd), size_(size), count_(count), offset_(offset), memory_(size * count, '.') {}

    char* part(unsigned index) { return memory_.data() + index * size_; }
    Sqe read(unsigned index) { return sqe::read(fd_, part(index), size_, offset_ + index * size_).data(index); }
    std::vector<Cqe> run(RawRing& ring) {
        for (unsigned i = 0; i < count_; ++i) ring.push(read(i));
        EXPECT_EQ(ring.enter(count_, 0, 0), static_cast<int>(count_));
        return ring.wait(count_);
    }
    std::string text() const { return memory_; }

  private:
    int fd_;
    unsigned size_, count_;
    uint64_t offset_;
    std::string memory_;
};

std::vector<int> results(const std::vector<Cqe>& cqes) {
    std::vector<int> all;
    for (const Cqe& cqe : cqes) all.push_back(cqe.res);
    return all;
}

TEST(Neighbours, each_get_their_part) {
    RawRing ring(256);
    const std::string text = pattern(200 * 16);
    const Fd file = file_with(text);
    Pieces pieces(file, 16, 200);
    const std::vector<Cqe> cqes = pieces.run(ring);
    EXPECT_THAT(results(cqes), Each(16));
    for (unsigned i = 0; i < cqes.size(); ++i) EXPECT_EQ(cqes[i].user_data, i);
    EXPECT_EQ(pieces.text(), text);
}

TEST(Neighbours, end_with_the_file) {
    RawRing ring(8);
    const Fd file = file_with("0123456789");
    Pieces pieces(file, 4, 5);
    EXPECT_THAT(results(pieces.run(ring)), ElementsAre(4, 4, 2, 0, 0));
    EXPECT_EQ(pieces.text(), "0123456789..........");
}

TEST(Neighbours, begin_anywhere_and_need_not_be_of_one_size) {
    RawRing ring(8);
    const Fd file = file_with("0123456789");
    char one[1], two[2], three[3];
    EXPECT_EQ(ring.submit(sqe::read(file, one, 1, 3), sqe::read(file, three, 3, 4), sqe::read(file, two, 2, 7)), 3);
    EXPECT_THAT(results(ring.wait(3)), ElementsAre(1, 3, 2));
    EXPECT_EQ(std::string(one, 1) + std::string(three, 3) + std::string(two, 2), "345678");
}

TEST(Neighbours, do_not_move_the_file_position) {
    RawRing ring(8);
    const Fd file = file_with(pattern(32));
    lseek(file, 5, SEEK_SET);
    Pieces(file, 8, 4).run(ring);
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 5);
}

TEST(Neighbours, one_of_which_has_no_memory_fails_alone) {
    RawRing ring(8);
    const std::string text = pattern(40);
    const Fd file = file_with(text);
    const ForbiddenPage forbidden;
    Pieces pieces(file, 8, 5);
    for (unsigned i = 0; i < 5; ++i) {
        Sqe sqe = pieces.read(i);
        if (i == 2) sqe.addr = address_of(forbidden.address());
        ring.push(sqe);
    }
    EXPECT_EQ(ring.enter(5), 5);
    EXPECT_THAT(results(ring.wait(5)), ElementsAre(8, 8, -EFAULT, 8, 8));
    EXPECT_EQ(pieces.text(), text.substr(0, 16) + "........" + text.substr(24));
}

TEST(Neighbours, one_of_which_has_memory_in_part_gets_that_part) {
    RawRing ring(8);
    const Fd file = file_with(pattern(48));
    const ForbiddenPage forbidden;
    Pieces pieces(file, 16, 3);
    for (unsigned i = 0; i < 3; ++i) {
        Sqe sqe = pieces.read(i);
        if (i == 1) sqe.addr = address_of(forbidden.brink(10));
        ring.push(sqe);
    }
    EXPECT_EQ(ring.enter(3), 3);
    EXPECT_THAT(results(ring.wait(3)), ElementsAre(16, 10, 16));
}

TEST(Neighbours, of_a_descriptor_that_is_none_fail_each) {
    RawRing ring(8);
    EXPECT_THAT(results(Pieces(-1, 4, 3).run(ring)), Each(-EBADF));
    const Fd write_only(open("/dev/null", O_WRONLY | O_CLOEXEC));
    EXPECT_THAT(results(Pieces(write_only, 4, 3).run(ring)), Each(-EBADF));
}

TEST(Neighbours, are_not_joined_over_what_stands_between_them) {
    RawRing ring(8);
    Fd file = file_with("0123456789abcdef");
    Pieces pieces(file, 4, 4);
    // The descriptor is closed half way: io_uring looks files up in the order of the requests.
    EXPECT_EQ(
        ring.submit(pieces.read(0), pieces.read(1), sqe::close(file.release()).data(9), pieces.read(2), pieces.read(3)),
        5);
    EXPECT_THAT(results(ring.wait(5)), ElementsAre(4, 4, 0, -EBADF, -EBADF));
    EXPECT_EQ(pieces.text(), "01234567........");
}

TEST(Neighbours, in_a_chain_are_done_one_by_one) {
    RawRing ring(8);
    const Fd file = file_with("0123456789");
    Pieces pieces(file, 4, 5);
    for (unsigned i = 0; i < 5; ++i) ring.push(i < 4 ? pieces.read(i).flag(IOSQE_IO_LINK) : pieces.read(i));
    EXPECT_EQ(ring.enter(5), 5);
    // The third is short, which ends the chain.
    EXPECT_THAT(results(ring.wait(5)), ElementsAre(4, 4, 2, -ECANCELED, -ECANCELED));
}

TEST(Neighbours, behind_a_drain_come_after_it) {
    RawRing ring(8);
    const Fd file = file_with("0123456789");
    Pieces pieces(file, 4, 3);
    EXPECT_EQ(ring.submit(pieces.read(0), pieces.read(1).flag(IOSQE_IO_DRAIN), pieces.read(2)), 3);
    EXPECT_THAT(results(ring.wait(3)), ElementsAre(4, 4, 2));
}

TEST(Neighbours, on_a_stream_take_what_comes) {
    RawRing ring(8);
    const Pipe pipe;
    ASSERT_EQ(write(pipe.write_end, "0123456789", 10), 10);
    Pieces pieces(pipe.read_end, 4, 3);
    EXPECT_THAT(results(pieces.run(ring)), ElementsAre(4, 4, 2));
    EXPECT_EQ(pieces.text(), "0123456789..");
}

TEST(Neighbours, of_which_one_is_malformed_end_the_batch_there) {
    RawRing ring(8);
    const Fd file = file_with("0123456789");
    Pieces pieces(file, 4, 4);
    for (unsigned i = 0; i < 4; ++i) {
        Sqe sqe = pieces.read(i);
        if (i == 2) sqe.addr = uint64_t{1} << 63;
        ring.push(sqe);
    }
    EXPECT_EQ(ring.enter(4), 3);
    EXPECT_THAT(results(ring.wait(3)), ElementsAre(4, 4, -EFAULT));
}

TEST(Neighbours, of_which_one_asks_for_more_are_done_all_the_same) {
    RawRing ring(8);
    const Fd file = file_with("0123456789abcdef");
    Pieces pieces(file, 4, 4);
    for (unsigned i = 0; i < 4; ++i) {
        Sqe sqe = pieces.read(i);
        if (i == 1) sqe.rw_flags = RWF_NOWAIT;
        if (i == 2) sqe.flags |= IOSQE_ASYNC;
        ring.push(sqe);
    }
    EXPECT_EQ(ring.enter(4), 4);
    EXPECT_THAT(results(ring.wait(4)), Each(4));
    EXPECT_EQ(pieces.text(), "0123456789abcdef");
}

TEST(Neighbours, of_no_bytes_are_none) {
    RawRing ring(8);
    const Fd file = file_with("0123456789");
    char buffer[4];
    EXPECT_EQ(ring.submit(sqe::read(file, buffer, 0, 4), sqe::read(file, buffer, 4, 4), sqe::read(file, buffer, 0, 8)),
              3);
    EXPECT_THAT(results(ring.wait(3)), ElementsAre(0, 4, 0));
}

TEST(Neighbours, at_the_end_of_all_offsets_are_refused_each) {
    RawRing ring(8);
    const Fd file = file_with("0123456789");
    EXPECT_THAT(results(Pieces(file, 4, 3, uint64_t{INT64_MAX} - 3).run(ring)), ElementsAre(-EINVAL, -EINVAL, -EINVAL));
}

TEST(Neighbours, of_a_registered_file_and_in_registered_buffers_are_joined_too) {
    RawRing ring(8);
    const std::string text = pattern(64);
    const Fd file = file_with(text);
    AlignedBuffer memory(4096);
    ASSERT_THAT(register_buffers(ring, {{memory.data(), 48}}), Gives(0));
    ASSERT_THAT(register_files(ring, {file}), Gives(0));
    for (unsigned i = 0; i < 4; ++i) {
        ring.push(sqe::read_fixed(0, 0, memory.data() + i * 16, 16, i * 16).flag(IOSQE_FIXED_FILE));
    }
    EXPECT_EQ(ring.enter(4), 4);
    EXPECT_THAT(results(ring.wait(4)), ElementsAre(16, 16, 16, -EFAULT));
    EXPECT_EQ(std::string(memory.data(), 48), text.substr(0, 48));
}

// Writes of one batch to one file, three batches of them: the first finds out what the file is like.
class Writes : public testing::TestWithParam<Fd (*)(std::string_view)> {
  protected:
    static constexpr unsigned count = 100, size = 16;

    // Writes every piece, the last first, and has done with the file at once.
    void write_all(int fd, unsigned more_flags = 0) {
        for (unsigned i = count; i-- > 0;) {
            ring_.push(sqe::write(fd, text_.data() + i * size, size, i * size).flag(more_flags).data(i));
        }
        EXPECT_EQ(ring_.enter(count), static_cast<int>(count));
    }
    void expect_all_done() {
        const std::vector<Cqe> cqes = ring_.wait(count);
        EXPECT_THAT(results(cqes), Each(size));
        EXPECT_EQ(cqes.size(), count);
    }

    RawRing ring_{128};
    const std::string text_ = pattern(count * size);
    Fd file_ = GetParam()("");
};

TEST_P(Writes, are_all_done) {
    for (unsigned turn = 0; turn < 3; ++turn) {
        ASSERT_EQ(ftruncate(file_, 0), 0);
        write_all(file_);
        expect_all_done();
        EXPECT_EQ(content_of(file_), text_);
    }
}

TEST_P(Writes, go_to_their_file_though_its_descriptor_is_another_by_then) {
    const Fd other = GetParam()("");
    const Fd kept(dup(file_));
    for (unsigned turn = 0; turn < 3; ++turn) {
        ASSERT_EQ(ftruncate(kept, 0), 0);
        const int number = fcntl(kept, F_DUPFD_CLOEXEC, 100);
        write_all(number);
        dup2(other, number);
        expect_all_done();
        close(number);
        EXPECT_EQ(content_of(kept), text_);
        EXPECT_EQ(content_of(other), "");
    }
}

TEST_P(Writes, to_a_registered_file_are_all_done) {
    ASSERT_THAT(register_files(ring_, {file_}), Gives(0));
    for (unsigned turn = 0; turn < 2; ++turn) {
        ASSERT_EQ(ftruncate(file_, 0), 0);
        write_all(0, IOSQE_FIXED_FILE);
        expect_all_done();
        EXPECT_EQ(content_of(file_), text_);
    }
    write_all(0, IOSQE_FIXED_FILE);
    EXPECT_THAT(unregister_files(ring_), Gives(0));
    expect_all_done();
}

TEST_P(Writes, find_a_pipe_where_there_was_a_file) {
    for (unsigned turn = 0; turn < 2; ++turn) {
        write_all(file_);
        expect_all_done();
    }
    const Pipe pipe;
    dup2(pipe.write_end, file_);
    write_all(file_);
    expect_all_done();
    std::string received(count * size, '.');
    EXPECT_EQ(read(pipe.read_end, received.data(), received.size()), static_cast<ssize_t>(received.size()));
}

TEST_P(Writes, fail_alone) {
    const ForbiddenPage forbidden;
    for (unsigned turn = 0; turn < 3; ++turn) {
        for (unsigned i = 0; i < 4; ++i) {
            const void* from = i == 2 ? forbidden.address() : text_.data();
            ring_.push(sqe::write(file_, from, size, i * size).data(i));
        }
        EXPECT_EQ(ring_.enter(4), 4);
        EXPECT_THAT(ring_.wait(4), testing::UnorderedElementsAre(Completes(0, size), Completes(1, size),
                                                                 Completes(2, -EFAULT), Completes(3, size)));
    }
}

TEST_P(Writes, are_waited_for_when_the_ring_is_closed) {
    write_all(file_);
    expect_all_done();
    write_all(file_);
    EXPECT_EQ(ring_.close(), 0);
}

Fd file_on_disk(std::string_view content) { return file_with(content); }
Fd file_in_memory(std::string_view content) { return memory_file_with(content); }
INSTANTIATE_TEST_SUITE_P(OnDisk, Writes, testing::Values(file_on_disk));
INSTANTIATE_TEST_SUITE_P(InMemory, Writes, testing::Values(file_in_memory));

}  // namespace
}  // namespace ringside::test
