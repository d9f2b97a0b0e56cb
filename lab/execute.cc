#include "execute.h"

#include <errno.h>
#include <fmt/format.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <map>
#include <set>

#include "names.h"
#include "quiet.h"
#include "ring_memory.h"

namespace ringside::lab {
namespace {

constexpr int64_t calm_rounds = 3;              // rounds without a completion and with every thread asleep
constexpr int64_t round_ns = 60'000;            // length of a round
constexpr int64_t patience_ns = 2'000'000'000;  // with a process that never comes to rest
// With requests that ought to complete and do not. The kernel may need some milliseconds to start a worker, while which
// nothing moves in the process.
constexpr int64_t hope_ns = 400'000'000;
constexpr int64_t hidden_ns = 20'000'000;  // with requests of which nobody can see whether they have completed

int64_t now_ns() {
    timespec time = {};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

void sleep_ns(int64_t length) {
    const timespec time = {0, length};
    nanosleep(&time, nullptr);
}

io_uring_sqe raw(const Sqe& sqe, const World& world) {
    const auto value = [&](Field field) { return world.resolve(sqe[field]); };
    io_uring_sqe entry = {};
    entry.opcode = static_cast<uint8_t>(value(Field::opcode));
    entry.flags = static_cast<uint8_t>(value(Field::flags));
    entry.ioprio = static_cast<uint16_t>(value(Field::ioprio));
    entry.fd = static_cast<int32_t>(value(Field::fd));
    entry.off = value(Field::off);
    entry.addr = value(Field::addr);
    entry.len = static_cast<uint32_t>(value(Field::len));
    entry.rw_flags = static_cast<int>(value(Field::op_flags));
    entry.user_data = value(Field::user_data);
    entry.buf_index = static_cast<uint16_t>(value(Field::buf_index));
    entry.personality = static_cast<uint16_t>(value(Field::personality));
    entry.file_index = static_cast<uint32_t>(value(Field::file_index));
    entry.addr3 = value(Field::addr3);
    entry.__pad2[0] = value(Field::pad2);
    return entry;
}

class Execution {
  public:
    Execution(provider::Kind kind, const Program& program, World& world, const TraceSink& sink)
        : program_(program), world_(world), sink_(sink), ring_(kind, program.setup) {}

    void run();
    // After the trace.
    void leave_nothing();

  private:
    void step(const Push& push);
    void step(const Enter& enter);
    void step(const Settle& settle);
    void step(const Event& event);
    void step(const Register& call);
    void step(const Poke& poke);

    void wait_until_quiet(const Settle& settle);
    void end_chains();
    void pause();
    bool take(bool reap);
    void note(const Completion& completion);
    void print_completions();
    void print_order();
    void print_ring();
    bool sq_thread_behind();

    const Program& program_;
    World& world_;
    const TraceSink& sink_;
    RingMemory ring_;
    std::map<uint64_t, const Sqe*> pushed_;
    std::vector<uint64_t> pushed_order_;
    std::vector<std::vector<uint64_t>> chains_{{}};
    size_t chains_submitted_ = 0;
    std::vector<Completion> fresh_;          // since the last settle
    std::vector<uint64_t> completed_order_;  // user_data of requests that came to a good end, over the whole run
    std::set<uint64_t> open_requests_;
    std::set<uint64_t> sure_requests_;  // those that are sure to complete, and have not
};

void Execution::run() {
    sink_(fmt::format("setup {}", ring_.fd() < 0 ? result_text(ring_.fd()) : "ok"));
    if (!ring_.usable()) {
        if (ring_.fd() >= 0) sink_("the ring cannot be mapped");
        return;
    }
    const io_uring_params& params = ring_.params();
    sink_(fmt::format("ring sq={} cq={} flags={:#x}", params.sq_entries, params.cq_entries, params.flags));
    // The number of a ring that has no descriptor is none.
    world_.set_ring(ring_.has(IORING_SETUP_REGISTERED_FD_ONLY) ? -1 : ring_.fd());
    world_.write_cells(program_);
    for (const Step& each : program_.steps) {
        std::visit([&](const auto& alternative) { step(alternative); }, each);
    }
    step(Settle{});
    print_order();
    print_ring();
}

// A ring that is closed cancels its requests after the close(2) that ended it, and what a link or a futex then
// does would happen in the middle of the next program.
void Execution::leave_nothing() {
    const bool lasting = std::any_of(open_requests_.begin(), open_requests_.end(), [&](uint64_t user_data) {
        const Sqe& sqe = *pushed_[user_data];
        const bool linked = (sqe.flags() & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)) != 0;
        return linked || sqe.opcode() == IORING_OP_FUTEX_WAIT;
    });
    if (!lasting || !ring_.usable()) return;
    io_uring_sync_cancel_reg all = {};
    all.fd = -1;
    all.flags = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
    all.timeout.tv_nsec = 50'000'000;
    ring_.register_call(IORING_REGISTER_SYNC_CANCEL, &all, 1);
    wait_until_quiet(Settle{.linger_us = 1000});
    print_completions();  // so that descriptors among the results are closed
}

void Execution::step(const Push& push) {
    if (!ring_.push(raw(push.sqe, world_))) {
        sink_(fmt::format("push {} full", push.sqe.user_data()));
        return;
    }
    pushed_[push.sqe.user_data()] = &push.sqe;
    if (push.sure) sure_requests_.insert(push.sqe.user_data());
    pushed_order_.push_back(push.sqe.user_data());
    chains_.back().push_back(push.sqe.user_data());
    if ((push.sqe.flags() & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)) == 0) chains_.emplace_back();
    open_requests_.insert(push.sqe.user_data());
}

void Execution::step(const Enter& enter) {
    ring_.publish();
    const void* arg = reinterpret_cast<const void*>(world_.resolve(enter.arg));
    const int result = ring_.enter(enter.to_submit, enter.min_complete, enter.flags, arg, enter.arg_size);
    sink_("enter " + result_text(result));
    end_chains();
}

// A chain ends where a submission ends. One that was submitted in part is two chains, and no longer looked at.
void Execution::end_chains() {
    if (ring_.queued() != 0 && !ring_.has(IORING_SETUP_SQPOLL)) chains_.resize(chains_submitted_);
    chains_submitted_ = chains_.size();
    chains_.emplace_back();
}

void Execution::step(const Event& event) {
    sink_(fmt::format("event {} {}", name_of(event_names(), uint64_t(event.kind)), world_.run(event)));
}

void Execution::step(const Register& call) {
    world_.write_cells(program_);
    void* arg = reinterpret_cast<void*>(world_.resolve(call.arg));
    const int result = ring_.register_call(call.opcode, arg, call.nr_args);
    sink_(fmt::format("register {} {}", name_of(register_names(), call.opcode), result_text(result)));
}

void Execution::step(const Poke& poke) {
    ring_.publish();
    ring_.add(poke);
}

void Execution::step(const Settle& settle) {
    ring_.publish();
    // A tail that was written at random can stand for millions of entries; a few rounds of them will do.
    for (unsigned round = 0; round < 8; ++round) {
        wait_until_quiet(settle);
        const uint32_t left = ring_.queued();
        if (left == 0 || ring_.has(IORING_SETUP_SQPOLL)) break;
        const int result = ring_.enter(left, 0, IORING_ENTER_GETEVENTS, nullptr, 0);
        sink_("enter rest " + result_text(result));
        end_chains();
        if (result <= 0) break;
    }
    print_completions();
    sink_("settled");
}

// A thread of the ring takes the SQEs: it is behind while some are queued, and may want to be woken.
bool Execution::sq_thread_behind() {
    if (!ring_.has(IORING_SETUP_SQPOLL) || ring_.queued() == 0) return false;
    // The thread of a ring that is not enabled takes nothing.
    if (ring_.has(IORING_SETUP_R_DISABLED) && ring_.enter(0, 0, 0, nullptr, 0) == -EBADFD) return false;
    if ((ring_.load(Word::sq_flags) & IORING_SQ_NEED_WAKEUP) != 0) {
        ring_.enter(0, 0, IORING_ENTER_SQ_WAKEUP, nullptr, 0);
    }
    return true;
}

// Gives the ring a chance to run what only an enter runs, and others a chance to run at all.
void Execution::pause() {
    if (ring_.has(IORING_SETUP_IOPOLL)) {
        ring_.enter(0, 0, IORING_ENTER_GETEVENTS, nullptr, 0);
        sleep_ns(round_ns);
        return;
    }
    const __kernel_timespec limit = {0, round_ns};
    io_uring_getevents_arg arg = {};
    arg.ts = reinterpret_cast<uint64_t>(&limit);
    const int result =
        ring_.enter(0, ring_.left_in_cq() + 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));
    if (result != -ETIME) sleep_ns(round_ns);
}

bool Execution::take(bool reap) {
    const size_t before = fresh_.size();
    ring_.take(reap, [&](const Completion& completion) { note(completion); });
    return fresh_.size() != before;
}

void Execution::wait_until_quiet(const Settle& settle) {
    const int64_t start = now_ns();
    int64_t last_move = start;
    int64_t calm = 0;
    ring_.enter(0, 0, IORING_ENTER_GETEVENTS, nullptr, 0);
    for (;;) {
        const bool moved = take(settle.reap);
        const bool behind = sq_thread_behind();
        const bool overflown = (ring_.load(Word::sq_flags) & IORING_SQ_CQ_OVERFLOW) != 0;
        if (open_requests_.size() <= ring_.queued() && !behind && !overflown) return;
        calm = !moved && !behind && other_threads_sleep() ? calm + 1 : 0;
        const int64_t now = now_ns();
        if (moved) last_move = now;
        // What lies on the overflow list can only be seen by taking completions out.
        const bool hidden = overflown && !settle.reap;
        const bool hopeful = !hidden && sure_requests_.size() > ring_.queued();
        const int64_t silence = hopeful ? hope_ns : hidden ? hidden_ns : settle.linger_us * int64_t{1000};
        if (calm >= calm_rounds && now - last_move >= silence) {
            if (hopeful) sink_(fmt::format("waited for {} in vain", *sure_requests_.begin()));
            if (hopeful) sure_requests_.clear();  // once is enough
            return;
        }
        if (now - start > patience_ns) {
            sink_("restless");
            return;
        }
        pause();
    }
}

void Execution::note(const Completion& completion) {
    fresh_.push_back(completion);
    if ((completion.flags & IORING_CQE_F_MORE) != 0 || !pushed_.contains(completion.user_data)) return;
    sure_requests_.erase(completion.user_data);
    // A zero-copy send may or may not be followed by its notification, whatever the first completion says.
    const uint8_t opcode = pushed_[completion.user_data]->opcode();
    const bool zero_copy = opcode == IORING_OP_SEND_ZC || opcode == IORING_OP_SENDMSG_ZC;
    if (!zero_copy || (completion.flags & IORING_CQE_F_NOTIF) != 0) open_requests_.erase(completion.user_data);
    // The notification of a zero-copy send comes whenever the buffer is free, and means no order.
    if (completion.res >= 0 && (completion.flags & IORING_CQE_F_NOTIF) == 0)
        completed_order_.push_back(completion.user_data);
}

// Requests complete in any order, so completions are shown by request; several of one request stay in their order.
void Execution::print_completions() {
    // Of completions that did not fit, some are in the CQ and some are not: which ones, timing decides.
    if ((ring_.load(Word::sq_flags) & IORING_SQ_CQ_OVERFLOW) != 0) return;
    std::multimap<uint64_t, Completion> by_request;
    for (const Completion& completion : fresh_) by_request.emplace(completion.user_data, completion);
    for (const auto& [user_data, completion] : by_request) {
        const auto found = pushed_.find(completion.user_data);
        std::string result = result_text(completion.res);
        if (found != pushed_.end() && completion.res >= 0 && gives_descriptor(*found->second)) {
            world_.add_result(completion.user_data, completion.res);
            result = "fd";
        }
        std::string text = fmt::format("cqe {} {} flags={:#x}", completion.user_data, result, completion.flags);
        if (ring_.has(IORING_SETUP_CQE32) || (completion.flags & IORING_CQE_F_32) != 0) {
            text += fmt::format(" extra={:#x},{:#x}", completion.extra[0], completion.extra[1]);
        }
        sink_(text);
    }
    fresh_.clear();
}

// Order is promised within a chain and around a drain, for requests that run: one that fails as it is submitted waits
// for nobody. What breaks the promise is a line of the trace.
void Execution::print_order() {
    std::map<uint64_t, size_t> place;
    for (size_t i = 0; i < completed_order_.size(); ++i) place[completed_order_[i]] = i;
    const auto before = [&](uint64_t first, uint64_t second) {
        return !place.contains(first) || !place.contains(second) || place[first] < place[second];
    };
    for (const std::vector<uint64_t>& chain : chains_) {
        for (size_t i = 1; i < chain.size(); ++i) {
            const bool timer = pushed_[chain[i]]->opcode() == IORING_OP_LINK_TIMEOUT ||
                               pushed_[chain[i - 1]]->opcode() == IORING_OP_LINK_TIMEOUT;
            if (!timer && !before(chain[i - 1], chain[i]))
                sink_(fmt::format("order {} before {}", chain[i], chain[i - 1]));
        }
    }
    for (size_t i = 0; i < pushed_order_.size(); ++i) {
        if ((pushed_[pushed_order_[i]]->flags() & IOSQE_IO_DRAIN) == 0) continue;
        for (size_t j = 0; j < pushed_order_.size(); ++j) {
            const uint64_t first = pushed_order_[std::min(i, j)];
            const uint64_t second = pushed_order_[std::max(i, j)];
            if (i != j && !before(first, second)) sink_(fmt::format("drain order {} before {}", second, first));
        }
    }
}

void Execution::print_ring() {
    const uint32_t shown = ~uint32_t{IORING_SQ_NEED_WAKEUP | IORING_SQ_TASKRUN};
    sink_(fmt::format("end queued={} dropped={} overflow={} sq_flags={:#x} cq_flags={:#x}", ring_.queued(),
                      ring_.load(Word::sq_dropped), ring_.load(Word::cq_overflow), ring_.load(Word::sq_flags) & shown,
                      ring_.load(Word::cq_flags)));
}

}  // namespace

bool gives_descriptor(const Sqe& sqe) {
    switch (sqe.opcode()) {
        case IORING_OP_OPENAT:
        case IORING_OP_OPENAT2:
        case IORING_OP_ACCEPT:
        case IORING_OP_SOCKET:
            return sqe[Field::file_index].is_zero();
        case IORING_OP_FIXED_FD_INSTALL:
            return true;
        default:
            return false;
    }
}

void execute(provider::Kind kind, const Program& program, World& world, const TraceSink& sink) {
    const unsigned before = World::open_descriptors();
    world.build(program);
    {
        bool muted = false;
        const TraceSink trace = [&](const std::string& line) {
            if (!muted) sink(line);
        };
        Execution execution(kind, program, world, trace);
        execution.run();
        for (const std::string& line : world.describe(program)) sink(line);
        muted = true;
        execution.leave_nothing();
    }
    world.clear();
    const unsigned after = World::open_descriptors();
    if (after != before) sink(fmt::format("descriptors left {}", static_cast<int>(after - before)));
}

}  // namespace ringside::lab
