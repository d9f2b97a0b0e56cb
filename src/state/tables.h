// The tables that a program registers for its requests: files (resource/fixed_files.h), buffers
// (resource/registered_buffers.h) and groups of buffers to select from (resource/provided_buffers.h).
//
// Guarded by the ring's lock.
#pragma once

#include <stdint.h>

#include "memory/locked_memory.h"

namespace ringside::engine {

struct BufferGroup;

struct FixedFile {
    int fd;            // our own; -1 of one in the engine's own table
    unsigned holders;  // the slot, and each request in flight that uses it
    uint64_t tag;      // user_data of the completion that tells that the last of them let go; 0 for none
    bool is_kept;      // it is a KeptFile, in the engine's own table (service/keeper.h)
    bool on_disk;      // or not known: the process may have record locks on it (os/record_locks.h)

    // What kind of socket it is (SOCK_...), or one of these.
    static constexpr int16_t not_asked = 0, no_socket = -1;
    int16_t socket_type = not_asked;
};

struct FixedFiles {
    FixedFile** slots = nullptr;
    uint32_t count = 0;        // 0: there is no table
    uint32_t range_begin = 0;  // where IORING_FILE_INDEX_ALLOC looks for an empty slot, to range_end
    uint32_t range_end = 0;
    uint32_t hint = 0;  // where it begins to look

    FixedFile* find(uint32_t index) const { return index < count ? slots[index] : nullptr; }
};

// The descriptor of the program's that a batch of requests had to hold last. From the second of them on they share one
// of ours, until the batch closes the program's, which may then come to stand for another file.
struct HeldByBatch {
    uint32_t since = 0;  // what Poller::registrations was when it began
    int fd = -1;
    FixedFile* file = nullptr;  // null for the first
};

struct RegisteredBuffer {
    uint64_t address;
    uint64_t length;
    uint64_t tag;      // user_data of the completion that tells that the last holder let go; 0 for none
    unsigned holders;  // the slot, and each request in flight that uses it
    LockedMemory* locked;

    bool contains(uint64_t from, uint64_t size) const {
        uint64_t end;
        return from >= address && !__builtin_add_overflow(from, size, &end) && end <= address + length;
    }
};

struct RegisteredBuffers {
    RegisteredBuffer** slots = nullptr;
    uint32_t count = 0;  // 0: there is no table

    RegisteredBuffer* find(uint32_t index) const { return index < count ? slots[index] : nullptr; }
};

// A buffer of a classic group.
struct ProvidedBuffer {
    ProvidedBuffer* next;
    uint64_t address;
    uint32_t length;
    uint16_t id;
};

// The groups of a ring by their id, in a table of two levels, both made when they are needed.
struct ProvidedBuffers {
    BufferGroup*** pages = nullptr;
    ProvidedBuffer* spare = nullptr;  // used up and not yet provided again
    uint32_t rings_made = 0;          // buffer rings, so far
};

}  // namespace ringside::engine
