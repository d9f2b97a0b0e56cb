// What a ring knows of the files that its requests wait for, and of transfers at a disk. Each service says in its
// header what it does with its own: service/poller.h, service/registrations.h, service/disk.h.
//
// Guarded by the ring's lock.
#pragma once

#include <linux/aio_abi.h>
#include <stdint.h>

#include "os/aio.h"
#include "state/list.h"
#include "state/request.h"

namespace ringside::engine {

struct KernelPoll;

struct Poller {
    int epoll_fd = -1;
    int wake_fd = -1;                        // in the set: gets who sleeps in it out of its sleep
    KeptFile* wake_copy = nullptr;           // the same, for threads with the engine's own table
    uint32_t rounds = 0;                     // of handling events
    unsigned armed = 0;                      // requests waiting for readiness, or for a disk
    List<Request, &Request::node> unpolled;  // those that wait for readiness since there was no descriptor for a set
    unsigned calls_unlooked = 0;             // calls of the program since somebody looked what is ready
};

// The requests that wait on one descriptor number.
struct FdSlot {
    Circle<Request, &Request::node> waiting;
    uint32_t registered;    // events the number was last registered for in the epoll set
    uint32_t registration;  // which registration that was: events carry it, beside the number
};

struct Registrations {
    FdSlot** pages = nullptr;  // slots by descriptor number, in pages
    unsigned page_count = 0;
    uint32_t made = 0;      // counts the registrations
    uint32_t happened = 0;  // to the file of the request that is tried again now; 0: not known
};

struct Disk {
    AioContext aio;
    int eventfd = -1;
    bool refused = false;  // there is none to be had
    unsigned in_flight = 0;
    unsigned queued = 0;
    iocb* queue = nullptr;            // copies of what is in line
    iocb** line = nullptr;            // what is in line: those copies, and polls
    KernelPoll* polls = nullptr;      // that the kernel can keep for the ring (service/kernel_polls.h)
    KernelPoll* free_poll = nullptr;  // the first of those that are not in use
    unsigned withdrawn = 0;           // polls in flight that no request waits for any more
    // Called with each result. The request is not in flight any more.
    void (*transferred)(Request&, long result) = nullptr;
};

}  // namespace ringside::engine
