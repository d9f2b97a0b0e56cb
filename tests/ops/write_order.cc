// Buffered writes of one batch that go to the current position, or to the end of the file, and are not linked. Nothing
// promises their order, but programs that write logs rely on it: the kernel's workers change one file in the order of
// submission. Here several workers took them at a time, and a third of the batches reached the file out of order.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <string>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

constexpr unsigned batch = 16;
constexpr unsigned rounds = 40;
constexpr size_t most = 9000;

// The kernel's workers get one of a thousand batches wrong, more than half of them while the machine has other things to
// do, and two writes may even go to one position then.
constexpr unsigned kernels_faults = rounds - 1;

struct Kind {
    const char* name;
    bool appends;
    bool vectored;
    unsigned flags;
    size_t length;
};

int64_t size_of(int fd) {
    struct stat status = {};
    EXPECT_EQ(fstat(fd, &status), 0);
    return status.st_size;
}

class WriteOrder : public testing::TestWithParam<Kind> {
  protected:
    RawRing ring{64};
    char bytes[batch][most] = {};
    iovec vectors[batch] = {};

    WriteOrder() {
        for (unsigned i = 0; i < batch; ++i) {
            memset(bytes[i], static_cast<int>('A' + i), most);
            vectors[i] = {bytes[i], GetParam().length};
        }
    }

    Sqe write_of(int fd, unsigned i) const {
        const Kind& kind = GetParam();
        const uint64_t offset = kind.appends ? 0 : ~uint64_t{0};
        const auto length = static_cast<uint32_t>(kind.length);
        const Sqe sqe = kind.vectored ? sqe::transfer(IORING_OP_WRITEV, fd, &vectors[i], 1, offset)
                                      : sqe::transfer(IORING_OP_WRITE, fd, bytes[i], length, offset);
        return Sqe(sqe).data(i).flag(kind.flags);
    }

    void expect_all_written() {
        const std::vector<Cqe> completions = ring.wait(batch);
        ASSERT_EQ(completions.size(), batch);
        for (const Cqe& cqe : completions) EXPECT_EQ(cqe.res, static_cast<int>(GetParam().length));
    }

    // Which write each part of the file comes from; '?' for none.
    std::string order_in(int fd) const {
        std::string order;
        for (unsigned i = 0; i < batch; ++i) {
            char first = '?';
            EXPECT_GE(pread(fd, &first, 1, static_cast<off_t>(i * GetParam().length)), 0);
            order += first;
        }
        return order;
    }

    template <typename Submit>
    void expect_order(Submit submit) {
        unsigned faults = 0;
        for (unsigned round = 0; round < rounds; ++round) {
            const Fd file = file_with("");
            if (GetParam().appends) {
                ASSERT_EQ(fcntl(file, F_SETFL, O_APPEND), 0);
            }
            submit(file);
            expect_all_written();
            faults += order_in(file) != "ABCDEFGHIJKLMNOP";
        }
        EXPECT_LE(faults, provider_under_test() == provider::Kind::kernel ? kernels_faults : 0);
    }
};

INSTANTIATE_TEST_SUITE_P(Kinds, WriteOrder,
                         testing::Values(Kind{"at_the_position", false, false, 0, 100},
                                         Kind{"large_at_the_position", false, false, 0, 8100},
                                         Kind{"vectored_at_the_position", false, true, 0, 100},
                                         Kind{"asynchronous_at_the_position", false, false, IOSQE_ASYNC, 100},
                                         Kind{"appended", true, false, 0, 100},
                                         Kind{"large_appended", true, false, 0, 8100},
                                         Kind{"vectored_appended", true, true, 0, 8100},
                                         Kind{"asynchronous_appended", true, false, IOSQE_ASYNC, 8100}),
                         [](const testing::TestParamInfo<Kind>& kind) { return std::string(kind.param.name); });

TEST_P(WriteOrder, of_one_batch_is_kept) {
    expect_order([&](int fd) {
        for (unsigned i = 0; i < batch; ++i) ring.push(write_of(fd, i));
        ASSERT_EQ(ring.submit_pushed(batch), static_cast<int>(batch));
    });
}

TEST_P(WriteOrder, of_batches_that_follow_at_once_is_kept) {
    expect_order([&](int fd) {
        for (unsigned i = 0; i < batch; ++i) ASSERT_THAT(ring.submit(write_of(fd, i)), Gives(1));
    });
}

TEST_P(WriteOrder, of_writes_by_two_numbers_of_a_file_is_kept) {
    // A worker of the kernel's looks an asynchronous request's number up, so it has to be there until then.
    Fd second;
    expect_order([&](int fd) {
        second = Fd(dup(fd));
        for (unsigned i = 0; i < batch; ++i) ring.push(write_of(i % 2 ? fd : second, i));
        ASSERT_EQ(ring.submit_pushed(batch), static_cast<int>(batch));
    });
}

// One that is cancelled before its turn lets the next have it.
TEST_P(WriteOrder, is_kept_by_those_that_are_left_when_some_are_cancelled) {
    for (unsigned round = 0; round < rounds; ++round) {
        const Fd file = file_with("");
        if (GetParam().appends) {
            ASSERT_EQ(fcntl(file, F_SETFL, O_APPEND), 0);
        }
        for (unsigned i = 0; i < batch; ++i) ring.push(write_of(file, i));
        for (unsigned i = 3; i < batch; i += 3) ring.push(sqe::cancel(i).data(100));
        ASSERT_EQ(ring.submit_pushed(batch + 5), static_cast<int>(batch + 5));
        const std::vector<Cqe> completions = ring.wait(batch + 5);
        ASSERT_EQ(completions.size(), batch + 5);
        unsigned written = 0;
        for (const Cqe& cqe : completions) written += cqe.user_data < batch && cqe.res > 0;
        EXPECT_GE(written, batch - 5);
        EXPECT_EQ(size_of(file), static_cast<int64_t>(written * GetParam().length));
    }
}

TEST_P(WriteOrder, ends_with_the_ring) {
    const Fd file = file_with("");
    for (unsigned i = 0; i < batch; ++i) ring.push(write_of(file, i));
    ASSERT_EQ(ring.submit_pushed(batch), static_cast<int>(batch));
    EXPECT_EQ(ring.close(), 0);
    RawRing next(64);
    EXPECT_THAT(next.run(sqe::fsync(file)), Gives(0));
}

}  // namespace
}  // namespace ringside::test
