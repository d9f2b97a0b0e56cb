// Record locks of the process (fcntl(2), F_SETLK) on files that are registered, or open as direct descriptors.
//
// Once the engine closed its descriptor of a registered file, in the program's table, when the slot was emptied or the
// ring closed. With that went all the record locks of the process on the file, and another process got them. Nothing
// told the program so.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "path/record_locks.h"
#include "register/fixed_files.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::Le;

// The numbers by which the process has the file open.
std::vector<int> numbers_of(const std::string& path) {
    std::vector<int> numbers;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        if (std::filesystem::read_symlink(entry, gone) == path)
            numbers.push_back(atoi(entry.path().filename().c_str()));
    }
    return numbers;
}

bool comes_down_to_one(const std::string& path) {
    return eventually([&] { return numbers_of(path).size() == 1; });
}

void unlock(int fd) { EXPECT_THAT(set_lock(fd, {F_UNLCK, 0, 0}), Gives(0)); }

// --- Each way to empty a slot ---------------------------------------------------------------------------------------

struct Setting {
    RawRing& ring;
    const LockedFile& file;
    Fd other = file_with("another");
    char bytes[100] = {};

    int fd() const { return file.fd; }
    void expect_result(const Sqe& sqe, int result) { EXPECT_THAT(ring.run(sqe), Gives(result)); }
    void fill(std::vector<int> fds) { EXPECT_THAT(register_files(ring, std::move(fds)), Gives(0)); }
};

struct Way {
    const char* name;
    void (*go)(Setting&);
};

void unregistered(Setting& it) {
    it.fill({it.fd(), -1, it.fd()});
    EXPECT_THAT(unregister_files(it.ring), Gives(0));
}

void updated(Setting& it) {
    it.fill({it.fd(), it.fd(), it.fd()});
    EXPECT_THAT(update_files(it.ring, 0, {-1, it.other, it.fd()}), Gives(3));
}

void updated_with_tags(Setting& it) {
    EXPECT_THAT(register_tagged(it.ring, {it.fd(), it.fd()}, {7, 8}), Gives(0));
    EXPECT_THAT(update_tagged(it.ring, 0, {-1, it.other}, {0, 0}), Gives(2));
    EXPECT_THAT(it.ring.wait(2), testing::ElementsAre(Completes(7, 0), Completes(8, 0)));
}

void updated_by_a_request(Setting& it) {
    it.fill({it.fd(), it.fd(), it.fd()});
    int fds[] = {-1, it.other, it.fd()};
    it.expect_result(sqe::files_update(fds, 3, 0), 3);
}

void closed(Setting& it) {
    it.fill({it.fd()});
    it.expect_result(sqe::close_direct(0), 0);
}

void closed_after_requests(Setting& it) {
    it.fill({it.fd()});
    it.expect_result(sqe::fixed(sqe::fsync(0)), 0);
    it.expect_result(sqe::fixed(sqe::write(0, it.bytes, 100)).flag(IOSQE_ASYNC), 100);
    it.expect_result(sqe::fixed(sqe::read(0, it.bytes, 100)), 100);
    it.expect_result(sqe::close_direct(0), 0);
}

void closed_under_requests(Setting& it) {
    it.fill({it.fd()});
    EXPECT_THAT(it.ring.submit(sqe::fixed(sqe::fsync(0)).data(1),
                               sqe::fixed(sqe::write(0, it.bytes, 100)).flag(IOSQE_ASYNC).data(2)),
                Gives(2));
    EXPECT_THAT(it.ring.submit(sqe::close_direct(0).data(3)), Gives(1));
    // A worker that has not begun finds no file.
    EXPECT_THAT(it.ring.wait(3), testing::SizeIs(3));
}

void installed_and_closed(Setting& it) {
    it.fill({it.fd()});
    EXPECT_THAT(it.ring.run(sqe::fixed_fd_install(0)).res, testing::Ge(0));
    it.expect_result(sqe::close_direct(0), 0);
}

void opened_and_closed(Setting& it) {
    EXPECT_THAT(register_sparse(it.ring, 2), Gives(0));
    it.expect_result(sqe::open_direct(it.file.path.c_str(), O_RDWR, 1), 0);
    it.file.expect_kept("opened");
    it.expect_result(sqe::fixed(sqe::fsync(0)), 0);
    it.expect_result(sqe::close_direct(0), 0);
}

void opened_into_a_slot_in_use(Setting& it) {
    it.fill({it.fd()});
    it.expect_result(sqe::open_direct(it.file.path.c_str(), O_RDONLY, 1), 0);
    it.file.expect_kept("opened");
    it.expect_result(sqe::open_direct("/dev/null", O_RDONLY, 1), 0);
}

void opened_for_no_slot(Setting& it) {
    it.fill({it.other});
    it.expect_result(sqe::open_direct(it.file.path.c_str(), O_RDWR, IORING_FILE_INDEX_ALLOC), -ENFILE);
    it.expect_result(sqe::open_direct(it.file.path.c_str(), O_RDWR, 100), -EINVAL);
}

void sent_to_a_ring(Setting& it) {
    RawRing target(4);
    EXPECT_THAT(register_sparse(target, 1), Gives(0));
    it.fill({it.fd()});
    const Sqe send = Sqe(IORING_OP_MSG_RING, target.fd()).set(&Sqe::addr, uint64_t{IORING_MSG_SEND_FD});
    it.expect_result(Sqe(send).set(&Sqe::addr3, uint64_t{0}).set(&Sqe::file_index, 1u), 0);
    it.file.expect_kept("sent");
    EXPECT_EQ(target.close(), 0);
}

void ring_closed(Setting& it) {
    it.fill({it.fd(), it.fd()});
    EXPECT_EQ(it.ring.close(), 0);
}

const Way ways[] = {
    {"unregistered", unregistered},
    {"updated", updated},
    {"updated_with_tags", updated_with_tags},
    {"updated_by_a_request", updated_by_a_request},
    {"closed", closed},
    {"closed_after_requests", closed_after_requests},
    {"closed_under_requests", closed_under_requests},
    {"installed_and_closed", installed_and_closed},
    {"opened_and_closed", opened_and_closed},
    {"opened_into_a_slot_in_use", opened_into_a_slot_in_use},
    {"opened_for_no_slot", opened_for_no_slot},
    {"sent_to_a_ring", sent_to_a_ring},
    {"ring_closed", ring_closed},
};

class SlotsOfLockedFiles : public testing::TestWithParam<std::tuple<Way, Held>> {};

INSTANTIATE_TEST_SUITE_P(Ways, SlotsOfLockedFiles,
                         testing::Combine(testing::ValuesIn(ways),
                                          testing::Values(held_whole, held_ranges, held_shared, held_both)),
                         [](const testing::TestParamInfo<SlotsOfLockedFiles::ParamType>& test) {
                             return std::string(std::get<0>(test.param).name) + "_with_" + std::get<1>(test.param).name;
                         });

TEST_P(SlotsOfLockedFiles, leave_the_locks) {
    const auto& [way, held] = GetParam();
    const LockedFile file(held);
    RawRing ring(16);
    Setting setting{ring, file};
    way.go(setting);
    file.expect_kept("afterwards");
    ring.close();
    file.expect_kept("after the ring");
}

// --- What is still open, and for how long ---------------------------------------------------------------------------

class RegisteredRecordLocks : public testing::Test {
  protected:
    void register_and_unregister() {
        EXPECT_THAT(register_files(ring, {file.fd}), Gives(0));
        EXPECT_THAT(unregister_files(ring), Gives(0));
    }
    static int ring_closes_or_unregisters(RawRing& own, unsigned round) {
        return round % 2 == 0 ? own.close() : unregister_files(own);
    }
    // Another process that has a lock for reading on the whole file, as long as the test runs.
    void lock_in_another_process() {
        child = fork();
        if (child == 0) {
            const int own = open(file.path.c_str(), O_RDWR | O_CLOEXEC);
            const char result = set_lock(own, {F_RDLCK, 0, 0}) == 0 ? 'y' : 'n';
            if (write(told.write_end, &result, 1) == 1) pause();
            _exit(1);
        }
        char result = 0;
        EXPECT_EQ(read(told.read_end, &result, 1), 1);
        EXPECT_EQ(result, 'y');
    }
    void TearDown() override {
        if (child <= 0) return;
        kill(child, SIGKILL);
        ending_of(child);
    }

    const LockedFile file{held_ranges};
    RawRing ring{16};
    Pipe told;
    pid_t child = 0;
};

TEST_F(RegisteredRecordLocks, leave_no_descriptor_when_they_go) {
    EXPECT_THAT(register_files(ring, {file.fd, file.fd, file.fd}), Gives(0));
    EXPECT_THAT(unregister_files(ring), Gives(0));
    file.expect_kept("unregistered");
    unlock(file.fd);
    EXPECT_TRUE(comes_down_to_one(file.path));
}

TEST_F(RegisteredRecordLocks, leave_no_descriptor_when_they_go_after_the_last_ring) {
    EXPECT_THAT(register_files(ring, {file.fd}), Gives(0));
    EXPECT_EQ(ring.close(), 0);
    file.expect_kept("closed");
    unlock(file.fd);
    const RawRing another(4);
    EXPECT_TRUE(comes_down_to_one(file.path));
}

TEST_F(RegisteredRecordLocks, need_no_more_descriptors_for_a_file_that_is_registered_again_and_again) {
    for (unsigned round = 0; round < 1000; ++round) register_and_unregister();
    EXPECT_THAT(numbers_of(file.path).size(), Le(2));
    file.expect_kept("unregistered");
}

// Each slot that is emptied is an occasion to look which locks are gone.
TEST_F(RegisteredRecordLocks, that_come_and_go_leave_few_descriptors) {
    EXPECT_THAT(register_sparse(ring, 1), Gives(0));
    for (unsigned round = 0; round < 300; ++round) {
        const Range range = {F_WRLCK, 0, 0};
        EXPECT_THAT(round % 2 == 0 ? set_lock(file.fd, range) : 0, Gives(0));
        EXPECT_THAT(ring.run(sqe::open_direct(file.path.c_str(), O_RDWR, 1)), Gives(0));
        EXPECT_THAT(ring.run(sqe::close_direct(0)), Gives(0));
        unlock(file.fd);
    }
    EXPECT_THAT(numbers_of(file.path).size(), Le(3));
    EXPECT_TRUE(comes_down_to_one(file.path));
}

TEST_F(RegisteredRecordLocks, that_there_are_none_of_cost_no_descriptor) {
    unlock(file.fd);
    for (unsigned round = 0; round < 1000; ++round) {
        register_and_unregister();
        ASSERT_EQ(numbers_of(file.path).size(), 1u) << round;
    }
}

TEST_F(RegisteredRecordLocks, stay_when_rings_of_several_threads_let_go_of_their_file) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i) {
        threads.emplace_back([this] {
            for (unsigned round = 0; round < 50; ++round) {
                RawRing own(4);
                EXPECT_THAT(register_files(own, {file.fd, file.fd}), Gives(0));
                EXPECT_THAT(ring_closes_or_unregisters(own, round), Gives(0));
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    file.expect_kept("after the threads");
    unlock(file.fd);
    EXPECT_TRUE(comes_down_to_one(file.path));
}

// The kernel tells of one lock, and that may be another process's.
TEST_F(RegisteredRecordLocks, stay_behind_those_of_another_process) {
    unlock(file.fd);
    lock_in_another_process();
    register_and_unregister();
    EXPECT_EQ(numbers_of(file.path).size(), 1u) << "with the other's lock alone";
    EXPECT_THAT(set_lock(file.fd, {F_RDLCK, 10, 5}), Gives(0));
    register_and_unregister();
    kill(child, SIGKILL);
    ending_of(child);
    child = 0;
    EXPECT_EQ(another_process_gets(file.path, {{F_WRLCK, 12, 1}}), 0);
    unlock(file.fd);
    EXPECT_TRUE(comes_down_to_one(file.path));
}

TEST_F(RegisteredRecordLocks, go_when_the_program_closes_a_descriptor_of_the_file) {
    register_and_unregister();
    close(open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(another_process_gets(file.path, {{F_WRLCK, 0, 0}}), 1);
    EXPECT_TRUE(comes_down_to_one(file.path));
}

TEST_F(RegisteredRecordLocks, are_not_a_childs) {
    EXPECT_THAT(register_files(ring, {file.fd, file.fd}), Gives(0));
    EXPECT_THAT(update_files(ring, 0, {-1}), Gives(1));
    EXPECT_EQ(ending_of_child([&] { return static_cast<int>(numbers_of(file.path).size()); }), 1);
    file.expect_kept("after the child");
    unlock(file.fd);
    EXPECT_THAT(unregister_files(ring), Gives(0));
    EXPECT_TRUE(comes_down_to_one(file.path));
}

// The number is the program's then, as it would be had it closed all numbers that it does not know.
TEST_F(RegisteredRecordLocks, do_not_take_along_what_the_program_has_put_in_a_descriptors_place) {
    register_and_unregister();
    int number = 0;
    for (const int each : numbers_of(file.path)) number = std::max(number, each);
    if (number == file.fd) number = fcntl(file.fd, F_DUPFD_CLOEXEC, 300);
    const Pipe pipe;
    ASSERT_EQ(dup2(pipe.write_end, number), number);
    EXPECT_THAT(ring.linger(400), testing::IsEmpty());
    EXPECT_EQ(write(number, "x", 1), 1);
    close(number);
}

// --- Locks of open files --------------------------------------------------------------------------------------------

int lock_as_open_file(int fd) {
    struct flock lock = {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : -errno;
}

class RegisteredFileLocks : public testing::Test {
  protected:
    bool another_open_file_locks() const { return flock(other, LOCK_EX | LOCK_NB) == 0; }
    void register_and_unregister() {
        EXPECT_THAT(register_files(ring, {fd}), Gives(0));
        EXPECT_THAT(unregister_files(ring), Gives(0));
    }

    TemporaryDirectory directory;
    const std::string path = directory.add("file", "content");
    Fd fd{open(path.c_str(), O_RDWR | O_CLOEXEC)};
    Fd other{open(path.c_str(), O_RDWR | O_CLOEXEC)};
    RawRing ring{4};
};

TEST_F(RegisteredFileLocks, by_flock_stay_until_the_program_closes_its_file) {
    ASSERT_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
    register_and_unregister();
    EXPECT_FALSE(another_open_file_locks());
    fd.reset();
    EXPECT_TRUE(another_open_file_locks());
}

TEST_F(RegisteredFileLocks, by_flock_go_soon_after_the_program_closes_a_file_with_record_locks) {
    ASSERT_EQ(flock(fd, LOCK_EX | LOCK_NB), 0);
    ASSERT_THAT(set_lock(fd, {F_WRLCK, 0, 0}), Gives(0));
    register_and_unregister();
    EXPECT_FALSE(another_open_file_locks());
    fd.reset();
    EXPECT_TRUE(eventually([&] { return another_open_file_locks(); }, 2000));
}

TEST_F(RegisteredFileLocks, of_the_open_file_stay_until_the_program_closes_it) {
    ASSERT_THAT(lock_as_open_file(fd), Gives(0));
    register_and_unregister();
    EXPECT_THAT(lock_as_open_file(other), Gives(-EAGAIN));
    fd.reset();
    EXPECT_THAT(lock_as_open_file(other), Gives(0));
}

}  // namespace
}  // namespace ringside::test
