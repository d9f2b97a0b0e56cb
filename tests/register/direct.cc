// Direct descriptors: operations that open into a slot, close a slot, and move files between slots and the program.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "register/fixed_files.h"
#include "support/process.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned allocate = IORING_FILE_INDEX_ALLOC;

TEST(OpenDirect, opens_into_the_slot_named) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.add("file", "a");
    EXPECT_THAT(register_sparse(ring, 2), Gives(0));
    const size_t before = count_fds();
    EXPECT_THAT(ring.run(sqe::open_direct(path.c_str(), O_RDONLY, 2)), Gives(0));
    EXPECT_EQ(first_byte(ring, 1), 'a');
    EXPECT_EQ(first_byte(ring, 0), -EBADF);
    EXPECT_LE(count_fds(), before + 1);
}

TEST(OpenDirect, in_a_worker_opens_into_the_slot_named) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.add("file", "a");
    EXPECT_THAT(register_sparse(ring, 2), Gives(0));
    EXPECT_THAT(ring.run(sqe::open_direct(path.c_str(), O_RDONLY, 2).flag(IOSQE_ASYNC)), Gives(0));
    EXPECT_EQ(first_byte(ring, 1), 'a');
    EXPECT_THAT(ring.run(sqe::open_direct(path.c_str(), O_RDONLY, allocate).flag(IOSQE_ASYNC)), Gives(0));
    EXPECT_EQ(first_byte(ring, 0), 'a');
    EXPECT_THAT(ring.run(sqe::open_direct(path.c_str(), O_RDONLY, allocate).flag(IOSQE_ASYNC)), Gives(-ENFILE));
}

TEST(OpenDirect, replaces_what_is_in_the_slot) {
    RawRing ring;
    Pipe pipe;
    EXPECT_THAT(register_files(ring, {pipe.write_end}), Gives(0));
    pipe.write_end.reset();
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, 1)), Gives(0));
    EXPECT_EQ(first_byte(ring, 0), 0);
    EXPECT_TRUE(is_hung_up(pipe));
}

TEST(OpenDirect, tells_what_is_wrong_with_the_slot) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, 1)), Gives(-ENXIO));
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, allocate)), Gives(-ENFILE));
    EXPECT_THAT(register_sparse(ring, 1), Gives(0));
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, 2)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY | O_CLOEXEC, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::open_direct("/nowhere", O_RDONLY, 2)), Gives(-ENOENT)) << "the path comes first";
    const size_t before = count_fds();
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, 2)), Gives(-EINVAL));
    EXPECT_EQ(count_fds(), before);
    EXPECT_EQ(first_byte(ring, 0), -EBADF);
}

TEST(OpenDirect, of_a_path_only_file_is_allowed) {
    RawRing ring;
    EXPECT_THAT(register_sparse(ring, 1), Gives(0));
    EXPECT_THAT(ring.run(sqe::open_direct("/tmp", O_PATH, 1)), Gives(0));
    EXPECT_EQ(first_byte(ring, 0), -EBADF);
    EXPECT_THAT(ring.run(sqe::close_direct(0)), Gives(0));
}

TEST(OpenDirect, followed_by_a_read_in_one_chain) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.add("file", "content");
    EXPECT_THAT(register_sparse(ring, 1), Gives(0));
    char bytes[8] = {};
    EXPECT_THAT(
        ring.submit(sqe::open_direct(path.c_str(), O_RDONLY, 1).data(1).flag(IOSQE_IO_LINK),
                    sqe::fixed(sqe::read(0, bytes, 7)).data(2).flag(IOSQE_IO_LINK), sqe::close_direct(0).data(3)),
        Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, 0), Completes(2, 7), Completes(3, 0)));
    EXPECT_STREQ(bytes, "content");
}

TEST(CloseDirect, empties_the_slot) {
    RawRing ring;
    Pipe pipe;
    EXPECT_THAT(register_files(ring, {pipe.write_end}), Gives(0));
    pipe.write_end.reset();
    EXPECT_THAT(ring.run(sqe::close_direct(0)), Gives(0));
    EXPECT_TRUE(is_hung_up(pipe));
    EXPECT_THAT(ring.run(sqe::close_direct(0)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::close_direct(1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(Sqe(IORING_OP_CLOSE, 0).set(&Sqe::file_index, allocate)), Gives(-EINVAL));
    EXPECT_THAT(unregister_files(ring), Gives(0));
    EXPECT_THAT(ring.run(sqe::close_direct(0)), Gives(-ENXIO));
}

TEST(CloseDirect, leaves_requests_on_the_file_alone_and_tells_its_tag_after_them) {
    RawRing ring;
    const Pipe pipe;
    char byte = 0;
    EXPECT_THAT(register_tagged(ring, {pipe.read_end}, {10}), Gives(0));
    EXPECT_THAT(ring.submit(sqe::fixed(sqe::read(0, &byte, 1)).data(1), sqe::close_direct(0).data(2)), Gives(2));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 0)));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(10, 0)));
}

int open_anywhere(RawRing& ring) { return ring.run(sqe::open_direct("/dev/zero", O_RDONLY, allocate)).res; }

TEST(Allocation, takes_the_next_empty_slot_and_begins_again_at_the_end) {
    RawRing ring;
    EXPECT_THAT(register_sparse(ring, 3), Gives(0));
    EXPECT_EQ(open_anywhere(ring), 0);
    EXPECT_EQ(open_anywhere(ring), 1);
    EXPECT_EQ(open_anywhere(ring), 2);
    EXPECT_EQ(open_anywhere(ring), -ENFILE);
    EXPECT_THAT(ring.run(sqe::close_direct(1)), Gives(0));
    EXPECT_THAT(ring.run(sqe::close_direct(0)), Gives(0));
    EXPECT_EQ(open_anywhere(ring), 0);
    EXPECT_EQ(open_anywhere(ring), 1);
    EXPECT_EQ(open_anywhere(ring), -ENFILE);
}

TEST(Allocation, begins_behind_the_slot_that_was_filled_last) {
    RawRing ring;
    EXPECT_THAT(register_sparse(ring, 8), Gives(0));
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, 4)), Gives(0));
    EXPECT_EQ(open_anywhere(ring), 4);
    const Fd file = file_with("a");
    EXPECT_THAT(update_files(ring, 6, {file}), Gives(1));
    EXPECT_EQ(open_anywhere(ring), 7);
    EXPECT_EQ(open_anywhere(ring), 0);
}

TEST(Allocation, begins_at_the_front_when_the_last_slot_was_filled) {
    RawRing ring;
    EXPECT_THAT(register_sparse(ring, 8), Gives(0));
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, 3)), Gives(0));
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, 8)), Gives(0));
    EXPECT_EQ(open_anywhere(ring), 0);
}

TEST(Allocation, begins_at_the_front_of_a_table_that_came_with_files) {
    RawRing ring;
    const Fd file = file_with("a");
    EXPECT_THAT(register_files(ring, {-1, file, -1}), Gives(0));
    EXPECT_EQ(open_anywhere(ring), 0);
    EXPECT_EQ(open_anywhere(ring), 2);
}

TEST(Allocation, keeps_to_its_range) {
    RawRing ring;
    EXPECT_THAT(register_sparse(ring, 8), Gives(0));
    EXPECT_THAT(set_allocation_range(ring, 3, 2), Gives(0));
    EXPECT_EQ(open_anywhere(ring), 3);
    EXPECT_EQ(open_anywhere(ring), 4);
    EXPECT_EQ(open_anywhere(ring), -ENFILE);
    // Slots beyond it can still be named.
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, 8)), Gives(0));
    EXPECT_THAT(ring.run(sqe::close_direct(3)), Gives(0));
    EXPECT_EQ(open_anywhere(ring), 3);
}

TEST(Allocation, keeps_to_its_range_wherever_a_slot_is_emptied) {
    RawRing ring;
    EXPECT_THAT(register_sparse(ring, 8), Gives(0));
    for (const unsigned slot : {0U, 6U}) {
        EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, slot + 1)), Gives(0));
    }
    EXPECT_THAT(set_allocation_range(ring, 2, 2), Gives(0));
    EXPECT_EQ(open_anywhere(ring), 2);
    EXPECT_THAT(ring.run(sqe::close_direct(0)), Gives(0));
    EXPECT_EQ(open_anywhere(ring), 3);
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, 1)), Gives(0));
    EXPECT_THAT(ring.run(sqe::close_direct(0)), Gives(0));
    EXPECT_EQ(open_anywhere(ring), -ENFILE);
    EXPECT_THAT(ring.run(sqe::close_direct(6)), Gives(0));
    EXPECT_EQ(open_anywhere(ring), -ENFILE);
}

TEST(Allocation, begins_at_the_front_when_a_slot_beyond_the_range_was_touched) {
    RawRing ring;
    EXPECT_THAT(register_sparse(ring, 8), Gives(0));
    EXPECT_THAT(set_allocation_range(ring, 2, 4), Gives(0));
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, 5)), Gives(0));
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, 1)), Gives(0));
    EXPECT_THAT(ring.run(sqe::open_direct("/dev/zero", O_RDONLY, 8)), Gives(0));
    EXPECT_THAT(ring.run(sqe::close_direct(7)), Gives(0));
    EXPECT_EQ(open_anywhere(ring), 2);
    EXPECT_EQ(open_anywhere(ring), 3);
    EXPECT_EQ(open_anywhere(ring), 5);
    EXPECT_EQ(open_anywhere(ring), -ENFILE);
}

TEST(Allocation, takes_the_slot_that_was_emptied_last) {
    RawRing ring;
    EXPECT_THAT(register_sparse(ring, 8), Gives(0));
    for (int slot = 0; slot < 8; ++slot) EXPECT_EQ(open_anywhere(ring), slot);
    for (const unsigned slot : {2U, 6U, 4U}) EXPECT_THAT(ring.run(sqe::close_direct(slot)), Gives(0));
    EXPECT_EQ(open_anywhere(ring), 4);
    EXPECT_EQ(open_anywhere(ring), 6);
    EXPECT_EQ(open_anywhere(ring), 2);
}

TEST(Allocation, range_is_checked) {
    RawRing ring;
    EXPECT_THAT(set_allocation_range(ring, 0, 1), Gives(-EINVAL));
    EXPECT_THAT(set_allocation_range(ring, 0, 0), Gives(0));
    EXPECT_THAT(register_sparse(ring, 4), Gives(0));
    EXPECT_THAT(set_allocation_range(ring, 0, 5), Gives(-EINVAL));
    EXPECT_THAT(set_allocation_range(ring, 4, 0), Gives(0));
    EXPECT_EQ(open_anywhere(ring), -ENFILE);
    EXPECT_THAT(set_allocation_range(ring, ~0U, 2), Gives(-EOVERFLOW));
    EXPECT_THAT(set_allocation_range(ring, 0, 4), Gives(0));
    io_uring_file_index_range range = {};
    range.resv = 1;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILE_ALLOC_RANGE, &range, 0), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILE_ALLOC_RANGE, nullptr, 0), Gives(-EINVAL));
    range.resv = 0;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILE_ALLOC_RANGE, &range, 1), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILE_ALLOC_RANGE, ForbiddenPage().address(), 0), Gives(-EFAULT));
}

TEST(FilesUpdateRequest, replaces_slots) {
    RawRing ring;
    const Fd a = file_with("a"), b = file_with("b");
    EXPECT_THAT(register_files(ring, {a, a, a}), Gives(0));
    int fds[] = {b, IORING_REGISTER_FILES_SKIP, -1};
    EXPECT_THAT(ring.run(sqe::files_update(fds, 3, 0)), Gives(3));
    EXPECT_EQ(first_byte(ring, 0), 'b');
    EXPECT_EQ(first_byte(ring, 1), 'a');
    EXPECT_EQ(first_byte(ring, 2), -EBADF);
    int bad[] = {b, 1'000'000};
    EXPECT_THAT(ring.run(sqe::files_update(bad, 2, 1)), Gives(1));
    EXPECT_THAT(ring.run(sqe::files_update(bad + 1, 1, 0)), Gives(-EBADF));
}

TEST(FilesUpdateRequest, puts_files_into_empty_slots_and_tells_which) {
    RawRing ring;
    const Fd a = file_with("a"), b = file_with("b"), c = file_with("c");
    EXPECT_THAT(register_files(ring, {a, -1, -1}), Gives(0));
    int fds[] = {b, c, b};
    EXPECT_THAT(ring.run(sqe::files_update(fds, 2, allocate)), Gives(2));
    EXPECT_EQ(fds[0], 1);
    EXPECT_EQ(fds[1], 2);
    EXPECT_EQ(first_byte(ring, 2), 'c');
    fds[0] = a;
    EXPECT_THAT(ring.run(sqe::files_update(fds, 1, allocate)), Gives(-ENFILE));
    EXPECT_EQ(fds[0], a.get());
    EXPECT_THAT(ring.run(sqe::close_direct(1)), Gives(0));
    fds[0] = fds[1] = b;
    EXPECT_THAT(ring.run(sqe::files_update(fds, 2, allocate)), Gives(1));
    EXPECT_EQ(fds[0], 1);
    EXPECT_EQ(fds[1], b.get());
}

TEST(FilesUpdateRequest, tells_each_error) {
    RawRing ring;
    const Fd file = file_with("a");
    int fds[] = {file};
    EXPECT_THAT(ring.run(sqe::files_update(fds, 1, 0)), Gives(-ENXIO));
    EXPECT_THAT(ring.run(sqe::files_update(fds, 1, allocate)), Gives(-ENXIO));
    EXPECT_THAT(register_sparse(ring, 2), Gives(0));
    EXPECT_THAT(ring.run(sqe::files_update(fds, 0, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::files_update(fds, 1, 2)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::files_update(fds, 3, allocate - 1)), Gives(-EOVERFLOW));
    EXPECT_THAT(ring.run(sqe::fixed(sqe::files_update(fds, 1, 0))), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::files_update(fds, 1, 0).set(&Sqe::rw_flags, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::files_update(fds, 1, 0).set(&Sqe::splice_fd_in, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::files_update(fds, 1, 0).set(&Sqe::ioprio, 1)), Gives(-EINVAL));
    const ForbiddenPage page;
    EXPECT_THAT(ring.run(sqe::files_update(static_cast<int*>(page.address()), 1, 0)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::files_update(static_cast<int*>(page.address()), 1, allocate)), Gives(-EFAULT));
    int bad[] = {1'000'000};
    EXPECT_THAT(ring.run(sqe::files_update(bad, 1, allocate)), Gives(-EBADF));
    int ring_itself[] = {ring.fd()};
    EXPECT_THAT(ring.run(sqe::files_update(ring_itself, 1, allocate)), Gives(-EBADF));
}

TEST(FixedFdInstall, gives_the_program_a_descriptor_of_its_own) {
    RawRing ring;
    Fd file = file_with("a");
    EXPECT_THAT(register_files(ring, {file}), Gives(0));
    const int lowest = file.get();
    file.reset();
    const Fd installed(ring.run(sqe::fixed_fd_install(0)).res);
    EXPECT_EQ(installed.get(), lowest);
    EXPECT_EQ(fcntl(installed, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(content_of(installed.get()), "a");
    const Fd inherited(ring.run(sqe::fixed_fd_install(0, IORING_FIXED_FD_NO_CLOEXEC)).res);
    EXPECT_EQ(fcntl(inherited, F_GETFD), 0);
    EXPECT_THAT(ring.run(sqe::close_direct(0)), Gives(0));
    EXPECT_EQ(content_of(installed.get()), "a");
}

TEST(FixedFdInstall, tells_each_error) {
    RawRing ring;
    const Fd file = file_with("a");
    EXPECT_THAT(ring.run(sqe::fixed_fd_install(0)), Gives(-EBADF));
    EXPECT_THAT(register_files(ring, {file, -1}), Gives(0));
    EXPECT_THAT(ring.run(sqe::fixed_fd_install(1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::fixed_fd_install(2)), Gives(-EBADF));
    EXPECT_THAT(ring.run(Sqe(IORING_OP_FIXED_FD_INSTALL, file)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::fixed_fd_install(0, 2)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fixed_fd_install(0).set(&Sqe::off, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fixed_fd_install(0).set(&Sqe::addr, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fixed_fd_install(0).set(&Sqe::len, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fixed_fd_install(0).set(&Sqe::buf_index, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fixed_fd_install(0).set(&Sqe::splice_fd_in, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fixed_fd_install(0).set(&Sqe::addr3, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fixed_fd_install(0).set(&Sqe::ioprio, 1)), Gives(-EINVAL));
}

}  // namespace
}  // namespace ringside::test
