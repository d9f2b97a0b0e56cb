// How the engine starts a thread: every signal blocked, a small stack, a name that tells whose it is.
#pragma once

#include <pthread.h>

namespace ringside::engine {

// Starts `body(argument)` in a joinable thread called `name` (15 characters at most). Returns 0 or -errno.
int start_thread(pthread_t& thread, const char* name, void* (*body)(void*), void* argument);

}  // namespace ringside::engine
