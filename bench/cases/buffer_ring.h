// A ring of buffers that the kernel, or the engine, picks from: group 0.
#pragma once

#include <stdlib.h>

#include "ring.h"

namespace bench {

class BufferRing {
  public:
    BufferRing(io_uring* ring, unsigned count, unsigned size) : ring_(ring), count_(count), size_(size) {
        if (posix_memalign(&entries_, 4096, count * sizeof(io_uring_buf)) != 0) die("posix_memalign", ENOMEM);
        memory_ = static_cast<char*>(malloc(static_cast<size_t>(count) * size));
        io_uring_buf_reg registration = {};
        registration.ring_addr = reinterpret_cast<uintptr_t>(entries_);
        registration.ring_entries = count;
        if (const int result = io_uring_register_buf_ring(ring, &registration, 0); result < 0)
            die("io_uring_register_buf_ring", result);
        io_uring_buf_ring_init(shared());
        for (unsigned id = 0; id < count; ++id) add(id, id);
        io_uring_buf_ring_advance(shared(), static_cast<int>(count));
    }
    ~BufferRing() {
        io_uring_unregister_buf_ring(ring_, 0);
        free(entries_);
        free(memory_);
    }
    BufferRing(const BufferRing&) = delete;
    BufferRing& operator=(const BufferRing&) = delete;

    char* buffer(unsigned id) { return memory_ + static_cast<size_t>(id) * size_; }

    void give_back(unsigned id) {
        add(id, 0);
        io_uring_buf_ring_advance(shared(), 1);
    }

  private:
    io_uring_buf_ring* shared() { return static_cast<io_uring_buf_ring*>(entries_); }
    void add(unsigned id, unsigned place) {
        io_uring_buf_ring_add(shared(), buffer(id), size_, static_cast<unsigned short>(id),
                              io_uring_buf_ring_mask(count_), static_cast<int>(place));
    }

    io_uring* ring_;
    unsigned count_;
    unsigned size_;
    void* entries_ = nullptr;
    char* memory_;
};

}  // namespace bench
