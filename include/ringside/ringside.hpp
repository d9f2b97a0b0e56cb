// The C++20 API: io_uring, the kernel's or ringside's own, with RAII and with results that carry their errno. Only
// constructors throw.
#pragma once

#ifndef __cpp_concepts
#error "ringside/ringside.hpp needs C++20: -std=c++20, or target_compile_features(... cxx_std_20) with CMake"
#endif

#include "ringside/options.hpp"
#include "ringside/result.hpp"
#include "ringside/ring.hpp"
