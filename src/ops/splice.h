// What is left to do when a splice has ended.
#pragma once

namespace ringside::engine {

// Whether the engine has ever spliced. splice(2) has the pipe that it was given forget RWF_NOWAIT for good, which
// io_uring does not.
bool has_spliced();

}  // namespace ringside::engine
