// The descriptor that a program polls: raise_readiness() and lower_readiness() of service/readiness.cc, by the thread
// that completes and by the helper, against a program that polls it, reaps from memory and polls again.
#include "model/verdict.h"

namespace ringside::model {
namespace {

enum class Flaw { none, helper_without_lock, lowers_without_looking };

struct Readiness {
    static constexpr unsigned threads = 3, posts = 2;
    static constexpr const char* names[threads] = {"engine", "helper", "program"};
    enum Who { engine, helper, program };
    enum Word { lock, tail, head, eventfd, words };
    enum Engine : uint8_t { take_lock, publish, raise, let_go };
    enum Helper : uint8_t { enter, look, lower, leave };
    enum Program : uint8_t { poll, reap };

    struct State {
        Memory<threads, words> memory;
        uint8_t at[threads];
        uint8_t posted;
        uint8_t raised;  // Readiness::raised, under the lock
        uint8_t reaped;
    };

    Flaw flaw = Flaw::none;

    Step step(State& state, unsigned me) const {
        return me == engine ? complete(state) : me == helper ? look_after(state) : use(state);
    }

    std::string wrong(const State&) const { return ""; }
    std::string stuck(const State& state) const {
        if (state.reaped != posts) return "the program sleeps over a completion";
        return state.memory.in_memory(eventfd) ? "the descriptor stays readable" : "";
    }

  private:
    static Step complete(State& state) {
        auto& memory = state.memory;
        uint8_t& at = state.at[engine];
        switch (at) {
            case take_lock:
                if (state.posted == posts) return Step::ended;
                if (!acquire(state, engine, lock)) return Step::blocked;
                ++state.posted;
                at = publish;
                return Step::moved;
            case publish:
                if (!memory.store(engine, tail, state.posted)) return Step::blocked;
                at = raise;
                return Step::moved;
            case raise:
                // A system call.
                if (!memory.is_drained(engine)) return Step::blocked;
                state.raised = 1;
                memory.at_once(eventfd) = 1;
                at = let_go;
                return Step::moved;
            default:
                if (!release(state, engine, lock)) return Step::blocked;
                at = take_lock;
                return Step::moved;
        }
    }

    // The helper comes again and again, as long as it may be of use.
    Step look_after(State& state) const {
        auto& memory = state.memory;
        uint8_t& at = state.at[helper];
        const bool locks = flaw != Flaw::helper_without_lock;
        switch (at) {
            case enter:
                if (!state.raised) return Step::blocked;
                if (locks && !acquire(state, helper, lock)) return Step::blocked;
                at = look;
                return Step::moved;
            case look: {
                const bool empty = memory.load(helper, tail) == memory.load(helper, head);
                at = state.raised && (empty || flaw == Flaw::lowers_without_looking) ? lower : leave;
                return Step::moved;
            }
            case lower:
                state.raised = 0;
                memory.at_once(eventfd) = 0;
                at = leave;
                return Step::moved;
            default:
                if (locks && !release(state, helper, lock)) return Step::blocked;
                at = enter;
                return Step::moved;
        }
    }

    static Step use(State& state) {
        auto& memory = state.memory;
        uint8_t& at = state.at[program];
        if (at == poll) {
            if (state.reaped == posts) return Step::ended;
            // A system call, which waits.
            if (!memory.is_drained(program) || !memory.in_memory(eventfd)) return Step::blocked;
            at = reap;
            return Step::moved;
        }
        const uint8_t seen = memory.load(program, tail);
        if (!memory.store(program, head, seen)) return Step::blocked;
        state.reaped = seen;
        at = poll;
        return Step::moved;
    }
};

TEST(ReadinessModel, tells_of_each_completion_and_then_falls_silent) { expect_good(explore(Readiness{})); }

class BrokenReadiness : public testing::TestWithParam<Flaw> {};

TEST_P(BrokenReadiness, leaves_the_program_asleep) {
    expect_wrong(explore(Readiness{GetParam()}), "the program sleeps over a completion");
}

INSTANTIATE_TEST_SUITE_P(Model, BrokenReadiness,
                         testing::Values(Flaw::helper_without_lock, Flaw::lowers_without_looking));

}  // namespace
}  // namespace ringside::model
