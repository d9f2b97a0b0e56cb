// Which rings the calling thread is inside of, holding their locks or about to. A signal may interrupt it there, and
// the signal's handler may call for the same ring: it would wait for itself. So a handler's io_uring_enter is put off
// until the interrupted call is through, or goes to sleep; what cannot be put off is refused with -EDEADLK.
//
// One thread and its handlers are all that looks at this, so that the order of instructions is enough.
#pragma once

#include <atomic>

namespace ringside::engine {

struct Ring;

// What handlers wanted of a ring, if anything.
struct PutOff {
    bool wanted;
    unsigned generation;  // of the ring
    unsigned to_submit;
    unsigned flags;
};

// Stands on the stack of the call that is inside.
struct Inside {
    explicit Inside(Ring& ring_entered);
    ~Inside() { leave(); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

    // To be called without the ring's lock.
    void leave();

    Ring& ring;
    Inside* outer;
    PutOff put_off;
};

inline constinit thread_local Inside* innermost = nullptr;

// Does what was put off (entry/enter.cc).
void make_up_for(Ring& ring, const PutOff& put_off);

inline Inside::Inside(Ring& ring_entered) : ring(ring_entered), outer(innermost) {
    put_off.wanted = false;
    innermost = this;
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

inline void Inside::leave() {
    // A handler comes before this, and is heard of below, or behind it, and is not inside any more.
    innermost = outer;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (__builtin_expect(put_off.wanted, 0)) make_up_for(ring, put_off);
}

// The call of this thread that is inside the ring and that a signal has interrupted, or null.
inline Inside* find_interrupted(const Ring& ring) {
    Inside* at = innermost;
    while (at != nullptr && &at->ring != &ring) at = at->outer;
    return at;
}

// While the innermost call sleeps it is not inside. It has let go of the ring's lock before.
class Asleep {
  public:
    Asleep();
    ~Asleep();
    Asleep(const Asleep&) = delete;
    Asleep& operator=(const Asleep&) = delete;

  private:
    Inside* sleeper_;
};

}  // namespace ringside::engine
