// Whether anything in this process could still move by itself. The lab does not guess how long to wait for requests: a
// request that is still in flight when every other thread sleeps, the kernel's workers among them, stays there until
// somebody does something (or a timer fires, which Settle::linger_us is for).
#pragma once

namespace ringside::lab {

// True if each thread but the caller sleeps.
bool other_threads_sleep();

}  // namespace ringside::lab
