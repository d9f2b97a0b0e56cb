// When registered files are looked up and provided buffers chosen. Whoever submits has the lock on the ring's tables
// until the batch is over, so that a worker finds what the batch has left there; whatever the submitter attempts itself
// finds what is there then.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixed_files.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::UnorderedElementsAre;

class AfterTheBatch : public testing::TestWithParam<unsigned> {
  protected:
    void expect_results(const Sqe& first, int result, const Sqe& update) {
        ASSERT_THAT(ring.submit(Sqe(first).data(1), Sqe(update).data(2)), Gives(2));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, result), Completes(2, 1)));
    }

    RawRing ring{8, GetParam()};
    const Fd before = memory_file_with("before");
    const Fd after = memory_file_with("after");
    char byte = 0;
};

INSTANTIATE_TEST_SUITE_P(Modes, AfterTheBatch,
                         testing::Values(0U, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN),
                         [](const testing::TestParamInfo<unsigned>& mode) {
                             return std::string(mode.param == 0 ? "plain" : "deferred");
                         });

TEST_P(AfterTheBatch, worker_looks_up_a_registered_file) {
    ASSERT_EQ(register_files(ring, {before, -1, before}), 0);
    int put = after, take = -1;
    const auto asynchronous = [](Sqe entry) { return sqe::fixed(entry.flag(IOSQE_ASYNC)); };
    expect_results(asynchronous(sqe::read(0, &byte, 1)), 1, sqe::files_update(&put, 1, 0));
    EXPECT_EQ(byte, 'a');
    // What a worker does whether it is asked for or not.
    expect_results(sqe::fixed(sqe::fsync(1)), 0, sqe::files_update(&put, 1, 1));
    expect_results(sqe::fixed(sqe::fsync(1)), -EBADF, sqe::files_update(&take, 1, 1));
    expect_results(asynchronous(sqe::read(2, &byte, 1)), -EBADF, sqe::files_update(&take, 1, 2));
}

TEST_P(AfterTheBatch, worker_chooses_a_provided_buffer) {
    char buffer[16] = {};
    const auto reading = [&](unsigned flags) {
        return sqe::read(before, nullptr, sizeof(buffer)).flag(IOSQE_BUFFER_SELECT | flags).set(&Sqe::buf_group, 3);
    };
    const Sqe provide = sqe::transfer(IORING_OP_PROVIDE_BUFFERS, 1, buffer, sizeof(buffer), 5).set(&Sqe::buf_group, 3);
    ASSERT_THAT(ring.submit(reading(IOSQE_ASYNC).data(1), Sqe(provide).data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, 6, IORING_CQE_F_BUFFER | 5 << IORING_CQE_BUFFER_SHIFT),
                                                   Completes(2, 0)));
    EXPECT_STREQ(buffer, "before");
    const Sqe remove = Sqe(IORING_OP_REMOVE_BUFFERS, 1).set(&Sqe::buf_group, 3);
    ASSERT_THAT(ring.run(provide), Gives(0));
    expect_results(reading(IOSQE_ASYNC), -ENOBUFS, remove);
    ASSERT_THAT(ring.submit(reading(0).data(1), Sqe(provide).data(2)), Gives(2));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ENOBUFS), Completes(2, 0)));
}

TEST_P(AfterTheBatch, submitter_has_looked_up_a_registered_file) {
    ASSERT_EQ(register_files(ring, {before, -1}), 0);
    int put = after;
    expect_results(sqe::fixed(sqe::write(0, "x", 1)), 1, sqe::files_update(&put, 1, 0));
    EXPECT_EQ(content_of(before), "xefore");
    expect_results(sqe::fixed(sqe::read(1, &byte, 1)), -EBADF, sqe::files_update(&put, 1, 1));
}

TEST_P(AfterTheBatch, request_that_has_not_begun_can_be_cancelled) {
    const Pipe pipe;
    ASSERT_EQ(register_files(ring, {pipe.read_end}), 0);
    ASSERT_THAT(ring.submit(sqe::fixed(sqe::read(0, &byte, 1)).flag(IOSQE_ASYNC).data(1), sqe::cancel(1).data(2)),
                Gives(2));
    // It ends because it was cancelled, or because there is something to read, if it was no more to be stopped.
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_EQ(ring.wait(2).size(), 2u);
}

}  // namespace
}  // namespace ringside::test
