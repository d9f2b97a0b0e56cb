// A seccomp filter that refuses io_uring, as container runtimes install one: only the three io_uring system calls are
// touched, all others stay allowed.
#pragma once

#include <optional>
#include <string_view>

namespace ringside::test {

// How the filter answers one of the three calls.
struct Refusal {
    enum class Way { error, kill, trap };
    Way way = Way::error;
    int error = 0;  // the errno, where `way` is error
};

// Docker's default profile answers EPERM.
Refusal default_refusal();

// The refusal with this name (EPERM, ENOSYS, EACCES, ... or KILL, TRAP), or nothing.
std::optional<Refusal> refusal_named(std::string_view name);

// Installs the filter for this process and whatever it starts. It cannot be taken away again. Returns 0 or -errno.
int refuse_io_uring(Refusal refusal);

}  // namespace ringside::test
