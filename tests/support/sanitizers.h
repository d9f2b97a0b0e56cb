// What cannot be tried under a sanitizer, each with its reason. A race, a leak or a fault of ours is never one.
#pragma once

namespace ringside::test {

// After a fork the C library gives the stacks of the parent's threads to new threads of the child, which the thread
// sanitizer takes for those same threads: it ends the process ("dup thread with used id").
#if defined(__SANITIZE_THREAD__)
inline constexpr bool child_may_start_threads = false;
#else
inline constexpr bool child_may_start_threads = true;
#endif

// The address sanitizer keeps what was freed for a while, to find who uses it then, and maps more memory meanwhile.
// (That nothing is lost it sees to by itself.)
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool freed_memory_is_kept = true;
#else
inline constexpr bool freed_memory_is_kept = false;
#endif

}  // namespace ringside::test
