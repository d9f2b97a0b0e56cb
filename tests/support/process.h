// What this process holds: for tests that nothing is left behind.
#pragma once

#include <stddef.h>

#include <iosfwd>

namespace ringside::test {

struct Holdings {
    size_t fds;
    size_t threads;
    size_t mappings;

    bool operator==(const Holdings&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Holdings& holdings);

// Counted in /proc/self.
size_t count_fds();
size_t count_threads();
size_t count_mappings();
Holdings holdings();

}  // namespace ringside::test
