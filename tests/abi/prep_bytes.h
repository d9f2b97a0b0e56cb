// Runs every io_uring_prep_... helper of whichever liburing.h the including file has included before, on a zeroed SQE.
#pragma once

#include <string.h>
#include <sys/epoll.h>

#include "abi/prep_table.h"

template <typename T>
static T* at(uintptr_t address) {
    return reinterpret_cast<T*>(address);
}

static PreparedSqes prepare_all() {
    PreparedSqes prepared;
    const auto keep = [&](const char* name, const io_uring_sqe& sqe) {
        memcpy(prepared[name].data(), &sqe, sizeof(sqe));
    };
#define PREP(helper, ...)                                        \
    {                                                            \
        io_uring_sqe sqe = {};                                   \
        io_uring_prep_##helper(&sqe __VA_OPT__(, ) __VA_ARGS__); \
        keep(#helper "(" #__VA_ARGS__ ")", sqe);                 \
    }
#include "abi/prep_calls.inc"
#undef PREP
    return prepared;
}
