// A ring: what io_uring_setup makes. This file has no functions: each stage of path/ and each service works on the
// parts named after it.
//
// Everything is guarded by `lock` unless it says otherwise. Rings come from a pool and their memory is never given back
// (process/registry.cc), so that a thread may always lock a ring it has a pointer to, and then see whether it is
// `open`.
#pragma once

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "liburing/io_uring.h"
#include "memory/ring_memory.h"
#include "os/credentials.h"
#include "os/lock.h"
#include "state/carried.h"
#include "state/face.h"
#include "state/file_facts.h"
#include "state/inbox.h"
#include "state/keeper.h"
#include "state/list.h"
#include "state/polling.h"
#include "state/region.h"
#include "state/request.h"
#include "state/requests.h"
#include "state/restrictions.h"
#include "state/ring_file.h"
#include "state/sqpoll.h"
#include "state/tables.h"
#include "state/timers.h"
#include "state/waiting.h"
#include "state/write_order.h"

namespace ringside::engine {

using RequestQueue = Queue<Request, &Request::next>;
using RequestList = List<Request, &Request::node>;

// A CQE that found no room in the ring. They wait in order.
struct OverflowEntry {
    OverflowEntry* next;
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
    uint64_t extra[2];
    bool big;
};

// A chain while its SQEs are being collected.
struct ChainHead {
    Request* head = nullptr;
    Request* last = nullptr;
};

// Neighbours while their SQEs are being collected (path/join.cc).
struct Joined {
    RequestQueue requests;
    unsigned count = 0;
    uint64_t next_offset = 0;  // where one would begin that goes on from the last of them
    Request* last = nullptr;
};

// Requests held back by IOSQE_IO_DRAIN (path/chain.cc).
struct Drain {
    RequestQueue held;
    unsigned held_count = 0;  // requests in `held`, with the rest of their chains
    uint32_t failed_in = 0;   // the last batch in which a request failed before it came here
    bool active = false;
    bool next_too = false;  // the request or chain after the one being collected drains as well
    bool disabled = false;  // a request with CQE_SKIP_SUCCESS was seen
};

// Completion queue state (path/post.cc).
struct Completion {
    unsigned tail = 0;         // the next CQE goes here; ahead of the shared tail until published
    unsigned published = 0;    // the shared tail
    unsigned plain_until = 0;  // up to here an ordinary CQE may be written without looking at anything else
    OverflowEntry* overflow_first = nullptr;
    OverflowEntry* overflow_last = nullptr;
    unsigned timeouts_fired = 0;  // a time-out that fires wakes every waiter
};

// Notification of completions (path/post.cc).
struct Notification {
    int eventfd = -1;            // registered by the program
    bool eventfd_async = false;  // only for what workers complete
    bool by_worker = false;      // some of what is told next is a worker's
    uint32_t raised = 0;         // counts how often it was
};

// Busy polling of network devices, as it was asked for (register/napi.cc).
enum NapiTracking : uint32_t { napi_tracking_dynamic = 0, napi_tracking_static = 1, napi_tracking_none = 255 };
struct NapiId {
    NapiId* next;
    uint32_t id;
};
struct Napi {
    uint32_t busy_poll_us = 0;
    bool prefer_busy_poll = false;
    uint32_t tracking = napi_tracking_none;
    NapiId* ids = nullptr;  // queues to poll, with static tracking
};

// Workers that a batch wants woken, once its thread has let go of the ring's lock, which they need
// (service/workers.cc).
inline constexpr unsigned worker_pools = 4;
struct Rung {
    uint16_t of_pool[worker_pools] = {};

    bool empty() const {
        uint64_t all = 0;
        static_assert(sizeof of_pool == sizeof all);
        memcpy(&all, of_pool, sizeof all);
        return all == 0;
    }
};

// How many receives in a row left a socket empty, by descriptor (ops/net_recv.cc).
struct EmptiedSockets {
    uint8_t in_a_row[64] = {};

    uint8_t& of(int fd) { return in_a_row[static_cast<uint32_t>(fd) % sizeof(in_a_row)]; }
};

struct Ring {
    Lock lock;
    std::atomic<unsigned> generation{0};  // counts the rings that this memory has been
    bool open = false;
    uint32_t setup_flags = 0;
    uint32_t sq_entries = 0;
    uint32_t cq_entries = 0;
    uint8_t sqe_shift = 6;              // log2 of an SQE's size
    uint8_t cqe_shift = 4;              // log2 of a CQE's size
    std::atomic<bool> disabled{false};  // IORING_SETUP_R_DISABLED and not enabled yet
    bool closing = false;
    Face face = Face::mappable;
    std::atomic<int> descriptors{0};  // open names of the ring; not guarded by the lock
    int submitter = 0;                // thread id with IORING_SETUP_SINGLE_ISSUER, 0 until known
    bool inherited = false;           // from a parent, by fork: its requests are not ours

    RingMemory memory;
    RingFile file;

    unsigned sq_head = 0;  // next entry of the SQ to read; the shared head follows at the end of a batch
    Joined joined;
    Carried carried;
    bool has_collected = false;  // `joined` or `carried` may hold admitted requests of the batch
    ChainHead chain;
    Drain drain;
    bool batch_failed = false;       // an entry turned out to be malformed when it was issued: the batch ends with it
    bool submitting_inline = false;  // within the submitter's own call
    bool batch_is_over = false;      // the requests in put_off begin now

    uint32_t batch = 0;  // counts the batches that were submitted

    RequestPool requests;
    RequestQueue task_work;
    RequestQueue put_off;          // punted when the batch is over (path/punt.cc)
    bool announced = false;        // the program was told to make a call: there is task work,
    bool ready_announced = false;  // or a request has become ready, which that call has to find
    Completion completion;
    Notification notification;
    Readiness readiness;
    FixedFiles files;
    HeldByBatch held_by_batch;
    KeptByRing kept;
    KnownFiles known_files;
    EmptiedSockets emptied;
    RegisteredBuffers buffers;
    ProvidedBuffers provided;
    Personalities personalities;
    Restrictions restrictions;
    Region region;
    clockid_t wait_clock = CLOCK_MONOTONIC;  // which time-outs of waits go by
    Napi napi;
    Inbox inbox;
    Poller poller;
    Registrations registrations;
    Waiters waiters;
    PollCall poll_call;
    Disk disk;
    Timers timers;
    Helped helped;
    SqPoll sqpoll;
    unsigned calls = 0;  // of io_uring_enter: tells the helper whether the program is around
    Rung rung;
    unsigned worker_jobs = 0;  // requests queued for or inside a worker
    WriteOrder write_order;
    uint32_t cancel_sequence = 0;
};

}  // namespace ringside::engine
