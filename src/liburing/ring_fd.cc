// Calls about the ring as a whole: its registered index, its state, its size.
#include <errno.h>

#include "liburing/owner.h"
#include "liburing/publish.h"
#include "liburing/rings.h"

using namespace ringside;
using namespace ringside::liburing;

int io_uring_register_ring_fd(io_uring* ring) {
    if (has(*ring, internal_registered_ring)) return -EEXIST;
    io_uring_rsrc_update update = {};
    update.data = static_cast<__u64>(ring->ring_fd);
    update.offset = IORING_FILE_INDEX_ALLOC;
    const int result = register_call(*ring, IORING_REGISTER_RING_FDS, &update, 1);
    if (result != 1) return result;
    ring->enter_ring_fd = static_cast<int>(update.offset);
    set(*ring, internal_registered_ring);
    if (ring->features & IORING_FEAT_REG_REG_RING) set(*ring, internal_registered_register);
    return result;
}

int io_uring_unregister_ring_fd(io_uring* ring) {
    if (!has(*ring, internal_registered_ring)) return -EINVAL;
    io_uring_rsrc_update update = {};
    update.offset = static_cast<__u32>(ring->enter_ring_fd);
    const int result = register_call(*ring, IORING_UNREGISTER_RING_FDS, &update, 1);
    if (result != 1) return result;
    ring->enter_ring_fd = ring->ring_fd;
    clear(*ring, internal_registered_ring | internal_registered_register);
    return result;
}

int io_uring_close_ring_fd(io_uring* ring) {
    if (!(ring->features & IORING_FEAT_REG_REG_RING)) return -EOPNOTSUPP;
    if (!has(*ring, internal_registered_ring)) return -EINVAL;
    if (ring->ring_fd < 0) return -EBADF;
    provider::close(owner(*ring), ring->ring_fd);
    ring->ring_fd = -1;
    return 1;
}

int io_uring_enable_rings(io_uring* ring) { return register_call(*ring, IORING_REGISTER_ENABLE_RINGS, nullptr, 0); }

int io_uring_resize_rings(io_uring* ring, io_uring_params* p) {
    // The new memory would have to come from the program.
    if (ring->flags & IORING_SETUP_NO_MMAP) return -EINVAL;
    // Published entries move to the new queues. SQEs that were only handed out would be lost, so publish them first.
    publish_sqes(*ring);
    const int error = register_call(*ring, IORING_REGISTER_RESIZE_RINGS, p, 1);
    if (error < 0) return error;
    // The old memory is no ring any more, so the call cannot be undone from here on.
    unmap_rings(*ring);
    p->flags |= ring->flags;
    p->features = ring->features;
    const int unmapped = map_rings(*ring, ring->ring_fd, *p);
    if (unmapped != 0) return unmapped;
    point_into_rings(*ring, *p);
    return 0;
}

int io_uring_set_iowait(io_uring* ring, bool enable_iowait) {
    if (!(ring->features & IORING_FEAT_NO_IOWAIT)) return -EOPNOTSUPP;
    if (enable_iowait) clear(*ring, internal_no_iowait);
    else set(*ring, internal_no_iowait);
    return 0;
}
