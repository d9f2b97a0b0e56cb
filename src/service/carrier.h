// Carriers: what takes the attempts of a batch into the kernel in one system call. Each has a context of Linux AIO
// (os/aio.h).
//
// An attempt that would block answers -EAGAIN, as a plain call does, since all of them have RWF_NOWAIT. So all answers
// are there when io_submit(2) returns. (One can be missing: that of a file that another thread has just switched to
// O_DIRECT. The carrier waits for it.)
//
// Carrying pays where a system call is dear. That is measured, once a process has made enough attempts that could be
// carried to make up for what a context costs (os/aio.h). RINGSIDE_CARRIER overrides it: `calls` never carries, `aio`
// carries from the first batch on.
//
// The carriers of a process are shared by its rings: 16 at most, 64 transfers each, of the host's fs.aio-max-nr.
#pragma once

#include <linux/aio_abi.h>
#include <stdint.h>
#include <atomic>

#include "os/aio.h"

namespace ringside::engine {

inline constexpr unsigned most_carried = 32;

struct Carrier {
    static constexpr int64_t no_answer = INT64_MIN;

    AioContext aio;
    iocb attempts[most_carried];
    int64_t answers[most_carried];  // as the plain call would have returned; no_answer if the kernel refused to begin
};

enum class Carrying : uint8_t { undecided, pays, does_not };
inline constinit std::atomic<Carrying> carrying{Carrying::undecided};

// At a microsecond saved on each, so many requests make up for the time that a context adds to the exit of the process.
inline constexpr uint32_t candidates_to_decide = 16384;

// Reads RINGSIDE_CARRIER. Called when the first ring is set up, as other threads of the program may change the
// environment later.
void read_carrier_wish();

// Decides whether carrying pays, and returns whether it does. A ring's first request that could be carried decides only
// if RINGSIDE_CARRIER does.
bool decide_carrying(bool is_first);

// How many attempts one carrier's call has to make to be cheaper than as many calls.
unsigned least_carried();

// Whether a write can ask for no SIGPIPE (RWF_NOSIGNAL, Linux 6.18).
bool can_hold_signals();

// Takes a carrier for the calling thread. Null if there is none to be had: then the attempts are made one by one.
Carrier* take_carrier();
void give_back(Carrier& carrier);

// Makes the first `count` attempts of the carrier, in their order, and fills in their answers.
void make_attempts(Carrier& carrier, unsigned count);

// The cost of a system call, and that of an attempt in a carrier beside its call, in nanoseconds; 0 if there is no
// carrier to be had.
struct CarryingCosts {
    uint32_t call_ns;
    uint32_t attempt_ns;
    bool pays;  // a batch of `most_carried` is cheaper in a carrier
};
CarryingCosts measure_carrying();

// Called in a child after fork: the contexts belong to the parent's memory map.
void forget_carriers();

}  // namespace ringside::engine
