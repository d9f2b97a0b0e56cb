// The table of io_uring_register(2) calls that the generator makes.
#pragma once

#include "builder.h"

namespace ringside::lab {

// Adds some call to the program; false where none fits.
bool add_registration(Builder& builder);

// Adds this call, after those that it needs.
bool add_registration(Builder& builder, uint32_t opcode);

// The calls of the table.
std::vector<uint32_t> known_registrations();

// IORING_REGISTER_ENABLE_RINGS, for rings that start disabled.
void enable_rings(Builder& builder);

}  // namespace ringside::lab
