// The other thread of a hostile program: while a ring is entered, it rewrites the words and the entries that are being
// read.
#pragma once

#include <cstddef>
#include <span>

#include "fuzz/step.h"
#include "state/ring.h"

namespace ringside::fuzz {

class Scribbler {
  public:
    // `entries` are SQEs, tamed, to choose from.
    Scribbler(engine::Ring& ring, std::span<const io_uring_sqe> entries);
    ~Scribbler();
    Scribbler(const Scribbler&) = delete;
    Scribbler& operator=(const Scribbler&) = delete;
};

// Starts the thread; without this, a Scribbler does nothing.
void start_scribbling();

}  // namespace ringside::fuzz
