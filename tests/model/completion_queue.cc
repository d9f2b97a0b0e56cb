// The indices of the CQ, and IORING_SQ_CQ_OVERFLOW: post(), publish(), keep_overflow() and flush_overflow() of
// path/post.cc against a program that reaps from memory and enters only when the flag tells it to.
//
// The SQ's indices are the same the other way round (path/fetch.cc): who writes the entries is the program there.
#include "model/verdict.h"

namespace ringside::model {
namespace {

enum class Flaw {
    none,
    tail_is_not_released,
    tail_before_the_entry,
    forgets_the_head,
    head_before_the_copy,
    flag_is_not_set,
    flag_cleared_too_soon,
};

struct CompletionQueue {
    static constexpr unsigned threads = 2, slots = 2, posts = 4;
    static constexpr const char* names[threads] = {"engine", "program"};
    enum Who { engine, program };
    enum Word { lock, tail, head, overflow_flag, first_slot, words = first_slot + slots };
    enum Engine : uint8_t { take_lock, write, publish, let_go };
    enum Program : uint8_t { look, copy, consume, look_at_flag, enter, flush, flushed, leave };

    struct State {
        Memory<threads, words> memory;
        uint8_t at[threads];
        uint8_t posted;             // completions that the engine has made
        uint8_t written;            // of those, the ones that lie in the queue: the engine's own tail
        uint8_t reaped, seen_tail;  // the program's
        uint8_t wrong_entry;
    };

    Flaw flaw = Flaw::none;

    Step step(State& state, unsigned me) const { return me == engine ? post(state) : reap(state); }

    std::string wrong(const State& state) const {
        if (state.wrong_entry) return "an entry was read that was not there";
        return state.written > posts ? "more was written than there is" : "";
    }
    std::string stuck(const State& state) const { return state.reaped == posts ? "" : "a completion was never seen"; }

  private:
    // Completion number n has the value n, from 1.
    bool write_next(State& state, unsigned me) const {
        const unsigned used = state.written - state.memory.load(me, head);
        if (used >= slots && flaw != Flaw::forgets_the_head) return false;
        if (!state.memory.store(me, first_slot + state.written % slots, state.written + 1U, Order::relaxed))
            return false;
        ++state.written;
        return true;
    }
    bool has_overflow(const State& state) const { return state.written < state.posted; }
    Order order_of_tail() const { return flaw == Flaw::tail_is_not_released ? Order::relaxed : Order::release; }

    Step post(State& state) const {
        uint8_t& at = state.at[engine];
        switch (at) {
            case take_lock:
                if (state.posted == posts) return Step::ended;
                if (!acquire(state, engine, lock)) return Step::blocked;
                at = flaw == Flaw::tail_before_the_entry ? publish : write;
                return Step::moved;
            case write:
                return write_or_keep(state, at);
            case publish:
                return publish_tail(state, engine, at, flaw == Flaw::tail_before_the_entry ? write : let_go);
            default:
                if (!release(state, engine, lock)) return Step::blocked;
                at = take_lock;
                return Step::moved;
        }
    }

    Step write_or_keep(State& state, uint8_t& at) const {
        // The flag is set by an instruction that reads and writes at once.
        if (!state.memory.is_drained(engine) && flaw != Flaw::tail_before_the_entry) return Step::blocked;
        const bool overflows = has_overflow(state);
        ++state.posted;
        if ((overflows || !write_next(state, engine)) && flaw != Flaw::flag_is_not_set) {
            state.memory.at_once(overflow_flag) = 1;
        }
        at = flaw == Flaw::tail_before_the_entry ? let_go : publish;
        return Step::moved;
    }

    Step publish_tail(State& state, unsigned me, uint8_t& at, uint8_t next) const {
        const bool early = flaw == Flaw::tail_before_the_entry && me == engine;
        if (!state.memory.store(me, tail, state.written + (early ? 1U : 0U), order_of_tail())) return Step::blocked;
        at = next;
        return Step::moved;
    }

    Step reap(State& state) const {
        auto& memory = state.memory;
        uint8_t& at = state.at[program];
        switch (at) {
            case look:
                if (state.reaped == posts) return Step::ended;
                state.seen_tail = memory.load(program, tail);
                at = state.seen_tail == state.reaped      ? look_at_flag
                     : flaw == Flaw::head_before_the_copy ? consume
                                                          : copy;
                return Step::moved;
            case copy: {
                const unsigned index = state.reaped - (flaw == Flaw::head_before_the_copy ? 1U : 0U);
                state.wrong_entry = memory.load(program, first_slot + index % slots) != index + 1;
                at = flaw == Flaw::head_before_the_copy ? look : consume;
                return Step::moved;
            }
            case consume:
                if (!memory.store(program, head, state.reaped + 1U)) return Step::blocked;
                ++state.reaped;
                at = flaw == Flaw::head_before_the_copy ? copy : look;
                return Step::moved;
            case look_at_flag:
                // Nothing moves while it looks in vain.
                if (!memory.load(program, overflow_flag)) return look_again(state, at);
                at = enter;
                return Step::moved;
            default:
                return enter_ring(state, at);
        }
    }

    static Step look_again(State& state, uint8_t& at) {
        if (state.memory.load(program, tail) == state.seen_tail) return Step::blocked;
        at = look;
        return Step::moved;
    }

    // io_uring_enter: what overflowed moves into the queue as far as there is room.
    Step enter_ring(State& state, uint8_t& at) const {
        switch (at) {
            case enter:
                if (!acquire(state, program, lock)) return Step::blocked;
                at = flush;
                return Step::moved;
            case flush:
                while (has_overflow(state) && write_next(state, program)) continue;
                at = flushed;
                return Step::moved;
            case flushed:
                if (!state.memory.is_drained(program)) return Step::blocked;
                if (!has_overflow(state) || flaw == Flaw::flag_cleared_too_soon)
                    state.memory.at_once(overflow_flag) = 0;
                return publish_tail(state, program, at, leave);
            default:
                if (!release(state, program, lock)) return Step::blocked;
                at = look;
                return Step::moved;
        }
    }
};

TEST(CompletionQueueModel, shows_every_completion_once_and_whole) { expect_good(explore(CompletionQueue{})); }

class BrokenCompletionQueue : public testing::TestWithParam<Flaw> {};

TEST_P(BrokenCompletionQueue, shows_what_is_not_there) {
    expect_wrong(explore(CompletionQueue{GetParam()}), "an entry was read that was not there");
}

INSTANTIATE_TEST_SUITE_P(Model, BrokenCompletionQueue,
                         testing::Values(Flaw::tail_is_not_released, Flaw::tail_before_the_entry,
                                         Flaw::forgets_the_head, Flaw::head_before_the_copy));

TEST(CompletionQueueModel, hides_what_overflowed_without_the_flag) {
    expect_wrong(explore(CompletionQueue{Flaw::flag_is_not_set}), "a completion was never seen");
    expect_wrong(explore(CompletionQueue{Flaw::flag_cleared_too_soon}), "a completion was never seen");
}

}  // namespace
}  // namespace ringside::model
