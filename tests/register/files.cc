// IORING_REGISTER_FILES, its updates and its end: which file a slot stands for, and for how long.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <thread>

#include "register/fixed_files.h"
#include "support/eventually.h"
#include "support/process.h"

namespace ringside::test {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

TEST(Files, stand_for_the_descriptors_registered) {
    RawRing ring;
    const Fd a = file_with("a"), b = file_with("b");
    EXPECT_THAT(register_files(ring, {a, b}), Gives(0));
    EXPECT_EQ(first_byte(ring, 0), 'a');
    EXPECT_EQ(first_byte(ring, 1), 'b');
    EXPECT_EQ(first_byte(ring, 2), -EBADF);
    EXPECT_THAT(ring.run(sqe::fixed(sqe::read(-1, nullptr, 0))), Gives(-EBADF));
}

TEST(Files, outlive_the_programs_own_descriptors) {
    RawRing ring;
    Fd file = file_with("a");
    EXPECT_THAT(register_files(ring, {file}), Gives(0));
    file.reset();
    EXPECT_EQ(first_byte(ring, 0), 'a');
}

TEST(Files, share_their_position_with_the_descriptor) {
    RawRing ring;
    const Fd file = file_with("ab");
    char byte = 0;
    EXPECT_THAT(register_files(ring, {file}), Gives(0));
    EXPECT_EQ(read(file, &byte, 1), 1);
    EXPECT_THAT(ring.run(sqe::fixed(sqe::read(0, &byte, 1, sqe::file_position))), Gives(1));
    EXPECT_EQ(byte, 'b');
}

TEST(Files, are_invisible_to_the_program) {
    RawRing ring;
    const Fd file = file_with("a");
    Fd lowest(dup(0));
    const int number = lowest.get();
    lowest.reset();
    EXPECT_THAT(register_files(ring, {file, file, file}), Gives(0));
    const Fd after(dup(0));
    EXPECT_EQ(after.get(), number);
}

TEST(Files, take_empty_slots) {
    RawRing ring;
    const Fd file = file_with("a");
    EXPECT_THAT(register_files(ring, {-1, file, -1}), Gives(0));
    EXPECT_EQ(first_byte(ring, 0), -EBADF);
    EXPECT_EQ(first_byte(ring, 1), 'a');
    EXPECT_EQ(first_byte(ring, 2), -EBADF);
}

TEST(Files, tell_each_error_of_a_registration) {
    RawRing ring;
    const Fd file = file_with("a");
    const Fd path(open("/tmp", O_PATH | O_CLOEXEC));
    int fds[2] = {file, file};
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES, nullptr, 1), Gives(-EFAULT));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES, fds, 0), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES, ForbiddenPage().address(), 1), Gives(-EFAULT));
    EXPECT_THAT(register_files(ring, {file, 1'000'000}), Gives(-EBADF));
    EXPECT_THAT(register_files(ring, {file, -3}), Gives(-EBADF));
    EXPECT_THAT(register_files(ring, {file, IORING_REGISTER_FILES_SKIP}), Gives(-EBADF));
    EXPECT_THAT(register_files(ring, {file, path}), Gives(-EBADF));
    EXPECT_THAT(register_files(ring, {file, ring.fd()}), Gives(-EBADF));
    const RawRing other;
    EXPECT_THAT(register_files(ring, {file, other.fd()}), Gives(-EBADF));
    // Nothing is left of any of them.
    EXPECT_EQ(first_byte(ring, 0), -EBADF);
    EXPECT_THAT(register_files(ring, {file}), Gives(0));
    EXPECT_THAT(register_files(ring, {file}), Gives(-EBUSY));
    EXPECT_THAT(register_sparse(ring, 1), Gives(-EBUSY));
}

TEST(Files, are_at_most_as_many_as_descriptors_are_allowed) {
    RawRing ring;
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit lower = before;
    lower.rlim_cur = 512;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
    EXPECT_THAT(register_sparse(ring, 513), Gives(-EMFILE));
    EXPECT_THAT(register_sparse(ring, 512), Gives(0));
    EXPECT_THAT(unregister_files(ring), Gives(0));
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_THAT(register_sparse(ring, (1U << 20) + 1), Gives(-EMFILE));
}

TEST(Files, of_the_engine_count_as_descriptors) {
    // The kernel's are no descriptors, so they can be registered when there are none left.
    RawRing ring;
    const Fd file = file_with("a");
    EXPECT_THAT(register_sparse(ring, 1), Gives(0));
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit exhausted = before;
    exhausted.rlim_cur = static_cast<rlim_t>(Fd(dup(0)).get());
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &exhausted), 0);
    const bool by_kernel = provider_under_test() == provider::Kind::kernel;
    EXPECT_THAT(update_files(ring, 0, {file}), Gives(by_kernel ? 1 : -EMFILE));
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_THAT(update_files(ring, 0, {file}), Gives(1));
    EXPECT_EQ(first_byte(ring, 0), 'a');
}

TEST(Files, are_held_though_the_limit_of_descriptors_was_lowered) {
    RawRing ring;
    const Fd file = file_with("a");
    EXPECT_THAT(register_files(ring, {file}), Gives(0));
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit lower = before;
    lower.rlim_cur = 256;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
    EXPECT_THAT(update_files(ring, 0, {file}), Gives(1));
    EXPECT_EQ(first_byte(ring, 0), 'a');
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

// With so few descriptors the engine's own are among the program's. Once there was no way back: where it had put them
// then, in the way of what open(2) returns, it put them ever after.
TEST(Files, are_out_of_the_way_when_the_limit_of_descriptors_is_raised_again) {
    RawRing ring;
    const Fd file = file_with("a");
    const int number = Fd(dup(0)).get();
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit lower = before;
    lower.rlim_cur = static_cast<rlim_t>(number) + 2;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
    EXPECT_THAT(register_files(ring, {file}), Gives(0));
    EXPECT_THAT(unregister_files(ring), Gives(0));
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_THAT(register_files(ring, {file, file, file}), Gives(0));
    const Fd lowest(dup(0));
    EXPECT_EQ(lowest.get(), number);
}

TEST(Files, vanish_with_their_table) {
    RawRing ring;
    const Fd file = file_with("a");
    EXPECT_THAT(unregister_files(ring), Gives(-ENXIO));
    EXPECT_THAT(register_files(ring, {file}), Gives(0));
    EXPECT_THAT(ring.register_call(IORING_UNREGISTER_FILES, nullptr, 1), Gives(-EINVAL));
    EXPECT_THAT(unregister_files(ring), Gives(0));
    EXPECT_EQ(first_byte(ring, 0), -EBADF);
    EXPECT_THAT(unregister_files(ring), Gives(-ENXIO));
    EXPECT_THAT(register_files(ring, {file}), Gives(0));
    EXPECT_EQ(first_byte(ring, 0), 'a');
}

TEST(Files, are_closed_when_their_table_goes) {
    RawRing ring;
    Pipe pipe;
    EXPECT_THAT(register_files(ring, {pipe.write_end}), Gives(0));
    pipe.write_end.reset();
    EXPECT_THAT(unregister_files(ring), Gives(0));
    EXPECT_TRUE(is_hung_up(pipe));
}

TEST(Files, are_closed_when_the_ring_is) {
    Pipe pipe;
    const size_t before = count_fds();
    {
        RawRing ring;
        EXPECT_THAT(register_files(ring, {pipe.write_end, pipe.write_end}), Gives(0));
    }
    EXPECT_EQ(count_fds(), before);
    pipe.write_end.reset();
    EXPECT_TRUE(is_hung_up(pipe));
}

TEST(Files, stay_with_a_request_that_waits_when_the_table_goes) {
    RawRing ring;
    Pipe pipe;
    char byte = 0;
    EXPECT_THAT(register_files(ring, {pipe.read_end}), Gives(0));
    EXPECT_THAT(ring.submit(sqe::fixed(sqe::read(0, &byte, 1)).data(1)), Gives(1));
    EXPECT_THAT(unregister_files(ring), Gives(0));
    pipe.read_end.reset();
    EXPECT_EQ(first_byte(ring, 0), -EBADF);
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    EXPECT_EQ(byte, 'x');
    // The last holder let go: nobody reads from the pipe any more.
    pollfd writer = {pipe.write_end, POLLOUT, 0};
    EXPECT_TRUE(eventually([&] { return poll(&writer, 1, 0) == 1 && (writer.revents & POLLERR); }));
}

TEST(Files, stay_with_a_request_in_a_worker_when_the_table_goes) {
    RawRing ring;
    Ends ends = unix_pair(SOCK_STREAM);
    char bytes[2] = {};
    EXPECT_THAT(register_files(ring, {ends.far}), Gives(0));
    const Sqe receive = sqe::transfer(IORING_OP_RECV, 0, bytes, 2, 0).set(&Sqe::msg_flags, MSG_WAITALL);
    EXPECT_EQ(write(ends.near, "x", 1), 1);
    EXPECT_THAT(ring.submit(sqe::fixed(receive).data(1).flag(IOSQE_ASYNC)), Gives(1));
    // The worker is at it once it has taken the first byte; before that it has not even looked for the file.
    ASSERT_TRUE(eventually([&] { return bytes_to_read(ends.far) == 0; }));
    EXPECT_THAT(unregister_files(ring), Gives(0));
    ends.far.reset();
    EXPECT_EQ(write(ends.near, "y", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 2)));
    EXPECT_EQ(std::string(bytes, 2), "xy");
}

TEST(Files, are_looked_up_when_the_request_is_issued) {
    // The second of the chain finds what the first has put there.
    RawRing ring;
    const Fd a = file_with("a"), b = file_with("b");
    EXPECT_THAT(register_files(ring, {a}), Gives(0));
    char byte = 0;
    int fds[] = {b};
    EXPECT_THAT(ring.submit(sqe::files_update(fds, 1, 0).data(1).flag(IOSQE_IO_LINK),
                            sqe::fixed(sqe::read(0, &byte, 1)).data(2)),
                Gives(2));
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(2, 1)));
    EXPECT_EQ(byte, 'b');
}

TEST(Files, can_be_polled_and_their_requests_cancelled) {
    RawRing ring;
    Pipe pipe;
    EXPECT_THAT(register_files(ring, {pipe.read_end, pipe.write_end}), Gives(0));
    EXPECT_THAT(ring.run(sqe::fixed(sqe::poll_add(1, POLLOUT))), Gives(POLLOUT));
    EXPECT_THAT(ring.submit(sqe::fixed(sqe::poll_add(0, POLLIN)).data(1)), Gives(1));
    EXPECT_THAT(ring.run(sqe::cancel_fd(1, IORING_ASYNC_CANCEL_FD_FIXED).data(2)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::cancel_fd(2, IORING_ASYNC_CANCEL_FD_FIXED).data(2)), Gives(-EBADF));
    EXPECT_THAT(ring.submit(sqe::cancel_fd(0, IORING_ASYNC_CANCEL_FD_FIXED).data(2)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(2, 0)));
    // By the program's own descriptor too: it is the same file.
    EXPECT_THAT(ring.submit(sqe::fixed(sqe::poll_add(0, POLLIN)).data(3)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::cancel_fd(pipe.read_end).data(4)), Gives(1));
    EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(3, -ECANCELED), Completes(4, 0)));
}

TEST(Files, hear_of_readiness_again_and_again) {
    // The same slot number over several files that wait: none is mistaken for another.
    RawRing ring;
    EXPECT_THAT(register_sparse(ring, 1), Gives(0));
    for (uint64_t round = 1; round <= 20; ++round) {
        Pipe pipe;
        char byte = 0;
        EXPECT_THAT(update_files(ring, 0, {pipe.read_end}), Gives(1));
        EXPECT_THAT(ring.submit(sqe::fixed(sqe::read(0, &byte, 1)).data(round)), Gives(1));
        EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(round, 1)));
    }
}

TEST(FilesUpdate, replaces_empties_and_skips) {
    RawRing ring;
    const Fd a = file_with("a"), b = file_with("b"), c = file_with("c");
    EXPECT_THAT(register_files(ring, {a, a, a, -1}), Gives(0));
    EXPECT_THAT(update_files(ring, 0, {b, IORING_REGISTER_FILES_SKIP, -1, c}), Gives(4));
    EXPECT_EQ(first_byte(ring, 0), 'b');
    EXPECT_EQ(first_byte(ring, 1), 'a');
    EXPECT_EQ(first_byte(ring, 2), -EBADF);
    EXPECT_EQ(first_byte(ring, 3), 'c');
}

TEST(FilesUpdate, closes_what_it_replaces) {
    RawRing ring;
    Pipe pipe;
    const Fd file = file_with("a");
    EXPECT_THAT(register_files(ring, {pipe.write_end}), Gives(0));
    pipe.write_end.reset();
    EXPECT_THAT(update_files(ring, 0, {file}), Gives(1));
    EXPECT_TRUE(is_hung_up(pipe));
}

TEST(FilesUpdate, tells_each_error) {
    RawRing ring;
    const Fd file = file_with("a");
    EXPECT_THAT(update_files(ring, 0, {file}), Gives(-ENXIO));
    EXPECT_THAT(register_sparse(ring, 4), Gives(0));
    EXPECT_THAT(update_files(ring, 4, {file}), Gives(-EINVAL));
    EXPECT_THAT(update_files(ring, 3, {file, file}), Gives(-EINVAL));
    EXPECT_THAT(update_files(ring, UINT_MAX, {file, file}), Gives(-EOVERFLOW));
    EXPECT_THAT(update_files(ring, 0, {-3}), Gives(-EBADF));
    EXPECT_THAT(update_files(ring, 0, {1'000'000}), Gives(-EBADF));
    EXPECT_THAT(update_files(ring, 0, {ring.fd()}), Gives(-EBADF));
    EXPECT_THAT(update_files(ring, 0, {}), Gives(-EINVAL));
    io_uring_files_update update = {};
    int fd = file;
    update.fds = address_of(&fd);
    update.resv = 1;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES_UPDATE, &update, 1), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES_UPDATE, nullptr, 1), Gives(-EFAULT));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES_UPDATE, nullptr, 0), Gives(-EINVAL));
    update.resv = 0;
    const ForbiddenPage page;
    update.fds = address_of(page.address());
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES_UPDATE, &update, 1), Gives(-EFAULT));
    update.fds = address_of(page.brink(sizeof(int)));
    memcpy(page.brink(sizeof(int)), &fd, sizeof(fd));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES_UPDATE, &update, 2), Gives(1));
    EXPECT_EQ(first_byte(ring, 0), 'a');
}

TEST(FilesUpdate, goes_as_far_as_it_gets) {
    RawRing ring;
    const Fd a = file_with("a"), b = file_with("b");
    EXPECT_THAT(register_files(ring, {a, a, a}), Gives(0));
    EXPECT_THAT(update_files(ring, 0, {b, 1'000'000, b}), Gives(1));
    EXPECT_EQ(first_byte(ring, 0), 'b');
    // What was to be replaced is gone although nothing came in its place.
    EXPECT_EQ(first_byte(ring, 1), -EBADF);
    EXPECT_EQ(first_byte(ring, 2), 'a');
}

TEST(FilesUpdate, under_requests_in_flight_leaves_them_their_file) {
    RawRing ring(64);
    constexpr unsigned rounds = 32;
    EXPECT_THAT(register_sparse(ring, 1), Gives(0));
    std::vector<Pipe> pipes(rounds);
    std::vector<char> bytes(rounds);
    for (unsigned round = 0; round < rounds; ++round) {
        EXPECT_THAT(update_files(ring, 0, {pipes[round].read_end}), Gives(1));
        EXPECT_THAT(ring.submit(sqe::fixed(sqe::read(0, &bytes[round], 1)).data(round)), Gives(1));
        pipes[round].read_end.reset();
    }
    EXPECT_THAT(unregister_files(ring), Gives(0));
    for (unsigned round = rounds; round-- > 0;) {
        const char byte = static_cast<char>('A' + round);
        EXPECT_EQ(write(pipes[round].write_end, &byte, 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(round, 1)));
        EXPECT_EQ(bytes[round], byte);
    }
}

TEST(FilesUpdate, by_another_thread_under_load_never_shows_a_slot_in_between) {
    RawRing ring(32);
    const Fd a = file_with("a"), b = file_with("b");
    EXPECT_THAT(register_files(ring, {a}), Gives(0));
    std::atomic<bool> stop{false};
    std::thread updater([&] {
        for (unsigned round = 0; !stop; ++round) EXPECT_THAT(update_files(ring, 0, {round % 2 == 0 ? b : a}), Gives(1));
    });
    for (int round = 0; round < 200; ++round) {
        char bytes[32] = {};
        for (char& byte : bytes) ring.push(sqe::fixed(sqe::read(0, &byte, 1)));
        EXPECT_THAT(ring.submit_pushed(32), Gives(32));
        EXPECT_THAT(ring.wait(32), AllOf(SizeIs(32), Each(Gives(1))));
        for (const char byte : bytes) EXPECT_TRUE(byte == 'a' || byte == 'b');
    }
    stop = true;
    updater.join();
}

TEST(Files2, refuses_what_it_does_not_know) {
    RawRing ring;
    int fd = 0;
    io_uring_rsrc_register good = {};
    good.nr = 1;
    good.data = address_of(&fd);
    const auto answer = [&](auto spoil) {
        io_uring_rsrc_register table = good;
        spoil(table);
        return ring.register_call(IORING_REGISTER_FILES2, &table, sizeof(table));
    };
    EXPECT_THAT(answer([](auto& table) { table.nr = 0; }), Gives(-EINVAL));
    EXPECT_THAT(answer([](auto& table) { table.resv2 = 1; }), Gives(-EINVAL));
    EXPECT_THAT(answer([](auto& table) { table.flags = 2; }), Gives(-EINVAL));
    EXPECT_THAT(answer([](auto& table) { table.flags = IORING_RSRC_REGISTER_SPARSE; }), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES2, &good, sizeof(good) - 1), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES2, &good, sizeof(good) + 1), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES2, nullptr, sizeof(good)), Gives(-EFAULT));
    EXPECT_THAT(answer([](auto& table) { table.data = 0; }), Gives(0));
    EXPECT_EQ(first_byte(ring, 0), -EBADF) << "no array of descriptors means empty slots";
}

TEST(FilesUpdate2, refuses_what_it_does_not_know) {
    RawRing ring;
    EXPECT_THAT(register_sparse(ring, 1), Gives(0));
    int fd = 0;
    io_uring_rsrc_update2 good = {};
    good.nr = 1;
    good.data = address_of(&fd);
    const auto answer = [&](auto spoil) {
        io_uring_rsrc_update2 update = good;
        spoil(update);
        return ring.register_call(IORING_REGISTER_FILES_UPDATE2, &update, sizeof(update));
    };
    EXPECT_THAT(answer([](auto& update) { update.nr = 0; }), Gives(-EINVAL));
    EXPECT_THAT(answer([](auto& update) { update.resv = 1; }), Gives(-EINVAL));
    EXPECT_THAT(answer([](auto& update) { update.resv2 = 1; }), Gives(-EINVAL));
    EXPECT_THAT(answer([](auto& update) { update.offset = 1; }), Gives(-EINVAL));
    EXPECT_THAT(answer([](auto& update) { update.tags = 1; }), Gives(-EFAULT));
    EXPECT_THAT(answer([](auto& update) { update.data = 0; }), Gives(-EFAULT)) << "is no way to empty slots";
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES_UPDATE2, &good, sizeof(good) - 1), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES_UPDATE2, nullptr, sizeof(good)), Gives(-EFAULT));
    EXPECT_THAT(answer([](auto&) {}), Gives(1));
}

TEST(Tags, complete_when_their_file_is_replaced_or_removed) {
    RawRing ring;
    const Fd file = file_with("a");
    EXPECT_THAT(register_tagged(ring, {file, file, file, -1}, {10, 11, 0, 0}), Gives(0));
    EXPECT_EQ(ring.ready(), 0u);
    EXPECT_THAT(update_tagged(ring, 0, {file}, {20}), Gives(1));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(10, 0)));
    EXPECT_THAT(update_files(ring, 1, {-1, -1}), Gives(2));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(11, 0)));
    EXPECT_THAT(unregister_files(ring), Gives(0));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(20, 0)));
}

TEST(Tags, of_a_table_complete_from_the_last_to_the_first) {
    RawRing ring;
    const Fd file = file_with("a");
    EXPECT_THAT(register_tagged(ring, {file, file, -1, file}, {10, 11, 0, 13}), Gives(0));
    EXPECT_THAT(unregister_files(ring), Gives(0));
    EXPECT_THAT(ring.reap(), ElementsAre(Completes(13, 0), Completes(11, 0), Completes(10, 0)));
}

TEST(Tags, wait_for_the_last_request_on_the_file) {
    RawRing ring;
    const Pipe pipe;
    char bytes[2];
    EXPECT_THAT(register_tagged(ring, {pipe.read_end}, {10}), Gives(0));
    EXPECT_THAT(
        ring.submit(sqe::fixed(sqe::read(0, &bytes[0], 1)).data(1), sqe::fixed(sqe::read(0, &bytes[1], 1)).data(2)),
        Gives(2));
    EXPECT_THAT(unregister_files(ring), Gives(0));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), SizeIs(1));
    EXPECT_THAT(ring.linger(5), IsEmpty());
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    const std::vector<Cqe> last = ring.wait(2);
    ASSERT_THAT(last, SizeIs(2));
    EXPECT_EQ(last[1], (Cqe{10, 0, 0}));
}

TEST(Tags, are_refused_where_there_is_no_file) {
    RawRing ring;
    const Fd file = file_with("a");
    EXPECT_THAT(register_tagged(ring, {file, -1}, {10, 11}), Gives(-EINVAL));
    EXPECT_EQ(ring.ready(), 0u) << "a registration that failed tells of no tag";
    EXPECT_THAT(register_tagged(ring, {file}, {10}), Gives(0));
    EXPECT_THAT(update_tagged(ring, 0, {-1}, {12}), Gives(-EINVAL));
    EXPECT_THAT(update_tagged(ring, 0, {IORING_REGISTER_FILES_SKIP}, {12}), Gives(-EINVAL));
    EXPECT_EQ(first_byte(ring, 0), 'a');
}

TEST(Tags, complete_on_a_ring_that_completes_only_in_its_own_calls) {
    RawRing ring(8, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    const Fd file = file_with("a");
    EXPECT_THAT(register_tagged(ring, {file}, {10}), Gives(0));
    EXPECT_THAT(unregister_files(ring), Gives(0));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(10, 0)));
}

}  // namespace
}  // namespace ringside::test
