// What is left to do when a splice has ended.
#pragma once

namespace ringside::engine {

// Whether the engine has ever spliced. splice(2) disables RWF_NOWAIT on its pipe for good; io_uring's splice does
// not.
bool has_spliced();

}  // namespace ringside::engine
