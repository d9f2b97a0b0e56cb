// The C++20 API: io_uring, the kernel's or ringside's own, with RAII and with results that carry their errno. Only
// constructors throw. Compiles with -fno-exceptions too; then they abort, and make() takes their place.
#pragma once

#ifndef __cpp_concepts
#error "ringside/ringside.hpp needs C++20: -std=c++20, or target_compile_features(... cxx_std_20) with CMake"
#endif

#include "ringside/buffers.hpp"
#include "ringside/combine.hpp"
#include "ringside/descriptor.hpp"
#include "ringside/files.hpp"
#include "ringside/io.hpp"
#include "ringside/link.hpp"
#include "ringside/operations.hpp"
#include "ringside/options.hpp"
#include "ringside/result.hpp"
#include "ringside/ring.hpp"
#include "ringside/scope.hpp"
#include "ringside/sockets.hpp"
#include "ringside/stop.hpp"
#include "ringside/streams.hpp"
#include "ringside/task.hpp"
