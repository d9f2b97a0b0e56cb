// The files that requests of a ring have in the engine's own table of descriptors (service/keeper.h).
//
// Guarded by the ring's lock, where nothing else is said.
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <sys/stat.h>
#include <atomic>

#include "state/list.h"
#include "state/request.h"
#include "state/tables.h"

namespace ringside::engine {

// A file of the program's in the engine's own table. It goes with its last holder, as each FixedFile does.
struct KeptFile : FixedFile {
    static constexpr int on_its_way = -10000;

    Ring* ring;               // null of one of the engine's own
    std::atomic<int> number;  // in the own table; on_its_way, or -errno when it was lost on its way
    int program_number;       // the program's, until it is handed over; then -1

    // Which file it is, for a comparison with a descriptor of the program's.
    int sqe_number;
    dev_t device;
    ino_t inode;
    mode_t kind;
    int access;  // how it is open (O_ACCMODE); of a pipe alone, whose ends are told apart by that

    // Requests that wait for its readiness.
    Circle<Request, &Request::node> waiting;
    bool dropped;      // nobody holds it any more
    bool is_put_off;   // in the ring's list of those whose attempts are put off
    bool attempt_now;  // registering it, the keeper attempts all that wait
    bool is_due;       // the program's call waits for that (attempt_deferred)

    uint32_t registered;  // what the keeper's epoll set reports of it; the keeper's alone
    bool listed;          // in the list of those to be registered; guarded by the keeper's lock

    KeptFile* next_sent;  // in the ring's list of those to be handed over; later in the keeper's of those to be closed
    KeptFile* next_put_off;  // in the ring's list of those whose attempts are put off
    KeptFile* next_listed;   // in the keeper's list of those to be registered
    KeptFile* next_waited;   // in the ring's list of those that requests wait for
};

// What a ring has to do with the keeper. Guarded by the ring's lock.
struct KeptByRing {
    Queue<KeptFile, &KeptFile::next_sent> to_send;     // handed over when the batch is over
    Queue<KeptFile, &KeptFile::next_put_off> put_off;  // ready, with IORING_SETUP_DEFER_TASKRUN
    unsigned armed = 0;                                // requests that wait for kept files
    KeptFile* waited[64] = {};                         // files that requests wait for, by the program's numbers
    unsigned gathering = 0;                            // calls of the program's that ask for completions now
    std::atomic<uint32_t> due{0};                      // files whose attempts such a call waits for; a futex

    KeptFile*& waited_by(int fd) { return waited[static_cast<unsigned>(fd) % 64]; }
};

}  // namespace ringside::engine
