// System calls that a program makes through libc's syscall(): what is interposed by name is the same by number.
#pragma once

#include "preload/serve.h"

namespace ringside::preload {

// Answers a call by number as libc's syscall() does, with -1 and errno.
using AnswerByNumber = long (*)(const Call& call);

// What answers the calls with this number, or null where the kernel answers them all.
AnswerByNumber answer_by_number(long number);

// Hands the call on to libc's syscall().
long pass(const Call& call);

}  // namespace ringside::preload
