// IORING_REGISTER_PERSONALITY: requests made with credentials that were registered before.
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "register/fixed_files.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

int register_personality(RawRing& ring) { return ring.register_call(IORING_REGISTER_PERSONALITY, nullptr, 0); }

int unregister_personality(RawRing& ring, int id) {
    return ring.register_call(IORING_UNREGISTER_PERSONALITY, nullptr, static_cast<unsigned>(id));
}

TEST(Personality, numbers_count_up_and_are_not_used_again_soon) {
    RawRing ring;
    EXPECT_THAT(register_personality(ring), Gives(1));
    EXPECT_THAT(register_personality(ring), Gives(2));
    EXPECT_THAT(unregister_personality(ring, 1), Gives(0));
    EXPECT_THAT(register_personality(ring), Gives(3));
    EXPECT_THAT(unregister_personality(ring, 1), Gives(-EINVAL));
    EXPECT_THAT(unregister_personality(ring, 0), Gives(-EINVAL));
    EXPECT_THAT(unregister_personality(ring, 65536 + 2), Gives(-EINVAL));
    EXPECT_THAT(unregister_personality(ring, 2), Gives(0));
    EXPECT_THAT(unregister_personality(ring, 2), Gives(-EINVAL));
}

TEST(Personality, that_is_not_registered_fails_the_request) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::nop().set(&Sqe::personality, 1)), Gives(-EINVAL));
    EXPECT_THAT(register_personality(ring), Gives(1));
    EXPECT_THAT(ring.run(sqe::nop().set(&Sqe::personality, 1)), Gives(0));
    EXPECT_THAT(ring.run(sqe::nop().set(&Sqe::personality, 2)), Gives(-EINVAL));
    EXPECT_THAT(unregister_personality(ring, 1), Gives(0));
    EXPECT_THAT(ring.run(sqe::nop().set(&Sqe::personality, 1)), Gives(-EINVAL));
}

TEST(Personality, is_not_for_requests_that_give_the_program_a_descriptor) {
    RawRing ring;
    const Fd file = file_with("a");
    EXPECT_THAT(register_files(ring, {file}), Gives(0));
    EXPECT_THAT(register_personality(ring), Gives(1));
    EXPECT_THAT(ring.run(sqe::fixed_fd_install(0).set(&Sqe::personality, 1)), Gives(-EPERM));
    EXPECT_THAT(ring.run(sqe::fixed_fd_install(0).set(&Sqe::personality, 2)), Gives(-EINVAL));
}

TEST(Personality, may_go_while_a_request_is_made_with_it) {
    RawRing ring;
    const Pipe pipe;
    char byte = 0;
    EXPECT_THAT(register_personality(ring), Gives(1));
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1).set(&Sqe::personality, 1)), Gives(1));
    EXPECT_THAT(unregister_personality(ring, 1), Gives(0));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(1, 1)));
}

// --- As root, who may become others: in a process of its own, since what is changed there cannot all be undone.
// -------

constexpr unsigned somebody = 12345;

// Whether a child in which the test's expectations hold ends well.
bool holds_in_child(const std::function<void()>& body) {
    return ending_of_child([&] {
               body();
               return testing::Test::HasFailure() ? 1 : 0;
           }) == 0;
}

// A directory with a file that only its owner, root, may read, and room in which anybody may make files.
struct Secrets {
    Secrets() {
        chmod(directory.path().c_str(), 0777);
        secret = directory.add("secret", "content");
        chmod(secret.c_str(), 0600);
    }
    TemporaryDirectory directory;
    std::string secret;
};

// The calling thread takes on another identity for files, and what comes with it: root's right to pass over
// permissions.
void become(unsigned id) {
    syscall(SYS_setfsgid, id);
    syscall(SYS_setfsuid, id);
}

void give_up_every_capability() {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
    EXPECT_EQ(syscall(SYS_capset, &header, none), 0);
}

Sqe open_as(int personality, const std::string& path, uint32_t flags, uint32_t mode = 0) {
    return sqe::openat(AT_FDCWD, path.c_str(), flags, mode).set(&Sqe::personality, personality);
}

#define SKIP_UNLESS_ROOT() \
    if (geteuid() != 0) GTEST_SKIP() << "only root can become somebody else"

TEST(PersonalityOfRoot, opens_what_the_caller_may_not) {
    SKIP_UNLESS_ROOT();
    const Secrets secrets;
    EXPECT_TRUE(holds_in_child([&] {
        RawRing ring;
        EXPECT_THAT(register_personality(ring), Gives(1));
        become(somebody);
        EXPECT_THAT(ring.run(sqe::openat(AT_FDCWD, secrets.secret.c_str(), O_RDONLY)), Gives(-EACCES));
        const Fd file(ring.run(open_as(1, secrets.secret, O_RDONLY)).res);
        EXPECT_GE(file.get(), 0);
        // The caller is who it was.
        EXPECT_EQ(open(secrets.secret.c_str(), O_RDONLY | O_CLOEXEC), -1);
        EXPECT_EQ(syscall(SYS_setfsuid, -1), somebody);
    }));
}

// --- Without a personality: a request is its submitter's, whoever makes its call ------------------------------------

TEST(Submitter, that_became_somebody_else_may_not_do_what_root_may) {
    SKIP_UNLESS_ROOT();
    const Secrets secrets;
    const TemporaryDirectory closed;
    const std::string hidden = closed.add("hidden");
    EXPECT_TRUE(holds_in_child([&] {
        RawRing ring;
        const Sqe open = sqe::openat(AT_FDCWD, secrets.secret.c_str(), O_RDONLY | O_CLOEXEC);
        const Sqe open_in_chain = Sqe(open).data(2);
        // A worker that was root's before is not root for somebody else, nor the other way round.
        for (const unsigned id : {0U, somebody, 0U, somebody}) {
            become(id);
            const bool allowed = id == 0;
            const Cqe by_worker = ring.run(Sqe(open).flag(IOSQE_ASYNC));
            EXPECT_EQ(by_worker.res >= 0, allowed) << by_worker;
            ASSERT_THAT(ring.submit(sqe::nop().data(1).flag(IOSQE_ASYNC | IOSQE_IO_LINK), open_in_chain), Gives(2));
            const std::vector<Cqe> completions = ring.wait(2);
            ASSERT_EQ(completions.size(), 2u);
            EXPECT_EQ(completions[1].res >= 0, allowed) << completions[1];
            for (const int fd : {by_worker.res, completions[1].res}) Fd(fd).reset();
            // What only a worker ever does.
            struct statx status;
            const Sqe look = sqe::statx(AT_FDCWD, hidden.c_str(), 0, STATX_SIZE, &status);
            EXPECT_THAT(ring.run(look), Gives(allowed ? 0 : -EACCES));
        }
    }));
}

TEST(PersonalityOfSomebodyElse, may_not_open_what_the_caller_may) {
    SKIP_UNLESS_ROOT();
    const Secrets secrets;
    EXPECT_TRUE(holds_in_child([&] {
        RawRing ring;
        become(somebody);
        EXPECT_THAT(register_personality(ring), Gives(1));
        become(0);
        for (const unsigned flag : {0U, unsigned{IOSQE_ASYNC}}) {
            EXPECT_THAT(ring.run(open_as(1, secrets.secret, O_RDONLY).flag(flag)), Gives(-EACCES));
            const Fd file(ring.run(sqe::openat(AT_FDCWD, secrets.secret.c_str(), O_RDONLY).flag(flag)).res);
            EXPECT_GE(file.get(), 0);
        }
    }));
}

TEST(PersonalityOfSomebodyElse, owns_what_it_makes) {
    SKIP_UNLESS_ROOT();
    const Secrets secrets;
    EXPECT_TRUE(holds_in_child([&] {
        RawRing ring;
        become(somebody);
        EXPECT_THAT(register_personality(ring), Gives(1));
        become(0);
        for (const unsigned flag : {0U, unsigned{IOSQE_ASYNC}}) {
            const std::string path = secrets.directory.path_of("new" + std::to_string(flag));
            const Fd file(ring.run(open_as(1, path, O_CREAT | O_EXCL | O_RDWR, 0600).flag(flag)).res);
            ASSERT_GE(file.get(), 0);
            struct stat status;
            ASSERT_EQ(fstat(file, &status), 0);
            EXPECT_EQ(status.st_uid, somebody);
            EXPECT_EQ(status.st_gid, somebody);
        }
    }));
}

TEST(PersonalityOfRoot, is_out_of_reach_for_a_thread_that_gave_up_root_for_good) {
    // The kernel has kept the credentials themselves; the engine can only take on what the thread may still become.
    SKIP_UNLESS_ROOT();
    const Secrets secrets;
    EXPECT_TRUE(holds_in_child([&] {
        RawRing ring;
        EXPECT_THAT(register_personality(ring), Gives(1));
        EXPECT_EQ(setresgid(somebody, somebody, somebody), 0);
        EXPECT_EQ(setresuid(somebody, somebody, somebody), 0);
        EXPECT_THAT(ring.run(sqe::openat(AT_FDCWD, secrets.secret.c_str(), O_RDONLY)), Gives(-EACCES));
        const Fd file(ring.run(open_as(1, secrets.secret, O_RDONLY)).res);
        if (provider_under_test() == provider::Kind::kernel) {
            EXPECT_GE(file.get(), 0);
        } else {
            EXPECT_EQ(file.get(), -EPERM);
        }
    }));
}

TEST(PersonalityOfRoot, is_not_taken_on_by_a_thread_that_could_not_come_back) {
    // The engine did take it on. Its way back was refused, and the thread went on as root.
    SKIP_UNLESS_ROOT();
    const Secrets secrets;
    EXPECT_TRUE(holds_in_child([&] {
        RawRing ring;
        EXPECT_THAT(register_personality(ring), Gives(1));
        become(somebody);
        give_up_every_capability();
        for (const unsigned flag : {0U, unsigned{IOSQE_ASYNC}}) {
            const Fd file(ring.run(open_as(1, secrets.secret, O_RDONLY).flag(flag)).res);
            if (provider_under_test() == provider::Kind::kernel) {
                EXPECT_GE(file.get(), 0);
            } else {
                EXPECT_EQ(file.get(), -EPERM);
            }
            EXPECT_EQ(syscall(SYS_setfsuid, -1), somebody);
            const Sqe open = sqe::openat(AT_FDCWD, secrets.secret.c_str(), O_RDONLY).flag(flag);
            EXPECT_THAT(ring.run(open), Gives(-EACCES));
        }
    }));
}

TEST(PersonalityOfSomebodyElse, has_its_groups) {
    SKIP_UNLESS_ROOT();
    const Secrets secrets;
    constexpr gid_t group = 54321;
    const std::string path = secrets.directory.add("shared", "content");
    ASSERT_EQ(chown(path.c_str(), 0, group), 0);
    ASSERT_EQ(chmod(path.c_str(), 0040), 0);
    EXPECT_TRUE(holds_in_child([&] {
        RawRing ring;
        become(somebody);
        EXPECT_THAT(register_personality(ring), Gives(1));
        become(0);
        EXPECT_EQ(setgroups(1, &group), 0);
        become(somebody);
        EXPECT_THAT(register_personality(ring), Gives(2));
        become(0);
        EXPECT_EQ(setgroups(0, nullptr), 0);
        EXPECT_THAT(ring.run(open_as(1, path, O_RDONLY)), Gives(-EACCES));
        const Fd file(ring.run(open_as(2, path, O_RDONLY)).res);
        EXPECT_GE(file.get(), 0);
    }));
}

}  // namespace
}  // namespace ringside::test
