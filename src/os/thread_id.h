// The calling thread's id, as gettid(2) tells it, which is asked once a thread.
#pragma once

namespace ringside::engine {

int this_thread_id();

// In a child after fork, whose thread has another.
void forget_thread_id();

}  // namespace ringside::engine
