// What a benchmark does with an error: a wrong answer has no speed.
#pragma once

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace bench {

// Takes an errno, or what the kernel makes of it.
[[noreturn]] inline void die(const char* what, int error) {
    fprintf(stderr, "bench: %s: %s\n", what, strerror(error < 0 ? -error : error));
    exit(1);
}

// The result of a system call by libc, which must have succeeded.
inline int must(const char* what, long result) {
    if (result < 0) die(what, errno);
    return static_cast<int>(result);
}

}  // namespace bench
