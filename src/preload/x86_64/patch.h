// Writes a jump into code that other threads may be running.
#pragma once

#include <stdint.h>

#include "preload/x86_64/call_site.h"

namespace ringside::preload {

// Whether the site's bytes lie so that they can be changed while they are run, and whether the kernel helps.
bool can_patch(const CallSite& site);

// Puts a jump to `trampoline` into the place of the site's load. The caller is no thread that is about to run it.
// Returns false where code cannot be made writable, or where it cannot be made unwritable again: then no more is to be
// changed.
bool patch(const CallSite& site, uintptr_t trampoline);

}  // namespace ringside::preload
