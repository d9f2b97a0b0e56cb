// Every interleaving of a few small programs, for the parts of the engine that work without a lock or make one.
//
// A model is a state of a few bytes and, for each thread, a step function that does one access to shared memory and
// moves on. The explorer goes through all orders in which the threads can take their steps, depth first, and through
// each state once; what is wrong with a state, or with one in which nobody can go on, ends it with the way there.
//
// Memory is as processors have it: a store goes into its thread's buffer, where only that thread sees it, and from
// there to memory some time later. Buffered stores to different words may arrive in any order, except that what is
// released arrives after all that was stored before it. On x86, where all arrive in order, less can happen.
// Instructions that read and write at once, and system calls, wait until the buffer is empty. Loads are done in order.
#pragma once

#include <stdint.h>

#include <algorithm>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <vector>

namespace ringside::model {

enum class Step { moved, blocked, ended };
enum class Order : uint8_t { relaxed, release };

template <unsigned threads, unsigned words>
class Memory {
  public:
    uint8_t load(unsigned thread, unsigned word) const {
        for (unsigned i = counts_[thread]; i-- > 0;) {
            if (buffers_[thread][i].word == word) return buffers_[thread][i].value;
        }
        return values_[word];
    }
    // Returns false while there is no room in the buffer.
    bool store(unsigned thread, unsigned word, unsigned value, Order order = Order::release) {
        uint8_t& count = counts_[thread];
        if (count == depth) return false;
        buffers_[thread][count++] = {static_cast<uint8_t>(word), static_cast<uint8_t>(value), order};
        return true;
    }

    // For instructions that read and write at once, barriers and system calls.
    bool is_drained(unsigned thread) const { return counts_[thread] == 0; }
    uint8_t& at_once(unsigned word) { return values_[word]; }
    uint8_t in_memory(unsigned word) const { return values_[word]; }

    unsigned buffered(unsigned thread) const { return counts_[thread]; }
    // Whether this one of the buffered stores may arrive now; and has it arrive.
    bool may_arrive(unsigned thread, unsigned index) const {
        const Store& store = buffers_[thread][index];
        for (unsigned i = 0; i < index; ++i) {
            if (store.order == Order::release || buffers_[thread][i].word == store.word) return false;
        }
        return true;
    }
    void arrive(unsigned thread, unsigned index) {
        Store* const buffer = buffers_[thread];
        values_[buffer[index].word] = buffer[index].value;
        std::move(buffer + index + 1, buffer + counts_[thread], buffer + index);
        buffer[--counts_[thread]] = {};
    }

  private:
    static constexpr unsigned depth = 4;
    struct Store {
        uint8_t word;
        uint8_t value;
        Order order;
    };
    uint8_t values_[words];
    uint8_t counts_[threads];
    Store buffers_[threads][depth];
};

struct Verdict {
    size_t states = 0;
    std::string wrong;               // what is, or nothing
    std::vector<std::string> trace;  // who moved, on the way there

    bool good() const { return wrong.empty(); }
};

// A Model has a State, with a Memory called `memory`; the number of its `threads`; step(state, thread); wrong(state)
// for any state, and stuck(state) for one in which nobody moves any more, both of which return "" where all is well.
template <typename Model>
class Explorer {
  public:
    explicit Explorer(const Model& model) : model_(model) {}

    Verdict run() {
        visit(typename Model::State{});
        verdict_.states = seen_.size();
        return verdict_;
    }

  private:
    using State = typename Model::State;
    static_assert(std::has_unique_object_representations_v<State>, "states are compared byte by byte");

    // Returns false when something was found.
    bool visit(const State& state) {
        if (!seen_.insert(std::string(reinterpret_cast<const char*>(&state), sizeof(state))).second) return true;
        if (is_wrong(model_.wrong(state))) return false;
        bool moved = false;
        for (unsigned thread = 0; thread < Model::threads; ++thread) {
            State next = state;
            if (model_.step(next, thread) == Step::moved) {
                moved = true;
                if (!follow(next, thread, "moves")) return false;
            }
            for (unsigned i = 0; i < state.memory.buffered(thread); ++i) {
                if (!state.memory.may_arrive(thread, i)) continue;
                moved = true;
                next = state;
                next.memory.arrive(thread, i);
                if (!follow(next, thread, "has a store arrive")) return false;
            }
        }
        return moved || !is_wrong(model_.stuck(state));
    }

    bool follow(const State& next, unsigned thread, const char* what) {
        verdict_.trace.push_back(std::string(Model::names[thread]) + " " + what);
        if (!visit(next)) return false;
        verdict_.trace.pop_back();
        return true;
    }

    bool is_wrong(const std::string& what) {
        verdict_.wrong = what;
        return !what.empty();
    }

    const Model& model_;
    std::unordered_set<std::string> seen_;
    Verdict verdict_;
};

template <typename Model>
Verdict explore(const Model& model) {
    return Explorer<Model>(model).run();
}

// A lock on a single word, of which the model is tests/model/lock.cc. Both return false while they have to wait.
template <typename State>
bool acquire(State& state, unsigned thread, unsigned word) {
    if (!state.memory.is_drained(thread) || state.memory.in_memory(word)) return false;
    state.memory.at_once(word) = 1;
    return true;
}
template <typename State>
bool release(State& state, unsigned thread, unsigned word) {
    if (!state.memory.is_drained(thread)) return false;
    state.memory.at_once(word) = 0;
    return true;
}

// The futex calls, for a model whose state says in `asleep` who sleeps, on a single word.
template <typename State>
Step futex_wait(State& state, unsigned thread, unsigned word, uint8_t expected) {
    if (!state.memory.is_drained(thread)) return Step::blocked;
    state.asleep[thread] = state.memory.in_memory(word) == expected;
    return Step::moved;
}

// Which of the sleepers wakes is the kernel's choice; here it is the first or the last, as `from_the_end` says.
template <typename State>
Step futex_wake(State& state, unsigned thread, bool from_the_end = false) {
    if (!state.memory.is_drained(thread)) return Step::blocked;
    auto& asleep = state.asleep;
    const unsigned count = sizeof(asleep);
    for (unsigned i = 0; i < count; ++i) {
        uint8_t& sleeper = asleep[from_the_end ? count - 1 - i : i];
        if (!sleeper) continue;
        sleeper = 0;
        break;
    }
    return Step::moved;
}

}  // namespace ringside::model
