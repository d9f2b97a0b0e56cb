// IORING_SQ_NEED_WAKEUP: sleep_until_woken() and wake_sqpoll() of service/sqpoll.cc against a program that queues
// entries as io_uring(7) has it.
#include "model/verdict.h"

namespace ringside::model {
namespace {

enum class Flaw {
    none,
    program_without_barrier,
    flag_by_a_store,
    looks_before_the_flag,
    looks_at_the_bell_last,
};

struct SqPollModel {
    static constexpr unsigned threads = 2, entries = 3;
    static constexpr const char* names[threads] = {"program", "submission thread"};
    enum Who { program, thread };
    enum Word { sq_tail, need_wakeup, bell, words };
    // What the program does, and the thread.
    enum Program : uint8_t { queue, barrier, look_at_flag, ring_bell, wake };
    enum Thread : uint8_t { look, remember_bell, set_flag, look_again, sleep, clear_flag };

    struct State {
        Memory<threads, words> memory;
        uint8_t asleep[threads];
        uint8_t at[threads];
        uint8_t queued, taken, seen_tail, seen_bell;
    };

    Flaw flaw = Flaw::none;

    Step step(State& state, unsigned me) const {
        if (state.asleep[me]) return Step::blocked;
        return me == program ? queue_entries(state) : take_entries(state);
    }

    std::string wrong(const State&) const { return ""; }
    std::string stuck(const State& state) const {
        return state.taken == entries ? "" : "the thread sleeps over an entry";
    }

  private:
    Step queue_entries(State& state) const {
        auto& memory = state.memory;
        uint8_t& at = state.at[program];
        switch (at) {
            case queue:
                if (state.queued == entries) return Step::ended;
                if (!memory.store(program, sq_tail, state.queued + 1U)) return Step::blocked;
                ++state.queued;
                at = flaw == Flaw::program_without_barrier ? look_at_flag : barrier;
                return Step::moved;
            case barrier:
                if (!memory.is_drained(program)) return Step::blocked;
                at = look_at_flag;
                return Step::moved;
            case look_at_flag:
                at = memory.load(program, need_wakeup) ? ring_bell : queue;
                return Step::moved;
            case ring_bell:
                if (!memory.is_drained(program)) return Step::blocked;
                ++memory.at_once(bell);
                at = wake;
                return Step::moved;
            default:
                at = queue;
                return futex_wake(state, program);
        }
    }

    Step take_entries(State& state) const {
        auto& memory = state.memory;
        uint8_t& at = state.at[thread];
        switch (at) {
            case look:
                state.seen_tail = memory.load(thread, sq_tail);
                if (state.seen_tail != state.taken) {
                    state.taken = state.seen_tail;
                } else {
                    at = flaw == Flaw::looks_at_the_bell_last ? set_flag : remember_bell;
                }
                return Step::moved;
            case remember_bell:
                state.seen_bell = memory.load(thread, bell);
                at = flaw == Flaw::looks_at_the_bell_last ? sleep : set_flag;
                return Step::moved;
            case set_flag:
                return raise_flag(state, at);
            case look_again:
                state.seen_tail = memory.load(thread, sq_tail);
                at = state.seen_tail != state.taken         ? clear_flag
                     : flaw == Flaw::looks_at_the_bell_last ? remember_bell
                                                            : sleep;
                return Step::moved;
            case sleep:
                at = clear_flag;
                return futex_wait(state, thread, bell, state.seen_bell);
            default:
                if (!memory.is_drained(thread)) return Step::blocked;
                memory.at_once(need_wakeup) = 0;
                at = look;
                return Step::moved;
        }
    }

    // An instruction that reads and writes at once, which is a barrier too.
    Step raise_flag(State& state, uint8_t& at) const {
        if (flaw == Flaw::flag_by_a_store) {
            if (!state.memory.store(thread, need_wakeup, 1)) return Step::blocked;
        } else {
            if (!state.memory.is_drained(thread)) return Step::blocked;
            state.memory.at_once(need_wakeup) = 1;
        }
        at = flaw == Flaw::looks_before_the_flag ? sleep : look_again;
        return Step::moved;
    }
};

TEST(SqPollModel, takes_every_entry) { expect_good(explore(SqPollModel{})); }

class BrokenSqPoll : public testing::TestWithParam<Flaw> {};

TEST_P(BrokenSqPoll, sleeps_over_an_entry) {
    expect_wrong(explore(SqPollModel{GetParam()}), "the thread sleeps over an entry");
}

INSTANTIATE_TEST_SUITE_P(Model, BrokenSqPoll,
                         testing::Values(Flaw::program_without_barrier, Flaw::flag_by_a_store,
                                         Flaw::looks_before_the_flag, Flaw::looks_at_the_bell_last));

}  // namespace
}  // namespace ringside::model
