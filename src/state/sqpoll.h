// A ring's submission thread (service/sqpoll.h).
#pragma once

#include <pthread.h>
#include <stdint.h>
#include <atomic>

namespace ringside::engine {

struct SqPoll {
    bool running = false;
    pthread_t thread;
    int64_t idle_ns = 0;
    int processor = -1;              // to run on, -1 for any
    bool asleep = false;             // and not woken yet; under the ring's lock
    std::atomic<uint32_t> bell{0};   // futex the thread sleeps on
    std::atomic<uint32_t> space{0};  // futex that IORING_ENTER_SQ_WAIT sleeps on; counts rounds
};

}  // namespace ringside::engine
