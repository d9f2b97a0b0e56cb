#include "clients/command.h"

#include <grp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ostream>

#include "clients/child.h"
#include "support/files.h"

namespace ringside::test {
namespace {

constexpr unsigned nobody = 65534;

void set_variable(const std::string& name, const std::string& value) {
    value.empty() ? unsetenv(name.c_str()) : setenv(name.c_str(), value.c_str(), 1);
}

void become_nobody() {
    if (setgroups(0, nullptr) != 0 || setgid(nobody) != 0 || setuid(nobody) != 0) _exit(99);
}

}  // namespace

Outcome Command::run() const {
    const Fd given(memfd_create("input", MFD_CLOEXEC));
    const Fd errors(memfd_create("errors", MFD_CLOEXEC));
    if (pwrite(given, input.data(), input.size(), 0) != static_cast<ssize_t>(input.size())) return {-1, {}, "no input"};
    const Ended ended = test::run(words, [&] {
        dup2(given, STDIN_FILENO);
        dup2(errors, STDERR_FILENO);
        for (const auto& [name, value] : environment) set_variable(name, value);
        if (unprivileged) become_nobody();
    });
    return {ended.signal != 0 ? 128 + ended.signal : ended.status, ended.output, content_of(errors)};
}

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
    return out << "status " << outcome.status << "\noutput: " << outcome.output << "\nerrors: " << outcome.errors;
}

std::string built(const std::string& name) { return RINGSIDE_BIN "/" + name; }

std::vector<std::string> refused(const std::string& way, std::vector<std::string> words) {
    words.insert(words.begin(), {built("refuse-io-uring"), "--errno=" + way, "--"});
    return words;
}

std::vector<std::string> served(const std::string& provider, std::vector<std::string> words) {
    words.insert(words.begin(), {built("ringside"), "run", "--provider=" + provider, "--"});
    return words;
}

}  // namespace ringside::test
