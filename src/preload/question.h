// How a process finds out whether a filter of ringside's is in force in it: it calls close(-1) with a mark in the
// second argument. The filter answers with an errno that no kernel has; the kernel itself answers EBADF.
#pragma once

#include <stdint.h>

#include "abi/syscall.h"

namespace ringside::preload {

struct Question {
    uint32_t mark;
    uint32_t answer;
};

constexpr Question about_filter = {0x52494e48, 3601};

inline bool filter_answers(const Question& question) {
    return abi::syscall(__NR_close, -1, question.mark) == -static_cast<long>(question.answer);
}

}  // namespace ringside::preload
