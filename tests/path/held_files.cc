// Record locks of the process on files that requests are made on (fcntl(2), F_SETLK). Whoever closes any descriptor of
// a file in a process's table drops all the record locks that the process has on that file.
//
// Once the engine held the file of a request by a duplicate in the program's table. When the request was over, the
// engine closed the duplicate, and another process got the lock: after each fsync, for instance, that SQLite or MariaDB
// made under a lock. Nothing told the program so.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/stat.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>
#include <tuple>
#include <vector>

#include "path/at_work.h"
#include "path/record_locks.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::Ge;
using testing::ResultOf;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// --- Operations -----------------------------------------------------------------------------------------------------

// What an operation works with: a file of four pages that is locked, and what else it needs.
struct Setting {
    RawRing& ring;
    int fd;
    const std::string& path;
    AlignedBuffer bytes{file_pages * page};
    Pipe pipe{};

    void expect_result(const Sqe& sqe, int result) { EXPECT_THAT(ring.run(sqe), Gives(result)); }
    // Requests that the kernel and the engine both end, each in its own way.
    void expect_ends(std::vector<Sqe> requests) {
        for (const Sqe& request : requests) ring.push(request);
        EXPECT_THAT(ring.submit_pushed(static_cast<unsigned>(requests.size())), Gives(requests.size()));
        EXPECT_THAT(ring.wait(static_cast<unsigned>(requests.size())), SizeIs(requests.size()));
    }
};

struct Operation {
    const char* name;
    void (*perform)(Setting&);
    int open_flags = 0;
};

int error_of(int64_t result) { return result < 0 ? -errno : static_cast<int>(result); }

void write_appended(Setting& it) {
    it.expect_result(sqe::write(it.fd, it.bytes.data(), 100, 0), 100);
    it.expect_result(sqe::write(it.fd, it.bytes.data(), 100, sqe::file_position), 100);
}

void transfer_vectors(Setting& it) {
    const iovec parts[2] = {{it.bytes.data(), 10}, {it.bytes.data() + page, 20}};
    it.expect_result(sqe::writev(it.fd, parts, 2).flag(IOSQE_ASYNC), 30);
    it.expect_result(sqe::readv(it.fd, parts, 2).flag(IOSQE_ASYNC), 30);
}

void splice_from_file(Setting& it) { it.expect_result(sqe::splice(it.fd, 0, it.pipe.write_end, ~0ULL, 100), 100); }

void splice_to_file(Setting& it) {
    ASSERT_EQ(write(it.pipe.write_end, "spliced", 7), 7);
    it.expect_result(sqe::splice(it.pipe.read_end, ~0ULL, it.fd, 0, 7), 7);
}

// Only pipes can be teed.
void tee_of_file(Setting& it) {
    it.expect_result(sqe::tee(it.fd, it.pipe.write_end, 10), -EINVAL);
    ASSERT_EQ(write(it.pipe.write_end, "x", 1), 1);
    it.expect_result(sqe::tee(it.pipe.read_end, it.fd, 10), -EINVAL);
}

void attributes(Setting& it) {
    char value[8] = "value";
    const int set = error_of(fsetxattr(it.fd, "user.test", value, 5, 0));
    it.expect_result(sqe::fsetxattr(it.fd, "user.test", value, 5), set);
    const int got = error_of(fgetxattr(it.fd, "user.test", value, sizeof(value)));
    it.expect_result(sqe::fgetxattr(it.fd, "user.test", value, sizeof(value)), got);
}

void status(Setting& it) {
    static struct statx result;
    it.expect_result(sqe::statx(it.fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &result), 0);
}

void chain(Setting& it) {
    const Sqe read = sqe::read(it.fd, it.bytes.data(), 100).data(1).flag(link);
    const Sqe sync = sqe::fsync(it.fd).data(2).flag(link);
    EXPECT_THAT(it.ring.submit(read, sync, sqe::write(it.fd, it.bytes.data(), 50).data(3)), Gives(3));
    EXPECT_THAT(it.ring.wait(3), ElementsAre(Completes(1, 100), Completes(2, 0), Completes(3, 50)));
}

void linked_timeout(Setting& it) {
    const __kernel_timespec time = milliseconds_of(5000);
    const Sqe timeout = Sqe(IORING_OP_LINK_TIMEOUT).set(&Sqe::addr, address_of(&time)).set(&Sqe::len, 1);
    it.expect_ends({sqe::fsync(it.fd).flag(link), timeout});
}

// The chain ends at its first request, before the one of the file begins.
void cancelled_chain(Setting& it) {
    EXPECT_THAT(it.ring.submit(sqe::read(it.pipe.read_end, it.bytes.data(), 1).data(1).flag(link),
                               sqe::fsync(it.fd).data(2), sqe::cancel(1).data(3)),
                Gives(3));
    EXPECT_THAT(it.ring.wait(3),
                UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, -ECANCELED), Completes(3, 0)));
}

// A worker holds the file and waits for the pipe.
void cancelled_splice(Setting& it) {
    it.ring.push(sqe::splice(it.pipe.read_end, ~0ULL, it.fd, 0, 7).data(1).flag(IOSQE_ASYNC));
    EXPECT_THAT(it.ring.submit_pushed(1), Gives(1));
    EXPECT_THAT(it.ring.linger(), testing::IsEmpty());
    EXPECT_THAT(it.ring.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(it.ring.wait(2), SizeIs(2));
}

void cancelled_by_file(Setting& it) {
    std::vector<Sqe> requests;
    for (unsigned i = 0; i < 8; ++i) requests.push_back(sqe::fsync(it.fd).flag(IOSQE_ASYNC));
    requests.push_back(sqe::cancel_fd(it.fd, IORING_ASYNC_CANCEL_ALL));
    it.expect_ends(requests);
}

void poll_of_file(Setting& it) {
    it.expect_result(sqe::poll_add(it.fd, POLLIN), POLLIN);
    it.expect_result(sqe::poll_add(it.fd, POLLOUT).flag(IOSQE_ASYNC), POLLOUT);
}

void refused_for_its_kind(Setting& it) {
    it.expect_result(receive(it.fd, it.bytes.data(), 10, IOSQE_ASYNC), -ENOTSOCK);
    it.expect_result(send_of(it.fd, it.bytes.data(), 10), -ENOTSOCK);
    it.expect_result(accept_on(it.fd, IOSQE_ASYNC), -ENOTSOCK);
    it.expect_result(sqe::read(it.fd, nullptr, 10).flag(IOSQE_ASYNC), -EFAULT);
}

void one_batch(Setting& it) {
    std::vector<Sqe> requests;
    for (unsigned i = 0; i < 12; ++i) {
        char* part = it.bytes.data() + i * 100;
        requests.push_back(sqe::fsync(it.fd));
        requests.push_back(sqe::write(it.fd, part, 100, i * 100).flag(i % 2 ? IOSQE_ASYNC : 0));
        requests.push_back(sqe::read(it.fd, part, 100, i * 100).flag(i % 3 ? IOSQE_ASYNC : 0));
        requests.push_back(sqe::fallocate(it.fd, 0, 0, page));
        requests.push_back(sqe::fadvise(it.fd, 0, page, POSIX_FADV_WILLNEED).flag(i % 2 ? link : 0));
    }
    requests.push_back(sqe::sync_file_range(it.fd, 0, page, SYNC_FILE_RANGE_WRITE));
    it.expect_ends(requests);
}

// Each batch begins when the one before is over, so that each time the last request on the file ends.
void many_batches(Setting& it) {
    for (unsigned i = 0; i < 50; ++i) {
        it.expect_ends({sqe::fsync(it.fd), sqe::read(it.fd, it.bytes.data(), 10).flag(IOSQE_ASYNC)});
    }
}

void another_file_of_it(Setting& it) {
    // It is not closed: that would be the program's own doing.
    static int second = -1;
    ASSERT_GE(second = open(it.path.c_str(), O_RDWR | O_CLOEXEC), 0);
    it.expect_result(sqe::fsync(second), 0);
    it.expect_result(sqe::write(second, it.bytes.data(), 10).flag(IOSQE_ASYNC), 10);
}

#define RESULT(sqe, result) [](Setting& it) { it.expect_result(sqe, result); }

const Operation operations[] = {
    {"fsync", RESULT(sqe::fsync(it.fd), 0)},
    {"fdatasync", RESULT(sqe::fsync(it.fd, IORING_FSYNC_DATASYNC), 0)},
    {"fsync_in_a_worker", RESULT(sqe::fsync(it.fd).flag(IOSQE_ASYNC), 0)},
    {"buffered_read", RESULT(sqe::read(it.fd, it.bytes.data(), 100), 100)},
    {"buffered_write", RESULT(sqe::write(it.fd, it.bytes.data(), 100), 100)},
    {"buffered_write_beyond_the_end", RESULT(sqe::write(it.fd, it.bytes.data(), 100, 1 << 20), 100)},
    {"write_at_the_file_position", RESULT(sqe::write(it.fd, it.bytes.data(), 100, sqe::file_position), 100)},
    {"appending_write", write_appended, O_APPEND},
    {"synchronous_write", RESULT(sqe::write(it.fd, it.bytes.data(), 100), 100), O_DSYNC},
    {"async_read", RESULT(sqe::read(it.fd, it.bytes.data(), 100).flag(IOSQE_ASYNC), 100)},
    {"async_write", RESULT(sqe::write(it.fd, it.bytes.data(), 100).flag(IOSQE_ASYNC), 100)},
    {"vectors", transfer_vectors},
    {"direct_read", RESULT(sqe::read(it.fd, it.bytes.data(), page), page), O_DIRECT},
    {"direct_write", RESULT(sqe::write(it.fd, it.bytes.data(), page), page), O_DIRECT},
    {"direct_async_write", RESULT(sqe::write(it.fd, it.bytes.data(), page).flag(IOSQE_ASYNC), page), O_DIRECT},
    {"direct_refused", RESULT(sqe::read(it.fd, it.bytes.data() + 1, page - 1), -EINVAL), O_DIRECT},
    {"fallocate", RESULT(sqe::fallocate(it.fd, 0, 0, 1 << 20), 0)},
    {"ftruncate", RESULT(sqe::ftruncate(it.fd, 100), 0)},
    {"sync_file_range", RESULT(sqe::sync_file_range(it.fd, 0, page, SYNC_FILE_RANGE_WRITE), 0)},
    {"fadvise", RESULT(sqe::fadvise(it.fd, 0, page, POSIX_FADV_WILLNEED), 0)},
    {"splice_from_file", splice_from_file},
    {"splice_to_file", splice_to_file},
    {"tee", tee_of_file},
    {"attributes", attributes},
    {"status", status},
    {"chain", chain},
    {"linked_timeout", linked_timeout},
    {"cancelled_chain", cancelled_chain},
    {"cancelled_splice", cancelled_splice},
    {"cancelled_by_file", cancelled_by_file},
    {"poll", poll_of_file},
    {"refused_for_its_kind", refused_for_its_kind},
    {"one_batch", one_batch},
    {"many_batches", many_batches},
    {"another_open_file", another_file_of_it},
};

// --- The tests ------------------------------------------------------------------------------------------------------

class RecordLocks : public testing::TestWithParam<std::tuple<Operation, Held>> {};

INSTANTIATE_TEST_SUITE_P(Operations, RecordLocks,
                         testing::Combine(testing::ValuesIn(operations),
                                          testing::Values(held_whole, held_ranges, held_shared, held_both)),
                         [](const testing::TestParamInfo<RecordLocks::ParamType>& test) {
                             return std::string(std::get<0>(test.param).name) + "_with_" + std::get<1>(test.param).name;
                         });

TEST_P(RecordLocks, of_the_process_stay_after) {
    const auto& [operation, held] = GetParam();
    const LockedFile file(held, operation.open_flags);
    RawRing ring(64);
    Setting setting{ring, file.fd, file.path};
    operation.perform(setting);
    file.expect_kept("after the requests");
    EXPECT_EQ(ring.close(), 0);
    file.expect_kept("after the ring");
}

class RecordLocksOfRing : public testing::TestWithParam<unsigned> {};

INSTANTIATE_TEST_SUITE_P(Modes, RecordLocksOfRing,
                         testing::Values(unsigned{IORING_SETUP_SINGLE_ISSUER}, deferred,
                                         unsigned{IORING_SETUP_COOP_TASKRUN}, unsigned{IORING_SETUP_SQPOLL}),
                         [](const testing::TestParamInfo<unsigned>& mode) {
                             return mode.param == IORING_SETUP_SQPOLL          ? "polled"
                                    : mode.param == deferred                   ? "deferred"
                                    : mode.param == IORING_SETUP_SINGLE_ISSUER ? "single_issuer"
                                                                               : "cooperative";
                         });

TEST_P(RecordLocksOfRing, stay_after_requests_of_each_kind) {
    const LockedFile file(held_both);
    RawRing ring(16, GetParam());
    AlignedBuffer bytes(page);
    const unsigned wakes = ring.has(IORING_SETUP_SQPOLL) ? IORING_ENTER_SQ_WAKEUP : 0;
    const std::vector<Sqe> requests = {
        sqe::fsync(file.fd),
        sqe::write(file.fd, bytes.data(), 100),
        sqe::write(file.fd, bytes.data(), 100).flag(IOSQE_ASYNC | link),
        sqe::read(file.fd, bytes.data(), 100).flag(IOSQE_ASYNC),
        sqe::fallocate(file.fd, 0, 0, page).flag(link),
        sqe::poll_add(file.fd, POLLIN),
    };
    for (const Sqe& request : requests) ring.push(request);
    EXPECT_THAT(ring.enter(static_cast<unsigned>(requests.size()), 0, wakes), Gives(requests.size()));
    const std::vector<Cqe> completions = ring.wait(static_cast<unsigned>(requests.size()));
    EXPECT_THAT(completions, SizeIs(requests.size()));
    EXPECT_THAT(completions, Each(ResultOf([](const Cqe& cqe) { return cqe.res; }, Ge(0))));
    file.expect_kept("after the requests");
    EXPECT_EQ(ring.close(), 0);
    file.expect_kept("after the ring");
}

// A ring that is closed lets go of what its requests hold: once by closing duplicates, too.
TEST(RecordLocksInFlight, stay_when_the_ring_is_closed) {
    const LockedFile file(held_ranges);
    const Pipe pipe;
    char bytes[100] = {};
    {
        RawRing ring(16);
        ASSERT_THAT(ring.submit(sqe::splice(pipe.read_end, ~0ULL, file.fd, 0, 7).flag(IOSQE_ASYNC),
                                sqe::read(pipe.read_end, bytes, 1).flag(link), sqe::fsync(file.fd),
                                sqe::write(file.fd, bytes, sizeof(bytes)).flag(IOSQE_ASYNC), sqe::fsync(file.fd)),
                    Gives(5));
        file.expect_kept("in flight");
        EXPECT_EQ(ring.close(), 0);
    }
    file.expect_kept("after the ring");
}

TEST(RecordLocksInFlight, stay_when_rings_come_and_go) {
    const LockedFile file(held_both);
    for (unsigned round = 0; round < 20; ++round) {
        RawRing ring(8);
        ASSERT_THAT(ring.submit(sqe::fsync(file.fd)), Gives(1));
        EXPECT_THAT(ring.wait(round % 2), SizeIs(testing::Ge(round % 2)));
    }
    file.expect_kept("after the rings");
}

// Once the engine answered at the program's limit of descriptors otherwise than below it.
TEST(RecordLocksInFlight, stay_when_the_program_has_no_descriptor_left) {
    const LockedFile file(held_both);
    RawRing ring(8);
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit exhausted = before;
    exhausted.rlim_cur = static_cast<rlim_t>(Fd(dup(0)).get());
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &exhausted), 0);
    char bytes[100] = {};
    EXPECT_THAT(ring.submit(sqe::fsync(file.fd).data(1), sqe::write(file.fd, bytes, 100).data(2),
                            sqe::read(file.fd, bytes, 100).data(3).flag(IOSQE_ASYNC)),
                Gives(3));
    EXPECT_THAT(ring.wait(3), UnorderedElementsAre(Completes(1, 0), Completes(2, 100), Completes(3, 100)));
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    file.expect_kept("after the requests");
}

// What drops locks in the kernel is to do so on the engine: the program's own closing of any descriptor of the file.
TEST(RecordLocksInFlight, go_when_a_request_closes_a_duplicate) {
    const LockedFile file(held_whole);
    RawRing ring(8);
    EXPECT_THAT(ring.run(sqe::close(dup(file.fd))), Gives(0));
    EXPECT_EQ(another_process_gets(file.path, held_whole.locked), 1);
}

// A lock by flock(2) belongs to the open file. It lasts as long as anybody has that, so an engine that keeps the file
// for itself keeps the lock.
TEST(RecordLocksInFlight, by_flock_go_soon_after_the_program_has_closed_its_file) {
    const TemporaryDirectory directory;
    const std::string path = directory.add("file", "content");
    RawRing ring(8);
    Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
    EXPECT_THAT(ring.run(sqe::fsync(fd)), Gives(0));
    const Fd other(open(path.c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_EQ(flock(other, LOCK_EX | LOCK_NB), -1);
    fd.reset();
    EXPECT_TRUE(eventually([&] { return flock(other, LOCK_EX | LOCK_NB) == 0; }, 2000));
}

}  // namespace
}  // namespace ringside::test
