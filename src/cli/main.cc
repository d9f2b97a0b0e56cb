// The ringside command: reads the command line and leaves the work to its subcommands (see command.h).
#include <fmt/format.h>
#include <exception>

#include "cli/command.h"

namespace {

using namespace ringside;

// CLI11 numbers its errors from 100; to a shell, all of them are one status: the command line was wrong.
int status_of(const CLI::App& tool, const CLI::ParseError& error) {
    const int status = tool.exit(error);
    const bool from_callback = dynamic_cast<const CLI::RuntimeError*>(&error) != nullptr;
    return from_callback || status == 0 ? status : cli::usage;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App tool{"io_uring for programs: the kernel's, or ringside's own where the kernel refuses.", "ringside"};
    tool.set_version_flag("--version", "ringside " RINGSIDE_VERSION);
    tool.require_subcommand(1);
    for (const cli::AddCommand add : cli::registered_commands()) add(tool);
    try {
        tool.parse(argc, argv);
        return 0;
    } catch (const CLI::ParseError& error) {
        return status_of(tool, error);
    } catch (const std::exception& error) {
        fmt::print(stderr, "ringside: {}\n", error.what());
        return cli::failed;
    }
}
