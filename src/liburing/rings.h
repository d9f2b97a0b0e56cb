// Setting up struct io_uring: the steps between a file descriptor and a ring that a program can use.
#pragma once

#include <stddef.h>

#include "liburing/api.h"
#include "provider/provider.h"

namespace ringside::liburing {

// Memory of the program's for a ring. If empty, the library allocates it.
struct ProgramMemory {
    void* address = nullptr;
    size_t size = 0;
};

// Makes a ring. Returns 0, or with IORING_SETUP_NO_MMAP the bytes of memory that were used, or -errno.
int init(provider::Kind kind, unsigned entries, io_uring& ring, io_uring_params& params, ProgramMemory memory);

// IORING_SETUP_NO_MMAP: places the rings and the SQEs before there is a descriptor, and sets the user_addr fields of
// `params`. Returns the bytes used, or -errno.
int place_rings(io_uring& ring, unsigned entries, io_uring_params& params, ProgramMemory memory);

// Maps the rings behind `fd` and the SQEs. Returns 0 or -errno.
int map_rings(io_uring& ring, int fd, const io_uring_params& params);

// Gives up memory that map_rings() or place_rings() took. The ring must be gone by then.
void unmap_rings(io_uring& ring);

// Points the fields of `ring` into memory that is mapped, and fills the index array.
void point_into_rings(io_uring& ring, const io_uring_params& params);

// The last step: the pointers, and what the program may read of flags, features and descriptors.
void finish_setup(io_uring& ring, int fd, const io_uring_params& params);

}  // namespace ringside::liburing
