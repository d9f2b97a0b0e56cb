// IORING_REGISTER_RING_FDS and IORING_UNREGISTER_RING_FDS (process/registered_rings.h)
#include <errno.h>

#include "memory/user_memory.h"
#include "process/registered_rings.h"
#include "register/register.h"
#include "service/ring_file.h"

namespace ringside::engine {
namespace {

int add_one(uint64_t address) {
    io_uring_rsrc_update update;
    if (read_user(update, address) < 0) return -EFAULT;
    if (update.resv != 0) return -EINVAL;
    if (update.offset != any_index && update.offset >= most_registered_rings) return -EINVAL;
    FoundRing found;
    const int result = find_ring_named(static_cast<int>(update.data), found);
    if (result < 0) return result;
    const int index = add_registered_ring(found, update.offset);
    if (index < 0) return index;
    update.offset = static_cast<uint32_t>(index);
    if (write_user(address, update) == 0) return 0;
    remove_registered_ring(update.offset);
    return -EFAULT;
}

int remove_one(uint64_t address) {
    io_uring_rsrc_update update;
    if (read_user(update, address) < 0) return -EFAULT;
    if (update.resv != 0 || update.data != 0) return -EINVAL;
    return remove_registered_ring(update.offset);
}

// Returns how many were dealt with, or -errno if none was.
int for_each(uint64_t updates, unsigned count, int (*deal_with)(uint64_t)) {
    if (count == 0 || count > most_registered_rings) return -EINVAL;
    for (unsigned done = 0; done < count; ++done) {
        const int result = deal_with(updates + done * sizeof(io_uring_rsrc_update));
        if (result < 0) return done != 0 ? static_cast<int>(done) : result;
    }
    return static_cast<int>(count);
}

}  // namespace

int register_ring_fds(Ring&, uint64_t updates, unsigned count) { return for_each(updates, count, add_one); }

int unregister_ring_fds(Ring&, uint64_t updates, unsigned count) { return for_each(updates, count, remove_one); }

}  // namespace ringside::engine
