// Waking the leader: wake_leader() and let_go_and_wake() of service/waiters.cc against a leader that sleeps in the
// epoll set, reaps one completion after the other, and closes the ring as soon as it has them all (entry/close.cc); and
// against a submitter that looks into the same set (look_into_set() of service/poller.cc).
//
// The submitter was missing here, and the engine lost wake-ups: the submitter took the edge that was to wake the
// leader, while those who posted completions counted on it.
#include "model/verdict.h"

namespace ringside::model {
namespace {

enum class Flaw {
    none,
    wakers_are_not_counted,
    close_does_not_wait,
    a_wake_is_sent_once,
    wakes_before_it_posts,
    a_wake_is_kept
};

struct Waiters {
    static constexpr unsigned jobs = 2, looks = 2, threads = jobs + 3;
    static constexpr const char* names[threads] = {"leader", "worker 1", "worker 2", "file", "submitter"};
    enum Who { leader, file = jobs + 1, submitter };
    // What sleeps in the epoll set: the eventfd that wakes it, and a file that becomes ready meanwhile.
    enum Word { lock, eventfd, file_event, wakers, words };
    enum Leader : uint8_t { take_lock, look, go_to_sleep, sleep, wake_up, woken, close, leave, closed };
    enum Worker : uint8_t { come, enter, post, let_go, raise, forget, gone };
    enum Submitter : uint8_t { begin_call, look_into_set, pass_wake_on, end_call };

    struct State {
        Memory<threads, words> memory;
        uint8_t at[threads];
        uint8_t wants_wake[threads];
        // Under the lock.
        uint8_t posted, asleep, wake_sent;
        uint8_t reaped;
        uint8_t is_gone;  // the eventfd
        uint8_t raised_in_vain;
        uint8_t looked;  // how often the submitter did
    };

    Flaw flaw = Flaw::none;

    Step step(State& state, unsigned me) const {
        if (me == leader) return lead(state);
        if (me == submitter) return submit(state);
        return me == file ? become_ready(state) : work(state, me);
    }

    std::string wrong(const State& state) const {
        return state.raised_in_vain ? "a descriptor is written to that is gone" : "";
    }
    std::string stuck(const State& state) const {
        return state.at[leader] == closed ? "" : "the leader sleeps over a completion";
    }

  private:
    static Step become_ready(State& state) {
        if (state.at[file] == gone) return Step::ended;
        state.memory.at_once(file_event) = 1;
        state.at[file] = gone;
        return Step::moved;
    }

    Step submit(State& state) const {
        auto& memory = state.memory;
        uint8_t& at = state.at[submitter];
        switch (at) {
            case begin_call:
                if (state.looked == looks || state.is_gone) return Step::ended;
                if (!acquire(state, submitter, lock)) return Step::blocked;
                at = state.is_gone ? end_call : look_into_set;
                return Step::moved;
            case look_into_set: {
                const bool takes_wake = memory.in_memory(eventfd);
                memory.at_once(eventfd) = memory.at_once(file_event) = 0;
                ++state.looked;
                const bool counted_on = state.asleep && state.wake_sent && flaw != Flaw::a_wake_is_kept;
                at = takes_wake && counted_on ? pass_wake_on : end_call;
                return Step::moved;
            }
            case pass_wake_on:
                memory.at_once(eventfd) = 1;
                at = end_call;
                return Step::moved;
            default:
                if (!release(state, submitter, lock)) return Step::blocked;
                at = begin_call;
                return Step::moved;
        }
    }

    Step lead(State& state) const {
        auto& memory = state.memory;
        uint8_t& at = state.at[leader];
        switch (at) {
            case take_lock:
                if (!acquire(state, leader, lock)) return Step::blocked;
                at = look;
                return Step::moved;
            case look:
                if (state.posted > state.reaped) {
                    ++state.reaped;
                    at = state.reaped == jobs ? close : look;
                } else {
                    state.asleep = 1;
                    at = go_to_sleep;
                }
                return Step::moved;
            case go_to_sleep:
                if (!release(state, leader, lock)) return Step::blocked;
                at = sleep;
                return Step::moved;
            case sleep:
                // Both are edges: an event is told of once.
                if (!memory.in_memory(eventfd) && !memory.in_memory(file_event)) return Step::blocked;
                memory.at_once(eventfd) = memory.at_once(file_event) = 0;
                at = wake_up;
                return Step::moved;
            case wake_up:
                if (!acquire(state, leader, lock)) return Step::blocked;
                at = woken;
                return Step::moved;
            case woken:
                state.asleep = 0;
                if (flaw != Flaw::a_wake_is_sent_once) state.wake_sent = 0;
                at = look;
                return Step::moved;
            default:
                return end_ring(state, at);
        }
    }

    Step end_ring(State& state, uint8_t& at) const {
        if (at == closed) return Step::ended;
        if (at == leave) {
            if (!release(state, leader, lock)) return Step::blocked;
            at = closed;
            return Step::moved;
        }
        // It lets go of the lock and comes again, and as long as nothing has changed that is no step.
        if (flaw != Flaw::close_does_not_wait && state.memory.load(leader, wakers) != 0) return Step::blocked;
        state.is_gone = 1;
        at = leave;
        return Step::moved;
    }

    Step work(State& state, unsigned me) const {
        auto& memory = state.memory;
        uint8_t& at = state.at[me];
        switch (at) {
            case come:
                if (flaw == Flaw::wakes_before_it_posts) ask_for_wake(state, me);
                at = enter;
                return Step::moved;
            case enter:
                if (!acquire(state, me, lock)) return Step::blocked;
                at = post;
                return Step::moved;
            case post:
                ++state.posted;
                if (flaw != Flaw::wakes_before_it_posts) ask_for_wake(state, me);
                at = let_go;
                return Step::moved;
            case let_go:
                if (!release(state, me, lock)) return Step::blocked;
                at = state.wants_wake[me] ? raise : gone;
                return Step::moved;
            case raise:
                // A system call.
                if (!memory.is_drained(me)) return Step::blocked;
                state.raised_in_vain = state.is_gone;
                memory.at_once(eventfd) = 1;
                at = flaw == Flaw::wakers_are_not_counted ? gone : forget;
                return Step::moved;
            case forget:
                if (!memory.is_drained(me)) return Step::blocked;
                --memory.at_once(wakers);
                at = gone;
                return Step::moved;
            default:
                return Step::ended;
        }
    }

    void ask_for_wake(State& state, unsigned me) const {
        if (!state.asleep || state.wake_sent) return;
        state.wake_sent = state.wants_wake[me] = 1;
        if (flaw != Flaw::wakers_are_not_counted) ++state.memory.at_once(wakers);
    }
};

TEST(WaitersModel, has_each_completion_wake_the_leader_and_the_ring_wait_for_who_does) {
    expect_good(explore(Waiters{}));
}

class BrokenWaiters : public testing::TestWithParam<Flaw> {};

TEST_P(BrokenWaiters, write_to_what_is_gone) {
    expect_wrong(explore(Waiters{GetParam()}), "a descriptor is written to that is gone");
}

INSTANTIATE_TEST_SUITE_P(Model, BrokenWaiters,
                         testing::Values(Flaw::wakers_are_not_counted, Flaw::close_does_not_wait));

class SleepyWaiters : public testing::TestWithParam<Flaw> {};

TEST_P(SleepyWaiters, miss_a_completion) {
    expect_wrong(explore(Waiters{GetParam()}), "the leader sleeps over a completion");
}

INSTANTIATE_TEST_SUITE_P(Model, SleepyWaiters,
                         testing::Values(Flaw::a_wake_is_sent_once, Flaw::wakes_before_it_posts, Flaw::a_wake_is_kept));

}  // namespace
}  // namespace ringside::model
