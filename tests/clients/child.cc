#include "clients/child.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ostream>
#include <system_error>
#include <utility>

namespace ringside::test {
namespace {

constexpr unsigned limit_seconds = 60;
constexpr int cannot_run = 127;

[[noreturn]] void become(const std::vector<std::string>& command, int output, const std::function<void()>& prepare) {
    std::vector<char*> arguments;
    for (const auto& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
    arguments.push_back(nullptr);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    alarm(limit_seconds);
    if (prepare) prepare();
    execvp(arguments[0], arguments.data());
    perror(arguments[0]);
    _exit(cannot_run);
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Ended& ended) {
    return out << "exit status " << ended.status << ", signal " << ended.signal << ", output:\n" << ended.output;
}

// A file takes any amount of output, so that the program never waits for the test to read it.
Child::Child(const std::vector<std::string>& command, const std::function<void()>& prepare)
    : output_(memfd_create("output", MFD_CLOEXEC)), pid_(fork()) {
    if (pid_ < 0) throw std::system_error(errno, std::system_category(), "fork");
    if (pid_ == 0) become(command, output_, prepare);
}

Child::~Child() {
    if (pid_ <= 0) return;
    send(SIGKILL);
    waitpid(pid_, nullptr, 0);
}

void Child::send(int signal) const {
    if (pid_ > 0) kill(pid_, signal);
}

Ended Child::wait() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 0, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
            content_of(output_)};
}

Ended run(const std::vector<std::string>& command, const std::function<void()>& prepare) {
    return Child(command, prepare).wait();
}

}  // namespace ringside::test
