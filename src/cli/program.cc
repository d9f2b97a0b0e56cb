#include "cli/program.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/format.h>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

namespace ringside::cli {
namespace {

using Kind = Verdict::Kind;

#if defined(__x86_64__)
constexpr Elf64_Half own_machine = EM_X86_64;
#elif defined(__aarch64__)
constexpr Elf64_Half own_machine = EM_AARCH64;
#endif

// The kernel follows this many scripts that are each other's interpreters.
constexpr int longest_script_chain = 5;

bool is_executable_file(const std::string& path) {
    struct stat status = {};
    return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && access(path.c_str(), X_OK) == 0;
}

// The path at which execvp() finds the command, or empty.
std::string look_up(const std::string& command) {
    if (command.find('/') != std::string::npos) return command;
    const char* variable = getenv("PATH");
    std::istringstream directories(variable != nullptr ? variable : "/bin:/usr/bin");
    for (std::string directory; std::getline(directories, directory, ':');) {
        std::string path = (directory.empty() ? "." : directory) + "/" + command;
        if (is_executable_file(path)) return path;
    }
    return {};
}

std::string beginning_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text(256, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<size_t>(file.gcount()));
    return text;
}

// The path behind #!, or nothing if the file is no script.
std::optional<std::string> script_interpreter(const std::string& beginning) {
    if (!beginning.starts_with("#!")) return std::nullopt;
    std::istringstream line(beginning.substr(2, beginning.find('\n') - 2));
    std::string interpreter;
    line >> interpreter;
    return interpreter;
}

// An execution that changes the user, the group or the capabilities makes the loader ignore LD_PRELOAD.
std::string privilege_gained_by(const std::string& path) {
    struct stat status = {};
    if (stat(path.c_str(), &status) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) return {};
    if ((status.st_mode & S_ISUID) != 0 && status.st_uid != geteuid()) return "is setuid";
    const bool setgid = (status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
    if (setgid && status.st_gid != getegid()) return "is setgid";
    if (getuid() != 0 && getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) return "has file capabilities";
    return {};
}

struct Elf {
    Elf64_Ehdr header;
    std::string loader;
};

// Returns nothing if the file is no ELF file. In the header of a 32-bit file only the fields up to `e_machine` are
// valid.
std::optional<Elf> read_elf(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    Elf elf = {};
    if (!file.read(reinterpret_cast<char*>(&elf.header), sizeof elf.header)) return std::nullopt;
    if (memcmp(elf.header.e_ident, ELFMAG, SELFMAG) != 0) return std::nullopt;
    if (elf.header.e_ident[EI_CLASS] != ELFCLASS64) return elf;
    for (unsigned i = 0; i < elf.header.e_phnum; ++i) {
        Elf64_Phdr segment = {};
        file.seekg(static_cast<std::streamoff>(elf.header.e_phoff + i * sizeof segment));
        if (!file.read(reinterpret_cast<char*>(&segment), sizeof segment)) break;
        if (segment.p_type != PT_INTERP || segment.p_filesz == 0 || segment.p_filesz > PATH_MAX) continue;
        elf.loader.resize(segment.p_filesz);
        file.seekg(static_cast<std::streamoff>(segment.p_offset));
        file.read(elf.loader.data(), static_cast<std::streamsize>(elf.loader.size()));
        elf.loader.resize(strnlen(elf.loader.c_str(), elf.loader.size()));
        break;
    }
    return elf;
}

std::string file_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

// Why this ELF file will not load the library; empty if it will.
std::string why_out_of_reach(const Elf& elf) {
    if (elf.header.e_ident[EI_CLASS] != ELFCLASS64) return "is a 32-bit program, and the library is 64-bit";
    if (elf.header.e_machine != own_machine) return "is made for another processor";
    if (elf.loader.empty()) return "is statically linked, so that no library can be preloaded";
    // Another libc's loader (musl's) would not find what the library needs.
    const std::string own_loader = file_name(loader_of("/proc/self/exe"));
    if (own_loader.empty() || own_loader == file_name(elf.loader)) return {};
    return fmt::format("is loaded by {}, another libc's loader than {}, for which the library was built", elf.loader,
                       own_loader);
}

Verdict judge_file(const std::string& path, int scripts_left) {
    if (access(path.c_str(), F_OK) != 0) return {Kind::missing, "does not exist"};
    if (!is_executable_file(path)) return {Kind::inexecutable, "is no executable file"};
    if (const auto interpreter = script_interpreter(beginning_of(path))) {
        if (scripts_left == 0) return {Kind::inexecutable, "is a script whose interpreters are scripts without end"};
        Verdict verdict = judge_file(*interpreter, scripts_left - 1);
        if (verdict.kind != Kind::reachable)
            verdict.why = fmt::format("is a script of {}, which {}", *interpreter, verdict.why);
        return verdict;
    }
    if (const std::string gain = privilege_gained_by(path); !gain.empty()) {
        return {Kind::out_of_reach, gain + ", so that the loader ignores LD_PRELOAD"};
    }
    // A file that is neither ELF nor a script is run by the shell, which can be served.
    const auto elf = read_elf(path);
    const std::string why = elf ? why_out_of_reach(*elf) : std::string();
    return why.empty() ? Verdict{} : Verdict{Kind::out_of_reach, why};
}

}  // namespace

std::string loader_of(const std::string& path) {
    const auto elf = read_elf(path);
    return elf ? elf->loader : std::string();
}

Verdict judge_program(const std::string& command) {
    const std::string path = look_up(command);
    if (path.empty()) return {Kind::missing, "is not found in PATH"};
    return judge_file(path, longest_script_chain);
}

}  // namespace ringside::cli
