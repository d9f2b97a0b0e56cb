// The layout of struct io_uring, checked by the compiler. Programs that were built against liburing read and write
// these fields inline, so a failure here is never fixed by changing the number.
#include "abi/layout.h"
#include "liburing/types.h"

SIZE(io_uring_sq, 104);
FIELD(io_uring_sq, khead, 0, 8);
FIELD(io_uring_sq, ktail, 8, 8);
FIELD(io_uring_sq, kring_mask, 16, 8);
FIELD(io_uring_sq, kring_entries, 24, 8);
FIELD(io_uring_sq, kflags, 32, 8);
FIELD(io_uring_sq, kdropped, 40, 8);
FIELD(io_uring_sq, array, 48, 8);
FIELD(io_uring_sq, sqes, 56, 8);
FIELD(io_uring_sq, sqe_head, 64, 4);
FIELD(io_uring_sq, sqe_tail, 68, 4);
FIELD(io_uring_sq, ring_sz, 72, 8);
FIELD(io_uring_sq, ring_ptr, 80, 8);
FIELD(io_uring_sq, ring_mask, 88, 4);
FIELD(io_uring_sq, ring_entries, 92, 4);
FIELD(io_uring_sq, sqes_sz, 96, 4);
FIELD(io_uring_sq, pad, 100, 4);

SIZE(io_uring_cq, 88);
FIELD(io_uring_cq, khead, 0, 8);
FIELD(io_uring_cq, ktail, 8, 8);
FIELD(io_uring_cq, kring_mask, 16, 8);
FIELD(io_uring_cq, kring_entries, 24, 8);
FIELD(io_uring_cq, kflags, 32, 8);
FIELD(io_uring_cq, koverflow, 40, 8);
FIELD(io_uring_cq, cqes, 48, 8);
FIELD(io_uring_cq, ring_sz, 56, 8);
FIELD(io_uring_cq, ring_ptr, 64, 8);
FIELD(io_uring_cq, ring_mask, 72, 4);
FIELD(io_uring_cq, ring_entries, 76, 4);
FIELD(io_uring_cq, pad, 80, 8);

SIZE(io_uring, 216);
FIELD(io_uring, sq, 0, 104);
FIELD(io_uring, cq, 104, 88);
FIELD(io_uring, flags, 192, 4);
FIELD(io_uring, ring_fd, 196, 4);
FIELD(io_uring, features, 200, 4);
FIELD(io_uring, enter_ring_fd, 204, 4);
FIELD(io_uring, int_flags, 208, 1);
FIELD(io_uring, pad, 209, 3);
FIELD(io_uring, pad2, 212, 4);
