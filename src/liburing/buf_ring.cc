// Buffer rings: their registration and their memory.
#include <errno.h>
#include <sys/mman.h>

#include "liburing/memory.h"
#include "liburing/owner.h"

using namespace ringside::liburing;

int io_uring_register_buf_ring(io_uring* ring, io_uring_buf_reg* reg, unsigned flags) {
    reg->flags = static_cast<__u16>(reg->flags | flags);
    return register_call(*ring, IORING_REGISTER_PBUF_RING, reg, 1);
}

int io_uring_unregister_buf_ring(io_uring* ring, int bgid) {
    io_uring_buf_reg reg = {};
    reg.bgid = static_cast<__u16>(bgid);
    return register_call(*ring, IORING_UNREGISTER_PBUF_RING, &reg, 1);
}

io_uring_buf_ring* io_uring_setup_buf_ring(io_uring* ring, unsigned nentries, int bgid, unsigned flags, int* err) {
    const size_t size = nentries * sizeof(io_uring_buf);
    *err = 0;
    void* const memory = map(-1, 0, size, MAP_PRIVATE, err);
    if (memory == nullptr) return nullptr;

    io_uring_buf_reg reg = {};
    reg.ring_addr = uring_ptr_to_u64(memory);
    reg.ring_entries = nentries;
    reg.bgid = static_cast<__u16>(bgid);
    *err = io_uring_register_buf_ring(ring, &reg, flags);
    if (*err != 0) {
        unmap(memory, size);
        return nullptr;
    }
    auto* const buffers = static_cast<io_uring_buf_ring*>(memory);
    io_uring_buf_ring_init(buffers);
    return buffers;
}

int io_uring_free_buf_ring(io_uring* ring, io_uring_buf_ring* br, unsigned nentries, int bgid) {
    const int error = io_uring_unregister_buf_ring(ring, bgid);
    if (error != 0) return error;
    unmap(br, nentries * sizeof(io_uring_buf));
    return 0;
}

int io_uring_buf_ring_head(io_uring* ring, int buf_group, uint16_t* head) {
    io_uring_buf_status status = {};
    status.buf_group = static_cast<__u32>(buf_group);
    const int error = register_call(*ring, IORING_REGISTER_PBUF_STATUS, &status, 1);
    if (error == 0) *head = static_cast<uint16_t>(status.head);
    return error;
}
