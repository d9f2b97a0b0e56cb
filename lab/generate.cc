#include "generate.h"

#include <sys/poll.h>

#include <algorithm>

#include "execute.h"
#include "liburing/io_uring.h"
#include "mutate.h"
#include "operations.h"
#include "registrations.h"
#include "setup.h"

namespace ringside::lab {
namespace {

class Generator {
  public:
    Generator(uint64_t seed, const Offer& offer) : builder_(seed, offer), random_(builder_.random) {}

    Program generate();

  private:
    void epoch();
    void requests_epoch();
    void solo_epoch();
    void event_epoch();
    void wait_epoch();
    void provide_for_requests();
    void hostile_program();
    bool cancelled_at_once();
    bool drained();
    void push_cancel(uint64_t target, uint32_t flags);
    void chain();
    void close_chain();
    void link_timeout(bool head_is_silent, bool link);
    bool request(const Operation& operation, uint8_t link_flags);
    const Operation& choose(bool solo);
    void add_flags(Draft& draft, uint8_t link_flags);
    bool enter_all();
    void enter(Enter enter);
    void settle(bool reap = true);
    Value wait_arg(int64_t timeout_ns, bool bad);

    Builder builder_;
    Random& random_;
    bool drains_ = false;
    bool drained_ = false;  // once
    bool mutated_ = false;  // the last request was
};

Value Generator::wait_arg(int64_t timeout_ns, bool bad) {
    const Value time = timeout_ns < 0 ? number(0) : builder_.timespec(0, timeout_ns);
    const Value mask = random_.percent(20) ? builder_.bytes(8, 0) : number(0);
    const uint64_t mask_size = mask.is_zero() ? 0 : 8;
    return builder_.cells("getevents_arg", {{8, mask},
                                            {4, number(bad ? 77 : mask_size)},
                                            {4, number(bad ? 1 : 0)},
                                            {8, bad && random_.percent(50) ? number(8) : time}});
}

void Generator::enter(Enter enter) {
    builder_.program.steps.push_back(enter);
    if ((enter.flags & ~uint32_t{0xff}) == 0) builder_.queued -= std::min(builder_.queued, enter.to_submit);
}

// Says whether it ought to submit all there is.
bool Generator::enter_all() {
    Enter call{.to_submit = builder_.queued};
    const unsigned kind = static_cast<unsigned>(random_.below(100));
    if (kind < 35) call.flags = IORING_ENTER_GETEVENTS;
    if (kind < 15 && call.to_submit > 0) {
        // Whatever comes, the wait is over soon; the result says how many were submitted either way.
        call.flags |= IORING_ENTER_EXT_ARG;
        call.arg = wait_arg(2'000'000, kind < 2);
        call.arg_size = kind == 14 ? 8 : sizeof(io_uring_getevents_arg);
        call.min_complete = static_cast<uint32_t>(random_.between(0, 2));
    } else if (kind >= 15 && kind < 18) {
        call.flags = random_.one_of<uint32_t>({1u << 20, IORING_ENTER_REGISTERED_RING, IORING_ENTER_ABS_TIMER,
                                               IORING_ENTER_SQ_WAIT, IORING_ENTER_SQ_WAKEUP, IORING_ENTER_NO_IOWAIT});
    } else if (kind > 94 && !builder_.is_in_one()) {
        call.to_submit = static_cast<uint32_t>(random_.below(builder_.queued + 3));
    }
    const bool all = call.to_submit >= builder_.queued && (call.flags & IORING_ENTER_REGISTERED_RING) == 0;
    enter(call);
    return all;
}

void Generator::settle(bool reap) {
    builder_.program.steps.push_back(Settle{builder_.linger_us, reap});
    builder_.queued = 0;
    builder_.end_epoch();
}

const Operation& Generator::choose(bool solo) {
    static const std::vector<Operation>& all = operations();
    unsigned total = 0;
    const auto eligible = [&](const Operation& operation) {
        return builder_.offer.opcodes.test(operation.opcode) && operation.solo == solo;
    };
    for (const Operation& operation : all) total += eligible(operation) ? operation.weight : 0;
    uint64_t at = total == 0 ? 0 : random_.below(total);
    for (const Operation& operation : all) {
        if (!eligible(operation)) continue;
        if (at < operation.weight) return operation;
        at -= operation.weight;
    }
    return *find_operation(IORING_OP_NOP);
}

void Generator::add_flags(Draft& draft, uint8_t link_flags) {
    uint8_t flags = link_flags;
    const bool acts_on_others = find_operation(draft.sqe.opcode())->solo;
    if (random_.percent(10) && !draft.never_async && !acts_on_others) flags |= IOSQE_ASYNC;
    // Who gives a descriptor in silence leaves it open for ever.
    if (random_.percent(6) && !gives_descriptor(draft.sqe)) flags |= IOSQE_CQE_SKIP_SUCCESS;
    if (drains_ && random_.percent(20)) flags |= IOSQE_IO_DRAIN;
    if (draft.selects_buffer) flags |= IOSQE_BUFFER_SELECT;
    if (draft.always_fixed) flags |= IOSQE_FIXED_FILE;
    const auto& slots = builder_.fixed_files;
    for (size_t slot = 0; slot < slots.size(); ++slot) {
        if (draft.fd_resource == ~0u || slots[slot] != draft.fd_resource || !random_.percent(60)) continue;
        // A worker looks the slot up when it comes to it.
        if (!builder_.take(fixed_table_key, Access::shared)) continue;
        flags |= IOSQE_FIXED_FILE;
        draft.set(Field::fd, slot);
        break;
    }
    draft.set(Field::flags, flags);
}

bool Generator::request(const Operation& operation, uint8_t link_flags) {
    Draft draft{.builder = builder_, .random = random_};
    draft.will_be_mutated = random_.percent(10);
    draft.set(Field::opcode, operation.opcode);
    if (!operation.fill(draft)) return false;
    draft.set(Field::user_data, builder_.next_user_data());
    add_flags(draft, link_flags);
    if (builder_.stuck()) builder_.chain_may_wait();
    mutated_ = draft.will_be_mutated;
    if (mutated_) mutate(draft, operation);
    // Nobody knows whether a timer that completes in silence, or stands behind what waits, is over.
    const bool unsure = (draft.sqe.flags() & IOSQE_CQE_SKIP_SUCCESS) != 0 || builder_.chain_waits();
    if (unsure && draft.sqe.opcode() == IORING_OP_TIMEOUT) builder_.linger_us = 5000;
    builder_.push(draft.sqe);
    return true;
}

// Behind a request that surely waits the timeout may fire; else it must not, or the two would race.
void Generator::link_timeout(bool head_is_silent, bool link) {
    if (!builder_.offer.opcodes.test(IORING_OP_LINK_TIMEOUT)) return;
    Draft draft{.builder = builder_, .random = random_};
    draft.set(Field::opcode, IORING_OP_LINK_TIMEOUT);
    draft.set(Field::len, 1);
    draft[Field::addr] = head_is_silent && random_.percent(70) ? soon(builder_) : never(builder_);
    draft.set(Field::user_data, builder_.next_user_data());
    add_flags(draft, link || random_.percent(10) ? IOSQE_IO_LINK : 0);
    builder_.push(draft.sqe);
    // When it fires, and what its chain does then, is not known to the next settle in a chain that waits.
    if (builder_.chain_waits()) builder_.linger_us = 5000;
}

// An EPOLL_WAIT behind hard links tells by its result whether a worker goes on with the chain: there it does not wait.
void Generator::chain() {
    builder_.begin_chain();
    const uint64_t length = random_.percent(65) ? 1 : random_.between(2, 4);
    // What finds no room for its completion may leave its chain to the submitter, or not (docs/differences.md).
    const bool has_room = (builder_.program.setup.flags & IORING_SETUP_CQSIZE) == 0;
    const bool can_tell = has_room && builder_.offer.opcodes.test(IORING_OP_EPOLL_WAIT);
    const bool tells = length > 1 && can_tell && random_.percent(25);
    for (uint64_t i = 1; i <= length; ++i) {
        const bool timed = random_.percent(8);
        const bool linked = i < length || timed || random_.percent(2);
        const uint8_t link_flags = !linked ? 0 : !tells && random_.percent(70) ? IOSQE_IO_LINK : IOSQE_IO_HARDLINK;
        const Operation& operation = tells && i == length ? *find_operation(IORING_OP_EPOLL_WAIT) : choose(false);
        if (!request(operation, link_flags)) return close_chain();
        // A chain that is never closed runs in a worker, where what would wait may give up.
        Sqe& last = std::get<Push>(builder_.program.steps.back()).sqe;
        if (i == length && !timed && (builder_.chain_waits() || !last[Field::ioprio].is_zero())) {
            last[Field::flags].number &= ~uint64_t{IOSQE_IO_LINK | IOSQE_IO_HARDLINK};
        }
        if (timed) {
            const Sqe& head = std::get<Push>(builder_.program.steps.back()).sqe;
            const Value& fd = head[Field::fd];
            const bool silent = i == 1 && !mutated_ && (head.flags() & IOSQE_ASYNC) == 0 &&
                                head[Field::op_flags].is_zero() &&
                                (head.opcode() == IORING_OP_READ || head.opcode() == IORING_OP_READV) &&
                                fd.kind == Value::Kind::fd && builder_.is_silent(static_cast<uint32_t>(fd.number));
            link_timeout(silent, i < length);
        }
    }
}

// There is no room for what was to follow, and what comes next is another chain.
void Generator::close_chain() {
    if (!builder_.chain_begun()) return;
    Sqe& last = std::get<Push>(builder_.program.steps.back()).sqe;
    last[Field::flags].number &= ~uint64_t{IOSQE_IO_LINK | IOSQE_IO_HARDLINK};
}

void Generator::requests_epoch() {
    // With a thread that submits, a second batch would find more or less room in the SQ.
    const bool sq_thread = (builder_.program.setup.flags & IORING_SETUP_SQPOLL) != 0;
    for (uint64_t enters = sq_thread ? 1 : random_.between(1, 2); enters > 0; --enters) {
        for (uint64_t chains = random_.between(1, 4); chains > 0; --chains) chain();
        // What is left over must not run beside the next batch, which may be the rest of a chain.
        if (!enter_all()) break;
    }
    // Who polls for completions in the kernel gets on with nothing while there are some to be taken out.
    const bool polls = (builder_.program.setup.flags & IORING_SETUP_IOPOLL) != 0;
    settle(polls || !random_.percent(8));
}

// A request that acts on others comes when those have settled, or are sure to wait: alone, or among NOPs.
void Generator::solo_epoch() {
    builder_.begin_chain();
    if (random_.percent(25) && cancelled_at_once()) return;
    if (random_.percent(10) && drained()) return;
    const Operation& nop = *find_operation(IORING_OP_NOP);
    // In a chain left open it is a worker's, which may come to it before or after another does a NOP.
    const bool is_open = random_.percent(10);
    if (!is_open && random_.percent(20)) request(nop, 0);
    builder_.begin_chain();
    request(choose(true), is_open ? IOSQE_IO_LINK : 0);
    // What drains is workers' all at once, and what acts on others may come upon what stands behind it, or too late.
    if (!drains_ && !drained_ && random_.percent(20)) request(nop, 0);
    enter_all();
    settle();
}

// A request that surely waits, and its cancellation in the same batch.
bool Generator::cancelled_at_once() {
    using enum ResourceKind;
    if (builder_.stuck()) return false;
    Draft waiter{.builder = builder_, .random = random_};
    waiter.set(Field::opcode, random_.percent(50) ? IORING_OP_POLL_ADD : IORING_OP_READ);
    if (!waiter.use_channel({pipe, stream, datagram}, 0, true)) return false;
    if (!builder_.is_silent(static_cast<uint32_t>(waiter[Field::fd].number))) return false;
    if (waiter.sqe.opcode() == IORING_OP_POLL_ADD) {
        waiter.set(Field::op_flags, POLLIN);
    } else {
        waiter[Field::addr] = builder_.bytes(16, 0);
        waiter.set(Field::len, 16);
    }
    waiter.set(Field::user_data, builder_.next_user_data());
    builder_.push(waiter.sqe);
    push_cancel(waiter.sqe.user_data(), 0);
    enter_all();
    settle();
    return true;
}

// A drain behind requests that wait: everything stands still until those are served or cancelled.
bool Generator::drained() {
    if (!builder_.anyone_waits() || builder_.stuck()) return false;
    builder_.everything_waits();
    builder_.may_wait = false;
    drained_ = true;
    builder_.begin_chain();
    Draft draft{.builder = builder_, .random = random_};
    draft.set(Field::flags, IOSQE_IO_DRAIN);
    draft.set(Field::user_data, builder_.next_user_data());
    builder_.push(draft.sqe);
    enter_all();
    settle();
    return true;
}

void Generator::push_cancel(uint64_t target, uint32_t flags) {
    Draft draft{.builder = builder_, .random = random_};
    draft.set(Field::opcode, IORING_OP_ASYNC_CANCEL);
    draft.set(Field::op_flags, flags);
    draft.set(Field::addr, target);
    draft.set(Field::user_data, builder_.next_user_data());
    builder_.push(draft.sqe);
}

void Generator::event_epoch() {
    builder_.begin_chain();
    const auto kind = random_.one_of<EventKind>(
        {EventKind::write, EventKind::write, EventKind::write, EventKind::read, EventKind::close, EventKind::shutdown});
    using enum ResourceKind;
    const auto fd = kind == EventKind::shutdown ? builder_.channel({stream}, 1, false)
                    : kind == EventKind::read   ? builder_.channel({pipe, stream, datagram}, 0, false)
                                                : builder_.channel({pipe, stream, datagram, eventfd}, 1, false);
    if (!fd) return;
    builder_.program.steps.push_back(Event{kind, fd_of(*fd), random_.one_of<uint64_t>({1, 8, 8, 100, 1000})});
    if (kind == EventKind::shutdown) std::get<Event>(builder_.program.steps.back()).amount = random_.below(4);
    settle();
}

// A wait with nothing to submit, after all has settled.
void Generator::wait_epoch() {
    Enter call;
    call.flags = IORING_ENTER_GETEVENTS;
    if (random_.percent(70)) {
        call.flags |= IORING_ENTER_EXT_ARG;
        call.arg = wait_arg(random_.one_of<int64_t>({0, 1'000'000}), random_.percent(10));
        call.arg_size = sizeof(io_uring_getevents_arg);
        call.min_complete = 1;
        if (random_.percent(5)) call.arg_size = random_.one_of<uint64_t>({0, 8, 23, 25});
    }
    enter(call);
    settle();
}

void Generator::epoch() {
    const unsigned kind = static_cast<unsigned>(random_.below(100));
    if (kind < 50) return requests_epoch();
    if (kind < 68) return solo_epoch();
    if (kind < 82) return event_epoch();
    if (kind < 86) return wait_epoch();
    if (add_registration(builder_)) settle();
}

// Writes into the ring what no sane program writes; the requests are NOPs, since they may run more than once.
void Generator::hostile_program() {
    for (uint64_t rounds = random_.between(1, 3); rounds > 0; --rounds) {
        for (uint64_t count = random_.below(4); count > 0; --count) {
            Draft draft{.builder = builder_, .random = random_};
            draft.set(Field::user_data, builder_.next_user_data());
            builder_.program.steps.push_back(Push{draft.sqe});  // not sure at all
        }
        const auto word = random_.one_of<Word>({Word::sq_tail, Word::sq_array, Word::sq_dropped, Word::cq_overflow});
        const uint32_t index = static_cast<uint32_t>(random_.below(8));
        const uint32_t add = random_.one_of<uint32_t>({1, 3, 8, 1000, 0x80000000, ~0u});
        builder_.program.steps.push_back(Poke{word, index, add});
        enter({.to_submit = random_.one_of<uint32_t>({1, 4, 8, 100}), .flags = IORING_ENTER_GETEVENTS});
        settle();
    }
}

// Registered files and buffers, epoll instances that have something to tell, and buffers to choose from are of use to
// many requests if they are there from the start.
void Generator::provide_for_requests() {
    const auto have = [&](uint32_t opcode, unsigned percent) {
        if (!random_.percent(percent) || !builder_.offer.registers.test(opcode)) return;
        if (add_registration(builder_, opcode)) settle();
    };
    have(IORING_REGISTER_FILES, 15);
    have(IORING_REGISTER_BUFFERS, 15);
    if (random_.percent(8) && builder_.offer.opcodes.test(IORING_OP_EPOLL_CTL)) {
        builder_.begin_chain();
        if (!request({.opcode = IORING_OP_EPOLL_CTL, .weight = 0, .fill = watch_something}, 0)) return;
        enter_all();
        settle();
    }
    if (!random_.percent(15) || !builder_.offer.opcodes.test(IORING_OP_PROVIDE_BUFFERS)) return;
    builder_.begin_chain();
    if (!request(*find_operation(IORING_OP_PROVIDE_BUFFERS), 0)) return;
    enter_all();
    settle();
}

Program Generator::generate() {
    choose_setup(builder_);
    drains_ = random_.percent(15);
    builder_.may_wait = !drains_;
    if ((builder_.program.setup.flags & IORING_SETUP_R_DISABLED) != 0) {
        enter({.to_submit = 1});
        enable_rings(builder_);
    }
    if (random_.percent(2) && (builder_.program.setup.flags & (IORING_SETUP_SQPOLL | IORING_SETUP_IOPOLL)) == 0) {
        hostile_program();
        return std::move(builder_.program);
    }
    provide_for_requests();
    for (uint64_t epochs = random_.between(1, 5); epochs > 0; --epochs) epoch();
    if (builder_.anyone_waits() && random_.percent(50) && builder_.offer.opcodes.test(IORING_OP_ASYNC_CANCEL)) {
        push_cancel(0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
        enter({.to_submit = 1});
        settle();
    }
    return std::move(builder_.program);
}

}  // namespace

Program generate(uint64_t seed, const Offer& offer) { return Generator(seed, offer).generate(); }

}  // namespace ringside::lab
