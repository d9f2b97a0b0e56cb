// The fields of an entry, each with a way to put something there that no operation expects.
#pragma once

#include <string_view>

#include "support/sqe.h"

namespace ringside::test {

struct Field {
    std::string_view name;
    void (*spoil)(Sqe&);
};

// Spoiling the flags sets their highest bit, which no operation knows.
inline constexpr Field fields[] = {
    {"ioprio", [](Sqe& sqe) { sqe.ioprio = 0xdfff; }},
    {"off", [](Sqe& sqe) { sqe.off = 1; }},
    {"addr", [](Sqe& sqe) { sqe.addr = 1; }},
    {"len", [](Sqe& sqe) { sqe.len = 1; }},
    {"flags", [](Sqe& sqe) { sqe.rw_flags |= static_cast<__kernel_rwf_t>(1U << 31); }},
    {"buf_index", [](Sqe& sqe) { sqe.buf_index = 1; }},
    {"splice_fd_in", [](Sqe& sqe) { sqe.splice_fd_in = 1; }},
    {"addr3", [](Sqe& sqe) { sqe.addr3 = 1; }},
    {"__pad2", [](Sqe& sqe) { sqe.__pad2[0] = 1; }},
};

}  // namespace ringside::test
