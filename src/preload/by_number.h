// System calls that a program makes through libc's syscall(). The functions that are interposed by name are
// interposed by number too.
#pragma once

#include "preload/serve.h"

namespace ringside::preload {

// Answers a call by number as libc's syscall() does, with -1 and errno.
using AnswerByNumber = long (*)(const Call& call);

// The function that answers calls with this number, or null if the kernel answers all of them.
AnswerByNumber answer_by_number(long number);

// Hands the call on to libc's syscall().
long pass(const Call& call);

}  // namespace ringside::preload
