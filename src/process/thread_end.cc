#include "process/thread_end.h"

#include <pthread.h>

#include "os/lock.h"
#include "os/own_process.h"
#include "process/callbacks.h"
#include "process/registered_rings.h"
#include "process/registry.h"

namespace ringside::engine {
namespace {

std::atomic<uint32_t> last_number{0};
thread_local uint32_t own_number = 0;

struct End {
    Lock lock;
    pthread_key_t key RINGSIDE_GUARDED_BY(lock);
    bool has_key RINGSIDE_GUARDED_BY(lock) = false;
};
End end;

void leave_ring(Ring& ring, uint32_t thread) RINGSIDE_REQUIRES(ring.lock) {
    end_waits_of(ring, thread);
    orphan_requests(ring, thread);
}

void end_of_thread(void*) {
    come_in();
    const uint32_t number = own_number;
    // What other destructors of the thread still submit is another's.
    own_number = 0;
    drop_registered_rings();
    for_each_open_ring(leave_ring, number);
}

void begin_thread() {
    own_number = last_number.fetch_add(1, std::memory_order_relaxed) + 1;
    Guard guard(end.lock);
    if (!end.has_key) end.has_key = pthread_key_create(&end.key, end_of_thread) == 0;
    if (end.has_key) pthread_setspecific(end.key, &end);
}

// The library may be unloaded before the threads end that it was used by.
[[gnu::destructor]] void forget_threads() {
    come_in();
    Guard guard(end.lock);
    if (end.has_key) pthread_key_delete(end.key);
    end.has_key = false;
}

}  // namespace

uint32_t this_thread_number() {
    if (__builtin_expect(own_number == 0, 0)) begin_thread();
    return own_number;
}

void forget_other_threads() { end.lock.reset(); }

}  // namespace ringside::engine
