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

// A file of the program in the engine's own table. As every FixedFile, it is freed when its last holder lets go of it.
struct KeptFile : FixedFile {
    static constexpr int on_its_way = -10000;

    Ring* ring;               // null for a descriptor that the engine made for itself
    std::atomic<int> number;  // in the own table; or on_its_way; or -errno if it was lost on its way
    int program_number;       // the number in the program's table until the file is handed over; then -1

    // Identifies the file: is_kept_file() compares a descriptor of the program with these.
    int sqe_number;
    dev_t device;
    ino_t inode;
    mode_t kind;
    int access;  // pipes only: the O_ACCMODE bits, which tell its two ends apart

    // Requests that wait for its readiness.
    Circle<Request, &Request::node> waiting;
    bool dropped;      // the last holder has let go of it
    bool is_put_off;   // in KeptByRing::put_off
    bool attempt_now;  // the keeper attempts all waiting requests when it registers the file
    bool is_due;       // a call of the program waits for these attempts (attempt_deferred)

    uint32_t registered;  // the events that the keeper's epoll set reports of it; used by the keeper alone
    bool listed;          // in the keeper's list of files to register; guarded by the keeper's lock

    KeptFile* next_sent;     // in KeptByRing::to_send; after handing over, in the keeper's list of files to close
    KeptFile* next_put_off;  // in KeptByRing::put_off
    KeptFile* next_listed;   // in the keeper's list of files to register
    KeptFile* next_waited;   // in a list of KeptByRing::waited
};

// A ring's share of the keeper's work. Guarded by the ring's lock.
struct KeptByRing {
    Queue<KeptFile, &KeptFile::next_sent> to_send;     // handed over at the end of the batch
    Queue<KeptFile, &KeptFile::next_put_off> put_off;  // ready, but not attempted yet (IORING_SETUP_DEFER_TASKRUN)
    unsigned armed = 0;                                // requests that wait for kept files
    KeptFile* waited[64] = {};                         // files that requests wait for, hashed by the program's numbers
    unsigned gathering = 0;                            // calls of the program that are collecting completions now
    std::atomic<uint32_t> due{0};                      // files whose attempts such a call waits for; a futex

    KeptFile*& waited_by(int fd) { return waited[static_cast<unsigned>(fd) % 64]; }
};

}  // namespace ringside::engine
