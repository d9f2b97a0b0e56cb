// The liburing API as the library's own files see it: everything that liburing.h and ringside/provider.h declare is
// exported from the shared library, and nothing else is. Each .cc of this folder includes this file first.
#pragma once

#pragma GCC visibility push(default)
#include "liburing.h"
#include "ringside/provider.h"
#pragma GCC visibility pop
