// Asking a ring which opcodes it knows.
#include <stdlib.h>

#include "liburing/owner.h"

namespace {

constexpr unsigned max_opcodes = 256;

}  // namespace

io_uring_probe* io_uring_get_probe_ring(io_uring* ring) {
    const size_t size = sizeof(io_uring_probe) + max_opcodes * sizeof(io_uring_probe_op);
    auto* const probe = static_cast<io_uring_probe*>(calloc(1, size));
    if (probe == nullptr) return nullptr;
    if (io_uring_register_probe(ring, probe, max_opcodes) == 0) return probe;
    free(probe);
    return nullptr;
}

io_uring_probe* io_uring_get_probe(void) {
    io_uring ring;
    if (io_uring_queue_init(2, &ring, 0) != 0) return nullptr;
    io_uring_probe* const probe = io_uring_get_probe_ring(&ring);
    io_uring_queue_exit(&ring);
    return probe;
}

void io_uring_free_probe(io_uring_probe* probe) { free(probe); }
