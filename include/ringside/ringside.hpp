// The C++20 API: io_uring, the kernel's or ringside's own, with RAII and with results that carry their errno. Only
// constructors throw.
#pragma once

#include "ringside/options.hpp"
#include "ringside/result.hpp"
#include "ringside/ring.hpp"
