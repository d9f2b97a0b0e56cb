// IORING_OP_FSETXATTR, SETXATTR, FGETXATTR, GETXATTR.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

#include "support/files.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;

constexpr const char* name = "user.ringside";

class Xattr : public testing::Test {
  protected:
    std::string value_of(const char* attribute = name) const {
        char value[100];
        const ssize_t length = getxattr(path.c_str(), attribute, value, sizeof(value));
        return length < 0 ? strerror(errno) : std::string(value, static_cast<size_t>(length));
    }

    RawRing ring;
    TemporaryDirectory directory;
    std::string path = directory.add("file");
    Fd file{open(path.c_str(), O_RDWR | O_CLOEXEC)};
    char buffer[64] = {};
};

TEST_F(Xattr, is_set_by_path_and_by_descriptor) {
    EXPECT_THAT(ring.run(sqe::setxattr(path.c_str(), name, "value", 5)), Gives(0));
    EXPECT_EQ(value_of(), "value");
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, name, "other value", 11)), Gives(0));
    EXPECT_EQ(value_of(), "other value");
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, name, nullptr, 0)), Gives(0));
    EXPECT_EQ(value_of(), "");
}

TEST_F(Xattr, is_read_by_path_and_by_descriptor) {
    ASSERT_EQ(setxattr(path.c_str(), name, "value", 5, 0), 0);
    EXPECT_THAT(ring.run(sqe::getxattr(path.c_str(), name, buffer, sizeof(buffer))), Gives(5));
    EXPECT_STREQ(buffer, "value");
    memset(buffer, 0, sizeof(buffer));
    EXPECT_THAT(ring.run(sqe::fgetxattr(file, name, buffer, sizeof(buffer))), Gives(5));
    EXPECT_STREQ(buffer, "value");
    EXPECT_THAT(ring.run(sqe::fgetxattr(file, name, nullptr, 0)), Gives(5));
    EXPECT_THAT(ring.run(sqe::getxattr(path.c_str(), name, buffer, 4)), Gives(-ERANGE));
    EXPECT_THAT(ring.run(sqe::getxattr(path.c_str(), name, buffer, UINT32_MAX)), Gives(5));
}

TEST_F(Xattr, of_a_link_is_that_of_its_target) {
    const std::string link = directory.path_of("link");
    ASSERT_EQ(symlink("file", link.c_str()), 0);
    EXPECT_THAT(ring.run(sqe::setxattr(link.c_str(), name, "value", 5)), Gives(0));
    EXPECT_EQ(value_of(), "value");
    EXPECT_THAT(ring.run(sqe::getxattr(link.c_str(), name, buffer, sizeof(buffer))), Gives(5));
}

TEST_F(Xattr, is_created_or_replaced_as_the_flags_say) {
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, name, "1", 1, XATTR_REPLACE)), Gives(-ENODATA));
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, name, "1", 1, XATTR_CREATE)), Gives(0));
    EXPECT_THAT(ring.run(sqe::setxattr(path.c_str(), name, "2", 1, XATTR_CREATE)), Gives(-EEXIST));
    EXPECT_THAT(ring.run(sqe::setxattr(path.c_str(), name, "2", 1, XATTR_REPLACE)), Gives(0));
    EXPECT_EQ(value_of(), "2");
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, name, "3", 1, 4)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::fgetxattr(file, name, buffer, 1).set(&Sqe::xattr_flags, XATTR_CREATE)), Gives(-EINVAL));
}

TEST_F(Xattr, has_a_name_of_bounded_length) {
    const std::string longest = "user." + std::string(XATTR_NAME_MAX - 5, 'n');
    const std::string too_long = longest + "n";
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, longest.c_str(), "value", 5)), Gives(0));
    EXPECT_EQ(value_of(longest.c_str()), "value");
    EXPECT_THAT(ring.run(sqe::fgetxattr(file, longest.c_str(), buffer, sizeof(buffer))), Gives(5));
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, too_long.c_str(), "value", 5)), Gives(-ERANGE));
    EXPECT_THAT(ring.run(sqe::getxattr(path.c_str(), too_long.c_str(), buffer, 5)), Gives(-ERANGE));
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, "", "value", 5)), Gives(-ERANGE));
    EXPECT_THAT(ring.run(sqe::getxattr(path.c_str(), "", buffer, 5)), Gives(-ERANGE));
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, "no namespace", "value", 5)), Gives(-EOPNOTSUPP));
}

TEST_F(Xattr, has_a_value_of_bounded_length) {
    const std::string value(XATTR_SIZE_MAX + 1, 'v');
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, name, value.data(), XATTR_SIZE_MAX + 1)), Gives(-E2BIG));
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, name, nullptr, UINT32_MAX)), Gives(-E2BIG));
    // How much a file system takes is its own affair; what it says is told.
    const int plain = fsetxattr(file, name, value.data(), XATTR_SIZE_MAX, 0) == 0 ? 0 : -errno;
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, name, value.data(), XATTR_SIZE_MAX)), Gives(plain));
}

TEST_F(Xattr, that_is_not_there_is_told_so) {
    EXPECT_THAT(ring.run(sqe::fgetxattr(file, name, buffer, sizeof(buffer))), Gives(-ENODATA));
    EXPECT_THAT(ring.run(sqe::getxattr(path.c_str(), name, buffer, sizeof(buffer))), Gives(-ENODATA));
    EXPECT_THAT(ring.run(sqe::getxattr("/nowhere", name, buffer, sizeof(buffer))), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::setxattr("/nowhere", name, "v", 1)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::fsetxattr(-1, name, "v", 1)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::fgetxattr(1'000'000, name, buffer, 1)), Gives(-EBADF));
    const Fd path_only(open(path.c_str(), O_PATH | O_CLOEXEC));
    EXPECT_THAT(ring.run(sqe::fsetxattr(path_only, name, "v", 1)), Gives(-EBADF));
}

TEST_F(Xattr, at_bad_addresses_is_efault) {
    const ForbiddenPage page;
    const auto* forbidden = static_cast<const char*>(page.address());
    ASSERT_EQ(setxattr(path.c_str(), name, "value", 5, 0), 0);
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, forbidden, "v", 1)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, name, forbidden, 1)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::fsetxattr(file, name, page.brink(4), 5)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::setxattr(forbidden, name, "v", 1)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::getxattr(forbidden, name, buffer, 1)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::getxattr(path.c_str(), nullptr, buffer, 1)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::fgetxattr(file, name, page.address(), 5)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::fgetxattr(file, name, page.brink(4), 5)), Gives(-EFAULT));
}

TEST_F(Xattr, faults_are_found_in_order) {
    const char* nowhere = nullptr;
    constexpr uint32_t too_big = XATTR_SIZE_MAX + 1, unknown = 8;
    EXPECT_THAT(ring.run(sqe::setxattr(nowhere, nowhere, nullptr, too_big, unknown).flag(IOSQE_FIXED_FILE)),
                Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::setxattr(nowhere, nowhere, nullptr, too_big, unknown)), Gives(-EINVAL));
    EXPECT_THAT(ring.run(sqe::setxattr(nowhere, "", nullptr, too_big)), Gives(-ERANGE));
    EXPECT_THAT(ring.run(sqe::setxattr(nowhere, name, nullptr, too_big)), Gives(-E2BIG));
    EXPECT_THAT(ring.run(sqe::setxattr("", name, nullptr, 1)), Gives(-EFAULT));
    EXPECT_THAT(ring.run(sqe::setxattr("", name, "v", 1)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::getxattr(nowhere, "", buffer, 1)), Gives(-ERANGE));
    EXPECT_THAT(ring.run(sqe::getxattr("", name, buffer, 1)), Gives(-ENOENT));
    EXPECT_THAT(ring.run(sqe::getxattr("", name, buffer, 1).flag(IOSQE_FIXED_FILE)), Gives(-EBADF));
    EXPECT_THAT(ring.run(sqe::fsetxattr(-1, "", "v", 1)), Gives(-ERANGE));
}

TEST_F(Xattr, that_is_not_there_ends_no_chain) {
    EXPECT_THAT(ring.submit(sqe::fgetxattr(file, name, buffer, 1).data(1).flag(IOSQE_IO_LINK),
                            sqe::setxattr("/nowhere", name, "v", 1).data(2).flag(IOSQE_IO_LINK), sqe::nop().data(3)),
                Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, -ENODATA), Completes(2, -ENOENT), Completes(3, 0)));
}

TEST_F(Xattr, of_a_fixed_file_is_set_and_read) {
    int files[] = {file.get()};
    ASSERT_THAT(ring.register_call(IORING_REGISTER_FILES, files, 1), Gives(0));
    EXPECT_THAT(ring.run(sqe::fsetxattr(0, name, "value", 5).flag(IOSQE_FIXED_FILE)), Gives(0));
    EXPECT_EQ(value_of(), "value");
    EXPECT_THAT(ring.run(sqe::fgetxattr(0, name, buffer, sizeof(buffer)).flag(IOSQE_FIXED_FILE)), Gives(5));
    EXPECT_THAT(ring.run(sqe::fgetxattr(1, name, buffer, 5).flag(IOSQE_FIXED_FILE)), Gives(-EBADF));
}

TEST_F(Xattr, is_the_one_that_was_submitted) {
    std::string changing_path = path, changing_name = name, value = "value";
    const Pipe pipe;
    char byte;
    ring.push(sqe::read(pipe.read_end, &byte, 1).data(1).flag(IOSQE_IO_LINK));
    ring.push(sqe::setxattr(changing_path.c_str(), changing_name.c_str(), value.data(), 5).data(2).flag(IOSQE_ASYNC));
    EXPECT_THAT(ring.submit_pushed(2), Gives(2));
    changing_path.assign(path.size(), 'x');
    changing_name.assign(changing_name.size(), 'x');
    value = "xxxxx";
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, 1), Completes(2, 0)));
    EXPECT_EQ(value_of(), "value");
}

}  // namespace
}  // namespace ringside::test
