#include "process/inside.h"

namespace ringside::engine {

Asleep::Asleep() : sleeper_(innermost) {
    // A thread of our own is inside without saying so: it gets no signals.
    if (sleeper_ == nullptr) return;
    sleeper_->leave();
    sleeper_->put_off.wanted = false;
}

Asleep::~Asleep() {
    innermost = sleeper_;
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace ringside::engine
