// Asks this machine's kernel for each of the three io_uring system calls, each in a child process of its own: a
// policy that kills then ends the child, and the caller can report it.
#pragma once

#include <stdint.h>

#include <string>

namespace ringside::cli {

// The outcome of one system call.
struct Answer {
    enum class Kind : uint8_t {
        not_asked,
        allowed,  // the call was carried out
        refused,  // with an errno
        killed,   // the process was, with a signal
        silent,   // it did not return in time
    };
    Kind kind = Kind::not_asked;
    int number = 0;  // the errno or the signal

    bool allowed() const { return kind == Kind::allowed; }
    bool refused_with(int error) const { return kind == Kind::refused && number == error; }
};

struct KernelAnswers {
    Answer setup;
    Answer enter;
    Answer register_call;

    // Whether a program could make and use a ring.
    bool usable() const { return setup.allowed() && enter.allowed() && register_call.allowed(); }
    // Whether one of the calls kills the process that makes it.
    bool deadly() const;
};

KernelAnswers ask_kernel();

// "EPERM" or "SIGSYS"; empty for the other kinds.
std::string name_of_number(const Answer& answer);

// Only the member `setup` of KernelAnswers: it suffices to find out whether the call kills the process.
Answer ask_kernel_for_setup();

}  // namespace ringside::cli
