#include "os/aio.h"

#include <stdint.h>
#include <time.h>
#include <atomic>

#include "abi/syscall.h"

namespace ringside::engine {

// The completion ring as the kernel maps it at the address that io_setup(2) returns. Its form is not part of the
// documented interface, but it carries a mark, and libraries have relied on it for as long as it has existed.
struct AioShared {
    uint32_t id;
    uint32_t places;
    std::atomic<uint32_t> head;
    std::atomic<uint32_t> tail;
    uint32_t magic;
    uint32_t compatible_features;
    uint32_t incompatible_features;
    uint32_t header_length;
    io_event events[1];
};

namespace {

constexpr uint32_t shared_magic = 0xa10a10a1;

}  // namespace

int open_aio(AioContext& context, unsigned transfers) {
    context = {};
    const long result = abi::syscall(__NR_io_setup, transfers, &context.id);
    context = aio_context(result < 0 ? 0 : context.id);
    return static_cast<int>(result);
}

AioContext aio_context(aio_context_t id) {
    if (id == 0) return {};
    auto* shared = reinterpret_cast<AioShared*>(id);
    const bool is_known = shared->magic == shared_magic && shared->incompatible_features == 0;
    return {id, is_known ? shared : nullptr};
}

void close_aio(AioContext& context) {
    if (context.id != 0) abi::syscall(__NR_io_destroy, context.id);
    context = {};
}

void cancel_aio(const AioContext& context, iocb& transfer) {
    io_event none;
    abi::syscall(__NR_io_cancel, context.id, &transfer, &none);
}

long submit_aio(const AioContext& context, iocb* const* transfers, unsigned count) {
    return abi::syscall(__NR_io_submit, context.id, count, transfers);
}

bool peek_aio_event(const AioContext& context, io_event& event) {
    AioShared* shared = context.shared;
    if (shared == nullptr) return false;
    const uint32_t head = shared->head.load(std::memory_order_relaxed);
    // Pairs with the kernel's barrier between an event and the tail behind it.
    if (head == shared->tail.load(std::memory_order_acquire)) return false;
    event = shared->events[head];
    return true;
}

bool take_aio_event(const AioContext& context, io_event& event) {
    if (!peek_aio_event(context, event)) return false;
    AioShared* shared = context.shared;
    const uint32_t head = shared->head.load(std::memory_order_relaxed);
    // The place is the kernel's again once the event is copied.
    shared->head.store((head + 1) % shared->places, std::memory_order_release);
    return true;
}

long wait_for_aio_events(const AioContext& context, unsigned least, unsigned most, io_event* events) {
    const timespec at_once = {0, 0};
    return abi::syscall(__NR_io_getevents, context.id, least, most, events, least == 0 ? &at_once : nullptr);
}

}  // namespace ringside::engine
