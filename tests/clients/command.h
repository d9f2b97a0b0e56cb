// Runs a command as a user would, in a process of its own, and keeps what it said and how it ended.
#pragma once

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

namespace ringside::test {

struct Outcome {
    int status;  // the exit status, or 128 and the signal that ended it
    std::string output;
    std::string errors;
};
std::ostream& operator<<(std::ostream& out, const Outcome& outcome);

struct Command {
    std::vector<std::string> words;
    // Set for the command; an empty value removes the variable.
    std::vector<std::pair<std::string, std::string>> environment = {};
    std::string input = {};
    // Run as nobody, for whom privileges mean something.
    bool unprivileged = false;

    Outcome run() const;
};

// Programs of this build.
std::string built(const std::string& name);

// A command where the kernel refuses io_uring in the way that is named ("EPERM", "KILL").
std::vector<std::string> refused(const std::string& way, std::vector<std::string> words);

// A command behind `ringside run`.
std::vector<std::string> served(const std::string& provider, std::vector<std::string> words);

}  // namespace ringside::test
