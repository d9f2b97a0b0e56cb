// Linux AIO: io_setup(2), io_submit(2) and the completion ring that the kernel shares with the process. It takes many
// transfers in one system call, and container policies allow it where they refuse io_uring.
//
// A context costs more than it seems. io_setup(2) takes 0.1 to 0.3 ms, io_destroy(2) and the exit of a process that has
// one tens of milliseconds, in which the kernel waits for a grace period. And the number of transfers that all
// contexts of a host may hold together is limited (fs.aio-max-nr, 65,536). So contexts are made late, kept small, and
// kept.
#pragma once

#include <linux/aio_abi.h>

namespace ringside::engine {

// RWF_NOSIGNAL of Linux 6.18: a write raises no SIGPIPE.
inline constexpr int rwf_nosignal = 0x100;

struct AioShared;

struct AioContext {
    aio_context_t id = 0;         // 0: there is none
    AioShared* shared = nullptr;  // the completion ring in memory; null if its form is unknown to us
};

// Makes a context for so many transfers at a time. Returns 0 or -errno.
int open_aio(AioContext& context, unsigned transfers);

// The context with this id.
AioContext aio_context(aio_context_t id);

// Waits for the transfers in flight; polls are cancelled.
void close_aio(AioContext& context);

// Takes back a transfer that has not ended, which is known by its address. Its event still comes, at once or a little
// later.
void cancel_aio(const AioContext& context, iocb& transfer);

// Begins transfers in their order. Returns how many, or the -errno of the first if it cannot begin.
long submit_aio(const AioContext& context, iocb* const* transfers, unsigned count);

// The event of a transfer that has ended, as far as memory tells; it stays there. Returns false if there is none.
bool peek_aio_event(const AioContext& context, io_event& event);

// Takes an event from the shared ring, without a system call. Returns false if there is none, or if the ring's form is
// unknown. Two threads must not take at the same time.
bool take_aio_event(const AioContext& context, io_event& event);

// Takes events by a system call that waits for the first `least` of them. Returns how many there were, or -errno.
long wait_for_aio_events(const AioContext& context, unsigned least, unsigned most, io_event* events);

}  // namespace ringside::engine
