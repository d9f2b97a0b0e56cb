// Makes what a program's requests act on.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "program.h"
#include "provider/provider.h"

namespace ringside::lab {

std::vector<std::byte> pattern(uint8_t fill, uint64_t size);
void write_pattern(int fd, uint8_t fill, uint64_t size);

// A resource of one descriptor, in the working directory; -1 where that fails.
int open_single(provider::Kind kind, const Resource& resource);

// One of two.
bool open_pair(const Resource& resource, int fds[2]);

// A child that has ended, with status 7, and waits to be waited for.
pid_t start_child();

}  // namespace ringside::lab
