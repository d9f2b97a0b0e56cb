// Looks at a program before it is started: can a preloaded library reach it?
#pragma once

#include <string>

namespace ringside::cli {

struct Verdict {
    enum class Kind {
        reachable,
        missing,
        inexecutable,
        out_of_reach,  // it would start, but without the library
    };
    Kind kind = Kind::reachable;
    std::string why;  // for all but `reachable`: a clause about the program
};

// `command` as execvp(3) takes it: a path, or a name to look up in PATH. A script is judged by its interpreter.
Verdict judge_program(const std::string& command);

// The program interpreter (dynamic loader) that an ELF file names; empty where it names none or is no ELF file.
std::string loader_of(const std::string& path);

}  // namespace ringside::cli
