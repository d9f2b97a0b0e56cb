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

#include "support/files.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

struct Field {
    std::string_view name;
    void (*spoil)(Sqe&);
};

// Spoiling the flags sets their highest bit, which no operation knows.
constexpr Field fields[] = {
    {"ioprio", [](Sqe& sqe) { sqe.ioprio = 1; }},
    {"off", [](Sqe& sqe) { sqe.off = 1; }},
    {"addr", [](Sqe& sqe) { sqe.addr = 1; }},
    {"len", [](Sqe& sqe) { sqe.len = 1; }},
    {"flags", [](Sqe& sqe) { sqe.rw_flags |= static_cast<__kernel_rwf_t>(1U << 31); }},
    {"buf_index", [](Sqe& sqe) { sqe.buf_index = 1; }},
    {"splice_fd_in", [](Sqe& sqe) { sqe.splice_fd_in = 1; }},
    {"addr3", [](Sqe& sqe) { sqe.addr3 = 1; }},
    {"__pad2", [](Sqe& sqe) { sqe.__pad2[0] = 1; }},
};

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

TEST(Fields, that_an_operation_does_not_use_must_be_zero) {
    // Requests that complete soon whether refused or not.
    const Fd file = memory_file_with("");
    const Pipe pipe;
    const __kernel_timespec time = milliseconds_of(1);
    struct statx status;
    check({
        {"NOP", sqe::nop(), "ioprio flags"},
        {"FSYNC", sqe::fsync(file), "ioprio addr flags buf_index splice_fd_in"},
        {"OPENAT", sqe::openat(AT_FDCWD, "/nowhere", O_RDONLY), "ioprio buf_index"},
        {"CLOSE", sqe::close(1'000'000), "ioprio off addr len flags buf_index splice_fd_in"},
        {"STATX", sqe::statx(AT_FDCWD, "/nowhere", 0, STATX_ALL, &status), "ioprio flags buf_index splice_fd_in"},
        {"POLL_ADD", sqe::poll_add(pipe.write_end, POLLOUT), "ioprio off addr buf_index"},
        {"POLL_REMOVE", sqe::poll_remove(99), "ioprio off len flags buf_index splice_fd_in"},
        // The flags of an update stand in `len`, where IORING_POLL_ADD_MULTI alone asks for none.
        {"POLL_REMOVE that updates", sqe::poll_update(99, IORING_POLL_UPDATE_EVENTS, POLLIN),
         "ioprio off len buf_index splice_fd_in"},
        {"TIMEOUT", sqe::timeout(&time), "ioprio flags buf_index splice_fd_in addr3 __pad2"},
        {"TIMEOUT_REMOVE", sqe::timeout_remove(99), "ioprio len flags buf_index splice_fd_in addr3 __pad2"},
        {"TIMEOUT_REMOVE that updates", sqe::timeout_update(99, &time),
         "ioprio len flags buf_index splice_fd_in addr3 __pad2"},
        {"ASYNC_CANCEL", sqe::cancel(99), "ioprio off flags splice_fd_in"},
    });
}

TEST(Fields, of_operations_on_files_must_be_zero_where_they_are_not_used) {
    const Fd file = file_with("content");
    const open_how how = {};
    check({
        {"OPENAT2", sqe::openat2(AT_FDCWD, "/nowhere", &how), "ioprio len buf_index"},
        {"SYNC_FILE_RANGE", sqe::sync_file_range(file, 0, 0, 0), "ioprio addr flags buf_index splice_fd_in"},
        {"FALLOCATE", sqe::fallocate(file, 0, 0, 10), "ioprio flags buf_index splice_fd_in"},
        {"FTRUNCATE", sqe::ftruncate(file, 10), "ioprio addr len flags buf_index splice_fd_in addr3"},
        {"FADVISE", sqe::fadvise(file, 0, 0, POSIX_FADV_NORMAL), "ioprio flags buf_index splice_fd_in"},
        {"MADVISE", sqe::madvise(nullptr, 0, 0), "ioprio addr flags buf_index splice_fd_in"},
        {"RENAMEAT", sqe::renameat(AT_FDCWD, "/nowhere", AT_FDCWD, "/now"), "ioprio flags buf_index splice_fd_in"},
        {"UNLINKAT", sqe::unlinkat(AT_FDCWD, "/nowhere"), "ioprio off len flags buf_index splice_fd_in"},
        {"MKDIRAT", sqe::mkdirat(AT_FDCWD, "/", 0), "ioprio off flags buf_index splice_fd_in"},
        {"SYMLINKAT", sqe::symlinkat("to", AT_FDCWD, "/"), "ioprio len flags buf_index splice_fd_in"},
        {"LINKAT", sqe::linkat(AT_FDCWD, "/nowhere", AT_FDCWD, "/now"), "ioprio flags buf_index splice_fd_in"},
        {"FSETXATTR", sqe::fsetxattr(file, "user.name", "value", 5), "ioprio flags"},
        {"SETXATTR", sqe::setxattr("/nowhere", "user.name", "value", 5), "ioprio flags"},
        {"FGETXATTR", sqe::fgetxattr(file, "user.name", nullptr, 0), "ioprio flags"},
        {"GETXATTR", sqe::getxattr("/nowhere", "user.name", nullptr, 0), "ioprio flags"},
    });
}

TEST(Fields, of_operations_that_wait_must_be_zero_where_they_are_not_used) {
    const Pipe in, out;
    int ends[2];
    siginfo_t info;
    const uint32_t word = 0;
    const futex_waitv waiter = {.val = 1, .uaddr = address_of(&word), .flags = sqe::futex_32, .__reserved = 0};
    check({
        {"SPLICE",
         sqe::splice(in.read_end, sqe::file_position, out.write_end, sqe::file_position, 0, SPLICE_F_NONBLOCK),
         "ioprio"},
        {"TEE", sqe::tee(in.read_end, out.write_end, 0, SPLICE_F_NONBLOCK), "ioprio off addr"},
        {"PIPE", sqe::pipe(nullptr), "ioprio off flags addr3"},
        {"PIPE in slots", sqe::pipe(ends, 0, 5), "ioprio off flags addr3"},
        {"FUTEX_WAIT", sqe::futex_wait(&word, 1), "ioprio addr len flags buf_index splice_fd_in"},
        {"FUTEX_WAKE", sqe::futex_wake(&word, 1), "ioprio addr len flags buf_index splice_fd_in"},
        {"FUTEX_WAITV", sqe::futex_waitv(&waiter, 1), "ioprio off flags buf_index splice_fd_in addr3"},
        {"WAITID", sqe::waitid(P_ALL, 0, &info, WEXITED), "ioprio addr len flags buf_index splice_fd_in addr3"},
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
