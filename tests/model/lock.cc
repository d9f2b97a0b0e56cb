// Lock of os/lock.h: acquire(), acquire_contended() and release(), by three threads that each take it twice.
#include "model/verdict.h"

namespace ringside::model {
namespace {

enum class Flaw { none, never_wakes, forgets_other_sleepers, leaves_by_a_store };

struct LockModel {
    static constexpr unsigned threads = 3, rounds = 2;
    static constexpr const char* names[threads] = {"first", "second", "third"};
    enum Word { lock_word, words };
    enum Lock : uint8_t { unlocked, locked, contended };
    enum Place : uint8_t { try_it, mark_contended, sleep, inside, let_go, wake };

    struct State {
        Memory<threads, words> memory;
        uint8_t at[threads];
        uint8_t done[threads];
        uint8_t asleep[threads];
    };

    Flaw flaw = Flaw::none;
    bool wakes_last = false;

    Step step(State& state, unsigned me) const {
        if (state.done[me] == rounds) return Step::ended;
        if (state.asleep[me]) return Step::blocked;
        uint8_t& at = state.at[me];
        switch (at) {
            case try_it:
            case mark_contended:
                return take(state, me, at);
            case sleep:
                at = flaw == Flaw::forgets_other_sleepers ? try_it : mark_contended;
                return futex_wait(state, me, lock_word, contended);
            case inside:
                at = let_go;
                return Step::moved;
            case let_go:
                return release(state, me, at);
            default:
                at = try_it;
                ++state.done[me];
                return futex_wake(state, me, wakes_last);
        }
    }

    std::string wrong(const State& state) const {
        const auto holds = [](uint8_t at) { return at == inside || at == let_go; };
        return std::count_if(state.at, state.at + threads, holds) > 1 ? "two hold the lock" : "";
    }

    std::string stuck(const State& state) const {
        return std::count(state.done, state.done + threads, rounds) == threads ? "" : "somebody sleeps for ever";
    }

  private:
    // compare_exchange(unlocked, locked), or exchange(contended) for one that has seen it held.
    static Step take(State& state, unsigned me, uint8_t& at) {
        if (!state.memory.is_drained(me)) return Step::blocked;
        uint8_t& word = state.memory.at_once(lock_word);
        const bool was_free = word == unlocked;
        if (at == mark_contended) {
            word = contended;
            at = was_free ? inside : sleep;
        } else {
            if (was_free) word = locked;
            at = was_free ? inside : mark_contended;
        }
        return Step::moved;
    }

    Step release(State& state, unsigned me, uint8_t& at) const {
        const uint8_t before = state.memory.load(me, lock_word);
        if (flaw == Flaw::leaves_by_a_store) {
            if (!state.memory.store(me, lock_word, unlocked)) return Step::blocked;
        } else {
            if (!state.memory.is_drained(me)) return Step::blocked;
            state.memory.at_once(lock_word) = unlocked;
        }
        const bool wakes = before == contended && flaw != Flaw::never_wakes;
        at = wakes ? wake : try_it;
        if (!wakes) ++state.done[me];
        return Step::moved;
    }
};

TEST(LockModel, excludes_and_wakes) {
    expect_good(explore(LockModel{}));
    expect_good(explore(LockModel{Flaw::none, true}));
}

TEST(LockModel, sleeps_for_ever_if_nobody_is_woken) {
    expect_wrong(explore(LockModel{Flaw::never_wakes}), "somebody sleeps for ever");
}

// Released by a look and a store in place of an exchange, it is marked contended in between, and the mark is lost.
TEST(LockModel, sleeps_for_ever_if_it_is_released_in_two_steps) {
    expect_wrong(explore(LockModel{Flaw::leaves_by_a_store}), "somebody sleeps for ever");
}

// Who was woken and takes the lock must leave the mark that others may sleep still.
TEST(LockModel, sleeps_for_ever_if_who_was_woken_forgets_the_others) {
    expect_wrong(explore(LockModel{Flaw::forgets_other_sleepers}), "somebody sleeps for ever");
}

}  // namespace
}  // namespace ringside::model
