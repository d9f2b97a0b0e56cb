// A subcommand of the tool is one file that declares one `const Command`, with a function that adds the subcommand
// and its callback to the tool. The file registers itself by being linked; main.cc names no subcommand.
//
// Exit statuses are the same everywhere: 0 for done, `failed` when the work failed or the answer is no, `usage` for a
// command line that makes no sense. `ringside run` adds those of env(1), since its own status is the program's.
#pragma once

#include <CLI/CLI.hpp>
#include <vector>

namespace ringside::cli {

constexpr int failed = 1;
constexpr int usage = 2;
constexpr int not_served = 125;
constexpr int not_executable = 126;
constexpr int not_found = 127;

// Adds a subcommand to the tool; CLI11 calls its callback when the command line names it.
using AddCommand = void (*)(CLI::App& tool);

inline std::vector<AddCommand>& registered_commands() {
    static std::vector<AddCommand> commands;
    return commands;
}

struct Command {
    explicit Command(AddCommand add) { registered_commands().push_back(add); }
};

// Ends a callback with a status of its own. A callback that returns means 0.
[[noreturn]] inline void finish(int status) { throw CLI::RuntimeError(status); }

}  // namespace ringside::cli
