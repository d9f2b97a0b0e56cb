// The code that a rewritten call site jumps to.
#pragma once

#include <stdint.h>

#include "preload/x86_64/call_site.h"

namespace ringside::preload {

// Puts a trampoline where the site's jump can reach it. Returns its address, or 0 where there is no room or where code
// may not be made. It stays for good.
uintptr_t make_trampoline(const CallSite& site);

}  // namespace ringside::preload
