// Writes a jump into code that other threads may be running.
#pragma once

#include <stdint.h>

#include "preload/x86_64/call_site.h"

namespace ringside::preload {

// Whether the site's bytes lie so that they can be changed while they are run, and whether the kernel helps.
bool can_patch(const CallSite& site);

// Replaces the site's load by a jump to `trampoline`. The calling thread must not be about to run the site. Returns
// false if the code cannot be made writable, or cannot be made read-only again. The caller must not change more code
// then.
bool patch(const CallSite& site, uintptr_t trampoline);

}  // namespace ringside::preload
