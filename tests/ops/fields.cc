// Which fields of an entry an operation leaves unused: whatever stands there must be zero, or the request is refused.
// That keeps the fields free for the future, and programs rely on it to find out what a kernel knows.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "ops/fields.h"
#include "support/files.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

struct Expectation {
    std::string_view operation;
    Sqe sqe;
    // The fields that must be zero, in the order above, separated by blanks.
    std::string_view must_be_zero;
};

std::string fields_refused_for(const Sqe& good) {
    std::string refused;
    for (const Field& field : fields) {
        Sqe spoiled = good;
        field.spoil(spoiled);
        if (memcmp(&spoiled, &good, sizeof(good)) == 0) continue;
        // A ring of its own, which takes along what goes on.
        if (RawRing().run(spoiled).res != -EINVAL) continue;
        if (!refused.empty()) refused += ' ';
        refused += field.name;
    }
    return refused;
}

void check(std::initializer_list<Expectation> expectations) {
    for (const Expectation& expectation : expectations) {
        EXPECT_EQ(fields_refused_for(expectation.sqe), expectation.must_be_zero) << expectation.operation;
    }
}

// Of the other operations tests/ops/every_operation.cc knows.
TEST(Fields, of_updates_and_pipes_in_slots_must_be_zero_where_they_are_not_used) {
    const __kernel_timespec time = milliseconds_of(1);
    int ends[2];
    check({
        // The flags of an update stand in `len`, where IORING_POLL_ADD_MULTI alone asks for none.
        {"POLL_REMOVE that updates", sqe::poll_update(99, IORING_POLL_UPDATE_EVENTS, POLLIN),
         "ioprio off len buf_index splice_fd_in"},
        {"TIMEOUT_REMOVE that updates", sqe::timeout_update(99, &time),
         "ioprio len flags buf_index splice_fd_in addr3 __pad2"},
        {"PIPE in slots", sqe::pipe(ends, 0, 5), "ioprio off flags addr3"},
    });
}

TEST(Fields, of_reads_and_writes_are_used_all_but_few) {
    RawRing ring;
    // An attribute of type 1 (protection information) at address 0 is looked for there, if attributes are known at all.
    const bool has_attributes = (ring.params().features & IORING_FEAT_RW_ATTR) != 0;
    const Fd file = file_with("content");
    char buffer[8];
    iovec vector = {buffer, 4};
    for (const Sqe& good : {sqe::read(file, buffer, 4), sqe::write(file, "abcd", 4), sqe::readv(file, &vector, 1),
                            sqe::writev(file, &vector, 1)}) {
        SCOPED_TRACE(testing::Message() << "opcode " << static_cast<int>(good.opcode));
        EXPECT_THAT(ring.run(Sqe(good).set(&Sqe::ioprio, 1)), Gives(-EINVAL));
        EXPECT_THAT(ring.run(Sqe(good).set(&Sqe::rw_flags, 1 << 30)), Gives(-EOPNOTSUPP));
        EXPECT_THAT(ring.run(Sqe(good).set(&Sqe::buf_index, 1).set(&Sqe::splice_fd_in, 1).set(&Sqe::addr3, 1)),
                    Gives(4));
        EXPECT_THAT(ring.run(Sqe(good).set(&Sqe::attr_type_mask, 1)), Gives(has_attributes ? -EFAULT : -EINVAL));
        EXPECT_THAT(ring.run(Sqe(good).set(&Sqe::attr_type_mask, 2)), Gives(-EINVAL));
    }
}

TEST(Fields, buffer_selection_is_refused_by_all_that_select_none) {
    RawRing ring;
    const Pipe pipe;
    const __kernel_timespec time = milliseconds_of(patience_ms);
    for (const Sqe& sqe : {sqe::nop(), sqe::write(pipe.write_end, "x", 1), sqe::fsync(pipe.read_end),
                           sqe::close(1'000'000), sqe::poll_add(pipe.read_end, POLLIN), sqe::poll_remove(99),
                           sqe::timeout(&time), sqe::timeout_remove(99), sqe::cancel(99)}) {
        EXPECT_THAT(ring.run(Sqe(sqe).flag(IOSQE_BUFFER_SELECT)), Gives(-EOPNOTSUPP))
            << "opcode " << static_cast<int>(sqe.opcode);
    }
}

TEST(Fields, selection_from_a_group_without_buffers_finds_none) {
    RawRing ring;
    const Fd file = file_with("content");
    EXPECT_THAT(ring.run(sqe::read(file, nullptr, 4).flag(IOSQE_BUFFER_SELECT)), Gives(-ENOBUFS));
}

TEST(Fields, fixed_file_is_refused_where_the_operation_has_none) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::openat(AT_FDCWD, "/", O_RDONLY).flag(IOSQE_FIXED_FILE)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::close(0).flag(IOSQE_FIXED_FILE)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::timeout_remove(99).flag(IOSQE_FIXED_FILE)), Gives(-EINVAL));
}

}  // namespace
}  // namespace ringside::test
