// Does what an input says, step by step.
#pragma once

#include <span>
#include <vector>

#include "entry/engine.h"
#include "fuzz/step.h"
#include "state/ring.h"

namespace ringside::fuzz {

class Machine {
  public:
    explicit Machine(std::span<const Step> steps);

    // All of it, to the end of the last ring.
    void run();

  private:
    struct Rig {
        int name;  // a descriptor, or a registered index
        bool by_index;
        engine::Ring* ring;
    };

    void take(const Step& step);
    void forget_unregistered();
    void rein_in();
    void set_up(const Step& step);
    void write_entry(const Step& step, unsigned slot);
    void submit(const Step& step);
    void set_index(const Step& step);
    void enter(const Step& step);
    void register_call(const Step& step);
    void reap(const Step& step);
    void provide(const Step& step);
    void poll(const Step& step);
    void close_file(const Step& step);
    void close_ring(size_t index);

    Rig& rig_of(const Step& step) { return rigs_[step.ring % rigs_.size()]; }

    std::span<const Step> steps_;
    std::vector<io_uring_sqe> entries_;  // all that the steps bring, for who scribbles
    std::vector<Rig> rigs_;
    // Pages that hold something which the engine looks at directly must stay.
    bool memory_stays_ = false;
};

}  // namespace ringside::fuzz
