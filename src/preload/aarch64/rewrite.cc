#include "preload/rewrite.h"

namespace ringside::preload {

// Not yet written for this processor: its call sites stay trapped.
void prepare_rewriting() {}
void consider_rewriting(uintptr_t) {}

}  // namespace ringside::preload
