#include "process/registered_rings.h"

#include <errno.h>

#include "process/callbacks.h"
#include "process/thread_end.h"

namespace ringside::engine {
namespace {

thread_local Ring* registered[most_registered_rings];

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

int add_registered_ring(const FoundRing& found, unsigned index) {
    Ring& ring = *found.ring;
    if (index != any_index && index >= most_registered_rings) return -EINVAL;
    int at = index == any_index ? free_index() : static_cast<int>(index);
    if (at >= 0 && registered[at] != nullptr) at = -EBUSY;
    if (at < 0) return at;
    {
        Guard guard(ring.lock);
        if (!found.is_same() || ring.closing || ring.inherited) return -EBADF;
        ++ring.descriptors;
    }
    this_thread_number();
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

void drop_registered_rings() {
    for (unsigned index = 0; index < most_registered_rings; ++index) remove_registered_ring(index);
}

void forget_registered_rings() {
    for (Ring*& entry : registered) entry = nullptr;
}

}  // namespace ringside::engine
