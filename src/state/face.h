// What a ring's file descriptor is.
#pragma once

#include <stdint.h>

namespace ringside::engine {

enum class Face : uint8_t {
    // A sparse memfd: the program maps it itself at IORING_OFF_SQ_RING and so on, as it would map a kernel ring. It
    // cannot be polled: the preload library polls readiness_fd() in its place.
    mappable,
    // An eventfd that is readable while completions wait: for callers that let map() give them the memory.
    pollable,
};

}  // namespace ringside::engine
