// refuse-io-uring, the command: what it runs, how it answers, and that all but io_uring goes on as before.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "support/process.h"

namespace ringside::test {
namespace {

constexpr const char* tool = RINGSIDE_BIN "/refuse-io-uring";

// How the tool ends with these arguments; what it prints is not shown.
int ending_with(std::initializer_list<const char*> arguments) {
    return ending_of_child([&] {
        std::vector<char*> line = {const_cast<char*>(tool)};
        for (const char* argument : arguments) line.push_back(const_cast<char*>(argument));
        line.push_back(nullptr);
        const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        execv(tool, line.data());
        return 127;
    });
}

TEST(RefuseIoUring, gives_back_the_status_of_the_command) {
    EXPECT_EQ(ending_with({"--", "true"}), 0);
    EXPECT_EQ(ending_with({"--", "sh", "-c", "exit 42"}), 42);
    EXPECT_EQ(ending_with({"--errno=ENOSYS", "--", "sh", "-c", "kill -TERM $$"}), -SIGTERM);
}

TEST(RefuseIoUring, leaves_other_system_calls_alone) {
    EXPECT_EQ(ending_with({"--errno=KILL", "--", "sh", "-c", "echo text | grep -q text && test -d /tmp"}), 0);
}

TEST(RefuseIoUring, tells_of_arguments_that_make_no_sense) {
    EXPECT_EQ(ending_with({}), 2);
    EXPECT_EQ(ending_with({"--"}), 2);
    EXPECT_EQ(ending_with({"true"}), 2);
    EXPECT_EQ(ending_with({"--errno=EPERM"}), 2);
    EXPECT_EQ(ending_with({"--errno=NONSENSE", "--", "true"}), 2);
}

TEST(RefuseIoUring, tells_of_a_command_that_cannot_be_run) { EXPECT_EQ(ending_with({"--", "/no/such/command"}), 126); }

}  // namespace
}  // namespace ringside::test
