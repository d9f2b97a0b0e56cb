#include "service/carrier.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include "abi/syscall.h"
#include "os/clock.h"
#include "os/epoll.h"
#include "os/fds.h"
#include "os/idle_pool.h"

namespace ringside::engine {
namespace {

constexpr unsigned most_carriers = 16;
constexpr unsigned transfers_of_carrier = 64;
// Below this, an attempt in a carrier costs about what a call costs.
constexpr uint32_t dear_call_ns = 300;

constinit IdlePool<most_carriers> idle;
constinit std::atomic<unsigned> made{0};
constinit std::atomic<unsigned> least{2};
constinit std::atomic<bool> holds_signals{false};

// Returns null if the kernel, a policy or the host's limit refuses a context, or if memory is out.
Carrier* make_carrier() {
    if (made.fetch_add(1) >= most_carriers) {
        made.fetch_sub(1);
        return nullptr;
    }
    auto* carrier = static_cast<Carrier*>(malloc(sizeof(Carrier)));
    if (carrier != nullptr && open_aio(carrier->aio, transfers_of_carrier) == 0) {
        if (carrier->aio.shared != nullptr) return carrier;
        // Without memory that tells, each batch would take a second call.
        close_aio(carrier->aio);
    }
    free(carrier);
    // The place stays taken: what was refused once is not asked for again and again.
    return nullptr;
}

// The shortest of a few runs, for a process may be interrupted in any of them.
template <typename Run>
uint32_t shortest_ns(Run run, unsigned times) {
    int64_t shortest = INT64_MAX;
    for (unsigned i = 0; i < 4; ++i) {
        const int64_t begin = now_ns(CLOCK_MONOTONIC);
        run();
        const int64_t took = now_ns(CLOCK_MONOTONIC) - begin;
        if (took < shortest) shortest = took;
    }
    return static_cast<uint32_t>(shortest / times);
}

uint32_t cost_of_call() {
    constexpr unsigned times = 16;
    return shortest_ns(
        [] {
            for (unsigned i = 0; i < times; ++i) abi::syscall(__NR_getppid);
        },
        times);
}

iocb attempt_on(int eventfd, uint16_t opcode, uint64_t& word, int flags) {
    iocb attempt = {};
    attempt.aio_lio_opcode = opcode;
    attempt.aio_fildes = static_cast<uint32_t>(eventfd);
    attempt.aio_buf = reinterpret_cast<uintptr_t>(&word);
    attempt.aio_nbytes = sizeof(word);
    attempt.aio_rw_flags = flags;
    return attempt;
}

// By reads of an eventfd that has nothing: they do all of the work of a carried attempt but the transfer.
uint32_t cost_of_attempt(Carrier& carrier, uint32_t call_ns) {
    constexpr unsigned times = 16;
    const int eventfd = new_eventfd();
    if (eventfd < 0) return call_ns;
    uint64_t word;
    for (unsigned i = 0; i < times; ++i) {
        carrier.attempts[i] = attempt_on(eventfd, IOCB_CMD_PREAD, word, RWF_NOWAIT);
    }
    const uint32_t all = shortest_ns([&] { make_attempts(carrier, times); }, 1);
    const bool carried = carrier.answers[0] == -EAGAIN;
    close_fd(eventfd);
    if (!carried) return call_ns;
    return all > call_ns ? (all - call_ns) / times : 0;
}

// The kernel looks at the flags first, and then finds that an eventfd cannot be written in this way.
bool knows_nosignal(Carrier& carrier) {
    const int eventfd = new_eventfd();
    if (eventfd < 0) return false;
    uint64_t word = 0;
    iocb attempt = attempt_on(eventfd, IOCB_CMD_PWRITE, word, rwf_nosignal);
    iocb* only = &attempt;
    const bool knows = submit_aio(carrier.aio, &only, 1) == -EINVAL;
    close_fd(eventfd);
    return knows;
}

enum class Wish : uint8_t { automatic, calls, aio };
constinit std::atomic<Wish> wish{Wish::automatic};

Wish wish_of_environment() {
    const char* text = secure_getenv("RINGSIDE_CARRIER");
    if (text != nullptr && strcmp(text, "calls") == 0) return Wish::calls;
    if (text != nullptr && strcmp(text, "aio") == 0) return Wish::aio;
    // Valgrind knows what io_submit(2) has written only when a program asks for events by a system call.
    const char* preloaded = getenv("LD_PRELOAD");
    const bool in_valgrind = preloaded != nullptr && strstr(preloaded, "vgpreload") != nullptr;
    return in_valgrind ? Wish::calls : Wish::automatic;
}

// n attempts cost n calls, or one call and n times what a carried attempt costs beside it.
unsigned break_even(const CarryingCosts& costs) {
    const uint32_t gained = costs.call_ns > costs.attempt_ns ? costs.call_ns - costs.attempt_ns : 0;
    // A gain of less than a quarter is not worth the trouble.
    if (gained * 4 < costs.call_ns || gained == 0) return most_carried + 1;
    return costs.call_ns / gained + 1;
}

CarryingCosts costs_beside(uint32_t call_ns) {
    CarryingCosts costs = {call_ns, 0, false};
    Carrier* carrier = take_carrier();
    if (carrier == nullptr) return costs;
    costs.attempt_ns = cost_of_attempt(*carrier, call_ns);
    give_back(*carrier);
    costs.pays = call_ns >= dear_call_ns && break_even(costs) <= most_carried;
    return costs;
}

// Whether carrying pays where a call costs so much.
Carrying decision(uint32_t call_ns) {
    Carrier* carrier = take_carrier();
    if (carrier == nullptr) return Carrying::does_not;
    holds_signals.store(knows_nosignal(*carrier), std::memory_order_relaxed);
    give_back(*carrier);
    if (wish.load(std::memory_order_relaxed) == Wish::aio) {
        least.store(1, std::memory_order_relaxed);
        return Carrying::pays;
    }
    const CarryingCosts costs = costs_beside(call_ns);
    least.store(break_even(costs), std::memory_order_relaxed);
    return costs.pays ? Carrying::pays : Carrying::does_not;
}

void take_answer(Carrier& carrier, const io_event& event) {
    if (event.data < most_carried) carrier.answers[event.data] = static_cast<int64_t>(event.res);
}

// Takes the answers of `begun` attempts.
void take_answers(Carrier& carrier, unsigned begun) {
    io_event event;
    while (begun != 0 && take_aio_event(carrier.aio, event)) {
        take_answer(carrier, event);
        --begun;
    }
    while (begun != 0) {
        io_event events[most_carried];
        const long count = wait_for_aio_events(carrier.aio, 1, most_carried, events);
        for (long i = 0; i < count; ++i, --begun) take_answer(carrier, events[i]);
        // Interrupted, or a policy refuses the call: memory tells all the same.
        if (count < 0 && take_aio_event(carrier.aio, event)) {
            take_answer(carrier, event);
            --begun;
        }
    }
}

}  // namespace

void read_carrier_wish() { wish.store(wish_of_environment(), std::memory_order_relaxed); }

bool decide_carrying(bool is_first) {
    const Wish wished = wish.load(std::memory_order_relaxed);
    if (is_first && wished == Wish::automatic) return false;
    const uint32_t call_ns = wished == Wish::automatic ? cost_of_call() : 0;
    const bool may_pay = wished == Wish::aio || call_ns >= dear_call_ns;
    const Carrying decided = may_pay ? decision(call_ns) : Carrying::does_not;
    carrying.store(decided, std::memory_order_relaxed);
    return decided == Carrying::pays;
}

unsigned least_carried() { return least.load(std::memory_order_relaxed); }

bool can_hold_signals() { return holds_signals.load(std::memory_order_relaxed); }

Carrier* take_carrier() {
    if (const uintptr_t carrier = idle.take(); carrier != 0) return reinterpret_cast<Carrier*>(carrier);
    return made.load(std::memory_order_relaxed) < most_carriers ? make_carrier() : nullptr;
}

// There are as many places as carriers, so that one is empty.
void give_back(Carrier& carrier) { idle.give(reinterpret_cast<uintptr_t>(&carrier)); }

void make_attempts(Carrier& carrier, unsigned count) {
    iocb* list[most_carried];
    for (unsigned i = 0; i < count; ++i) {
        carrier.attempts[i].aio_data = i;
        carrier.answers[i] = Carrier::no_answer;
        list[i] = &carrier.attempts[i];
    }
    for (unsigned at = 0; at < count;) {
        const long begun = submit_aio(carrier.aio, list + at, count - at);
        if (begun > 0) {
            take_answers(carrier, static_cast<unsigned>(begun));
            at += static_cast<unsigned>(begun);
        } else {
            // The kernel refuses to begin the first of the rest. It is attempted in the plain way.
            ++at;
        }
    }
}

CarryingCosts measure_carrying() { return costs_beside(cost_of_call()); }

void forget_carriers() {
    // Their memory may be in use by a thread of the parent's, so it is not freed.
    idle.forget();
    made.store(0, std::memory_order_relaxed);
    carrying.store(Carrying::undecided, std::memory_order_relaxed);
}

}  // namespace ringside::engine
