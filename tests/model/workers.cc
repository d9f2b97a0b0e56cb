// Handing requests over: queue_for_worker(), worker_body() and rest() of service/workers.cc, with let_go_to_workers(),
// which wakes after the ring's lock is let go. Requests here never end, so each needs a worker of its own.
#include "model/verdict.h"

namespace ringside::model {
namespace {

enum class Flaw { none, bell_read_without_the_lock, wakes_are_not_counted, bell_is_not_rung, a_rest_counts_no_wake };

struct Workers {
    static constexpr unsigned requests = 3, most_workers = 3, threads = 1 + most_workers;
    static constexpr const char* names[threads] = {"submitter", "worker 1", "worker 2", "worker 3"};
    static constexpr unsigned submitter = 0;
    // Two are there, idle or about to be; others are started when none is idle.
    static constexpr unsigned workers_at_first = 2;
    enum Word { lock, bell, words };
    enum Submitter : uint8_t { take_lock, queue, let_go, wake };
    enum Worker : uint8_t { come, look, prepare_rest, begin_rest, rest, rested, awake, work, gone };

    struct State {
        Memory<threads, words> memory;
        uint8_t asleep[threads];
        uint8_t at[threads];
        uint8_t seen_bell[threads];
        // Under the lock.
        uint8_t queued, idle, wakes;
        uint8_t is_new[threads], has_ended[threads];  // beyond those that were there
        uint8_t had_enough[threads];                  // has rested for as long as a worker may
        uint8_t submitted, rung;
    };

    Flaw flaw = Flaw::none;
    bool wakes_last = false;
    bool time_passes = false;  // who rests may have done so for long enough

    Step step(State& state, unsigned me) const {
        if (me == submitter) return submit(state);
        if (!is_there(state, me)) return Step::ended;
        if (state.asleep[me]) {
            if (!time_passes) return Step::blocked;
            state.asleep[me] = 0;
            state.had_enough[me] = 1;
            return Step::moved;
        }
        return live(state, me);
    }

    std::string wrong(const State&) const { return ""; }
    std::string stuck(const State& state) const {
        return std::count(state.at + 1, state.at + threads, work) == requests ? "" : "a request waits for ever";
    }

  private:
    static bool is_there(const State& state, unsigned me) {
        return (me <= workers_at_first || state.is_new[me]) && !state.has_ended[me];
    }

    Step submit(State& state) const {
        uint8_t& at = state.at[submitter];
        switch (at) {
            case take_lock:
                if (state.submitted == requests) return Step::ended;
                if (!acquire(state, submitter, lock)) return Step::blocked;
                at = queue;
                return Step::moved;
            case queue:
                hand_over(state);
                at = let_go;
                return Step::moved;
            case let_go:
                if (!release(state, submitter, lock)) return Step::blocked;
                at = state.rung ? wake : take_lock;
                return Step::moved;
            default:
                at = take_lock;
                state.rung = 0;
                return futex_wake(state, submitter, wakes_last);
        }
    }

    void hand_over(State& state) const {
        ++state.queued;
        ++state.submitted;
        const unsigned coming = flaw == Flaw::wakes_are_not_counted ? 0 : state.wakes;
        if (state.idle > coming) {
            ++state.wakes;
            if (flaw != Flaw::bell_is_not_rung) ++state.memory.at_once(bell);
            state.rung = 1;
        } else {
            start_worker(state);
        }
    }

    static void start_worker(State& state) {
        for (unsigned me = 1; me < threads; ++me) {
            if (is_there(state, me)) continue;
            state.is_new[me] = 1;
            state.has_ended[me] = state.at[me] = 0;
            return;
        }
    }

    Step live(State& state, unsigned me) const {
        uint8_t& at = state.at[me];
        const bool early = flaw != Flaw::bell_read_without_the_lock;
        switch (at) {
            case come:
                if (!acquire(state, me, lock)) return Step::blocked;
                at = look;
                return Step::moved;
            case look:
                if (state.queued > 0) --state.queued;
                else return begin(state, me, at, early);
                at = work;
                return release(state, me, lock) ? Step::moved : Step::blocked;
            case prepare_rest:
                if (!release(state, me, lock)) return Step::blocked;
                at = early ? rest : begin_rest;
                return Step::moved;
            case begin_rest:
                state.seen_bell[me] = state.memory.load(me, bell);
                at = rest;
                return Step::moved;
            case rest:
                at = rested;
                return futex_wait(state, me, bell, state.seen_bell[me]);
            case rested:
                if (!acquire(state, me, lock)) return Step::blocked;
                at = awake;
                return Step::moved;
            case awake:
                --state.idle;
                if (state.wakes > 0 && flaw != Flaw::a_rest_counts_no_wake) --state.wakes;
                at = state.had_enough[me] && state.queued == 0 ? gone : look;
                state.had_enough[me] = 0;
                return Step::moved;
            case gone:
                if (!release(state, me, lock)) return Step::blocked;
                state.has_ended[me] = 1;
                return Step::moved;
            default:
                return Step::ended;
        }
    }

    static Step begin(State& state, unsigned me, uint8_t& at, bool early) {
        ++state.idle;
        if (early) state.seen_bell[me] = state.memory.load(me, bell);
        at = prepare_rest;
        return Step::moved;
    }
};

TEST(WorkersModel, each_request_finds_a_worker) {
    expect_good(explore(Workers{}));
    expect_good(explore(Workers{Flaw::none, true}));
    expect_good(explore(Workers{Flaw::none, false, true}));
}

class BrokenWorkers : public testing::TestWithParam<Flaw> {};

TEST_P(BrokenWorkers, leave_a_request_alone) { expect_wrong(explore(Workers{GetParam()}), "a request waits for ever"); }

INSTANTIATE_TEST_SUITE_P(Model, BrokenWorkers,
                         testing::Values(Flaw::bell_read_without_the_lock, Flaw::wakes_are_not_counted,
                                         Flaw::bell_is_not_rung, Flaw::a_rest_counts_no_wake));

}  // namespace
}  // namespace ringside::model
