// SQEs and arguments of any bytes, made such that they name no memory outside of the arena and no descriptor that is
// not for requests.
#pragma once

#include <cstddef>
#include <span>

#include "liburing/io_uring.h"

namespace ringside::fuzz {

// Descriptors that requests may name freely: a world's files, rings, and what requests open themselves.
int tame_fd(int fd);

// `entry` is one SQE or, with 128 bytes, one with its tail.
void tame_entry(std::span<std::byte> entry);

// An array of descriptors.
void tame_descriptors(std::span<std::byte> bytes);

}  // namespace ringside::fuzz
