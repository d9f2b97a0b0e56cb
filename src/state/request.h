// A request: what the engine keeps of an SQE from fetch to its last CQE.
//
// Requests come from their ring's pool (state/requests.h) and go back there in path/finish.cc. All of it is guarded by
// the ring's lock, except while a worker runs the request: then `fd`, `res`, `cqe_flags`, `flags`, `args` and `memory`
// are the worker's alone.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <type_traits>

#include "liburing/io_uring.h"
#include "state/list.h"

namespace ringside::engine {

struct Ring;
struct FixedFile;
struct KeptFile;
struct ProvidedBuffer;
struct RegisteredBuffer;
struct Credentials;
struct Crew;

// What became of an attempt to do an operation.
enum class Outcome : uint8_t {
    done,    // it is finished: Request::res holds the result
    wait,    // it would block, and readiness of its file (Request::wait_events) tells when to try again
    punt,    // it would block, or may, and only a thread can find out: a worker does it
    queued,  // the operation has put the request where it will be finished from (a timer, a list of waiters)
};

// Where a request is. Cancelling looks here.
enum class Place : uint8_t {
    path,       // being handled by the thread that holds the ring's lock
    chain,      // behind another request of its chain
    drained,    // held back until earlier requests are done
    task_work,  // about to be issued or finished
    armed,      // waiting for its file to become ready (service/poller)
    timer,      // waiting for time to pass (state/timers)
    worker,     // queued for a worker, or running in one (service/workers)
    device,     // at the disk, which cannot be told to stop (service/disk)
    parked,     // waiting in a list of its operation's own
};

// Internal flags, above the eight bits that IOSQE_* take in Request::flags.
enum RequestFlag : uint64_t {
    request_failed = 1u << 8,              // ended in a way that severs its chain
    request_cancelled = 1u << 9,           // somebody asked for it to end
    request_has_result = 1u << 10,         // task work: post `res`, do not issue
    request_no_cqe = 1u << 11,             // ends silently
    request_hashed = 1u << 12,             // in the ring's table of findable requests
    request_pinned = 1u << 13,             // `fd` is our own duplicate, closed at the end
    request_multishot = 1u << 14,          // goes on after a CQE with IORING_CQE_F_MORE
    request_big_cqe = 1u << 15,            // `extra` goes into the second half of a 32-byte CQE
    request_nowait = 1u << 16,             // -EAGAIN is a result: never armed, never punted
    request_takes_buffer = 1u << 17,       // its issue finds a buffer or a second file before it can be punted
    request_skip_links = 1u << 18,         // a failure ends the rest of the chain without CQEs
    request_arms_timeout = 1u << 19,       // the next of its chain is its link timeout, to be armed when it has to wait
    request_bounded = 1u << 20,            // its work ends by itself: a disk's, not a peer's
    request_poll_first = 1u << 21,         // wait for readiness before the first attempt
    request_holds_buffer = 1u << 22,       // holds a provided or a registered buffer: `buffer_use` tells which
    request_has_memory = 1u << 23,         // `memory` is to be freed
    request_timed = 1u << 24,              // in a timer heap
    request_ordered = 1u << 26,            // takes the way through the drain queue
    request_counted = 1u << 25,            // in the list of time-outs that count completions
    request_holds_slot = 1u << 27,         // is one of the holders of `fixed_file`
    request_pinned_too = 1u << 29,         // `second_fd` is our own duplicate as well
    request_impersonates = 1u << 31,       // is one of the holders of `credentials`, with which it is to be done
    request_timeout_started = 1u << 30,    // its link timeout was armed, and is as long as there is a `timeout_link`
    request_direct = 1u << 28,             // its result is a descriptor that goes into the slot `direct_slot`
    request_notifies = uint64_t{1} << 32,  // its CQE is followed by that of a zero-copy send's notification
    request_ends_itself = uint64_t{1} << 33,  // cancelled, it is issued once more: it has done a part and says so
    request_at_work = uint64_t{1} << 34,      // a worker's, by the kernel's rules: so is what follows it in its chain
    request_blocks = uint64_t{1} << 35,       // its attempt is a worker's, which waits in the call (path/punt.cc)
    request_untried = uint64_t{1} << 36,      // ends without a result of its operation's
    request_has_news = uint64_t{1} << 37,     // task work, and cancelled as if it still waited for its file
    request_second_kept = uint64_t{1} << 38,  // splice: its second file is held in the engine's own table, too
    request_answered = uint64_t{1} << 41,    // its first attempt was carried (path/carry.cc): `res` is what it answered
    request_has_crew = uint64_t{1} << 39,    // its call depends on who makes it: is one of the holders of `crew`
    request_comes_back = uint64_t{1} << 40,  // a thread of its crew is to issue it
};

// How a request holds its buffer.
enum class BufferUse : uint8_t {
    classic,     // `provided`, taken out of its group
    peeked,      // the next of a buffer ring, which has it still
    committed,   // was one of a buffer ring, which has moved on
    unfinished,  // the same, but the ring keeps what was not used of it
    withdrawn,   // `withdrawn` tells of one or several of a buffer ring, which may get some of them back
    registered,  // is one of the holders of `registered`
    crew,        // it has none, and `crew` stands in the place of one
};

struct WithdrawnBuffers {
    uint32_t serial;  // of their ring
    uint16_t count;
    uint16_t head;  // of the ring, behind them
};

struct Request {
    Ring* ring;
    Request* next;    // in the queue it stands in (free list, task work, workers)
    Request* link;    // the next request of its chain
    ListNode node;    // in the list of its Place
    ListNode hashed;  // in the table of findable requests
    uint64_t user_data;
    int32_t res;
    uint32_t cqe_flags;
    uint64_t flags;  // IOSQE_* of the SQE, RequestFlag above them
    uint8_t opcode;
    Place place;
    uint16_t buf_index;    // or the group of provided buffers
    int32_t sqe_fd;        // as the program gave it
    int32_t fd;            // what system calls use; valid once issued
    int32_t second_fd;     // where system calls use two
    uint32_t wait_events;  // POLLIN and friends for Outcome::wait; the CQ tail a counted time-out waits for
    union {
        int32_t poll_number;   // descriptor number under which the poller knows it while armed
        uint32_t timer_index;  // place in the ring's timer heap
    };
    uint32_t submitter;  // number of the thread that submitted it, once it has to wait (process/thread_end.h)
    union {
        uint32_t direct_slot;   // with request_direct, as in the SQE: index plus 1, or IORING_FILE_INDEX_ALLOC
        uint32_t registration;  // of the others, while armed: the one whose events are about its file; 0 if none is
    };
    uint32_t cancel_sequence;  // the last pass of a cancellation that looked at it
    uint16_t buffer_id;        // of the provided buffer in use
    uint8_t timer_clock : 3;   // which heap of state/timers
    bool works_elsewhere : 1;  // its workers have the engine's own table (service/keeper.h); not read from its flags,
                               // which are the worker's by then
    BufferUse buffer_use : 4;
    uint8_t bounded_work : 1;  // which class of workers has it: request_bounded when it was handed over, since its
                               // flags are the worker's from then on
    uint8_t write_turn : 7;    // its place in the order of changes to its file; 0 for none (service/write_order)
    FixedFile* fixed_file;     // the registered file in use, with IOSQE_FIXED_FILE; valid once issued
    union {
        ProvidedBuffer* provided;
        RegisteredBuffer* registered;
        WithdrawnBuffers withdrawn;
        Crew* crew;  // who makes its calls for its submitter (service/crew.h)
    };
    Credentials* credentials;  // of the personality that the SQE names
    void* memory;              // malloc'ed copy of what the program gave by pointer; freed at the end
    Request* timeout_link;     // the armed link timeout of this request, or the request of this link timeout
    alignas(8) unsigned char args[56];

    bool has(uint64_t flag) const { return (flags & flag) != 0; }
    void set(uint64_t flag) { flags |= flag; }
    void clear(uint64_t flag) { flags &= ~flag; }

    // The operation's own view of `args`. T is a plain struct of the operation's file.
    template <typename T>
    T& as() {
        static_assert(sizeof(T) <= sizeof(args) && std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T>);
        return *reinterpret_cast<T*>(args);
    }
    template <typename T>
    const T& as() const {
        return const_cast<Request*>(this)->as<T>();
    }

    // The end of `args`, for operations that say more than a result: the second half of a 32-byte CQE (with
    // request_big_cqe), and what the notification of a zero-copy send says (with request_notifies).
    static constexpr size_t args_with_big_cqe = 40;
    static constexpr size_t args_with_notification = 48;
    uint64_t* second_half() { return reinterpret_cast<uint64_t*>(args + args_with_big_cqe); }
    uint64_t& notification() { return *reinterpret_cast<uint64_t*>(args + args_with_notification); }

    // With request_second_kept: the file, at the same end of `args`.
    KeptFile*& second_kept() { return *reinterpret_cast<KeptFile**>(args + args_with_notification); }

    // What the carried attempt answered, in place of the call that would be made now.
    long take_answer() {
        clear(request_answered);
        return res;
    }

    // Marks it as failed, which severs its chain. A request that was to succeed silently does not fail silently; the
    // rest of its chain does.
    void fail() {
        set(request_failed);
        if (has(IOSQE_CQE_SKIP_SUCCESS)) {
            clear(IOSQE_CQE_SKIP_SUCCESS);
            set(request_skip_links);
        }
    }

    // Sets the result and says that the operation is done.
    Outcome done(long result) {
        res = static_cast<int32_t>(result);
        if (result < 0) fail();
        return Outcome::done;
    }

    // The same for operations of which an error is a result like any other: it severs no chain.
    Outcome ended(long result) {
        res = static_cast<int32_t>(result);
        return Outcome::done;
    }

    // Takes a block from malloc as `memory`.
    void keep(void* block) {
        memory = block;
        set(request_has_memory);
    }

    // Readiness is what to wait for.
    Outcome wait(uint32_t events) {
        wait_events = events;
        return Outcome::wait;
    }
};

// With the file that it holds (service/keeper.h) and its place in the table of those that can be found, 368 bytes.
static_assert(sizeof(Request) <= 216, "a request in flight costs at most 216 bytes of its own");

}  // namespace ringside::engine
