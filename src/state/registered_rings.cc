#include "state/registered_rings.h"

#include <errno.h>
#include <pthread.h>

#include "entry/entry.h"

namespace ringside::engine {
namespace {

thread_local Ring* registered[most_registered_rings];

void drop_registered_rings(void*) {
    for (unsigned index = 0; index < most_registered_rings; ++index) remove_registered_ring(index);
}

// Has drop_registered_rings() called when the calling thread ends.
void watch_thread_end() {
    static Lock lock;
    static pthread_key_t key;
    static bool made = false;
    Guard guard(lock);
    if (!made) made = pthread_key_create(&key, drop_registered_rings) == 0;
    if (made) pthread_setspecific(key, registered);
}

int free_index() {
    for (unsigned index = 0; index < most_registered_rings; ++index) {
        if (registered[index] == nullptr) return static_cast<int>(index);
    }
    return -EBUSY;
}

}  // namespace

int find_registered_ring(unsigned index, Ring*& ring) {
    if (index >= most_registered_rings) return -EINVAL;
    ring = registered[index];
    return ring == nullptr ? -EBADF : 0;
}

int add_registered_ring(Ring& ring, unsigned index) {
    if (index != any_index && index >= most_registered_rings) return -EINVAL;
    int at = index == any_index ? free_index() : static_cast<int>(index);
    if (at >= 0 && registered[at] != nullptr) at = -EBUSY;
    if (at < 0) return at;
    {
        Guard guard(ring.lock);
        if (ring.closing || ring.inherited) return -EBADF;
        ++ring.descriptors;
    }
    watch_thread_end();
    registered[at] = &ring;
    return at;
}

int remove_registered_ring(unsigned index) {
    if (index >= most_registered_rings) return -EINVAL;
    Ring* ring = registered[index];
    registered[index] = nullptr;
    if (ring != nullptr) let_go_of_ring(*ring);
    return 0;
}

void forget_registered_rings() {
    for (Ring*& entry : registered) entry = nullptr;
}

}  // namespace ringside::engine
