// How the simulated ring takes requests and ends them. Not to be included by itself.
#pragma once

#include "ringside/testing/simulation.hpp"

namespace ringside::testing::detail {

// --- What a request is
// -----------------------------------------------------------------------------------------------------

inline const char* opcode_name(unsigned opcode) noexcept {
    switch (opcode) {
        case IORING_OP_NOP:
            return "nop";
        case IORING_OP_READ:
            return "read";
        case IORING_OP_READV:
            return "readv";
        case IORING_OP_READ_MULTISHOT:
            return "read_stream";
        case IORING_OP_WRITE:
            return "write";
        case IORING_OP_WRITEV:
            return "writev";
        case IORING_OP_RECV:
            return "recv";
        case IORING_OP_RECVMSG:
            return "recvmsg";
        case IORING_OP_SEND:
            return "send";
        case IORING_OP_SENDMSG:
            return "sendmsg";
        case IORING_OP_SEND_ZC:
            return "send_zc";
        case IORING_OP_ACCEPT:
            return "accept";
        case IORING_OP_CONNECT:
            return "connect";
        case IORING_OP_TIMEOUT:
            return "sleep";
        case IORING_OP_POLL_ADD:
            return "poll";
        case IORING_OP_CLOSE:
            return "close";
        case IORING_OP_FSYNC:
            return "fsync";
        case IORING_OP_OPENAT:
            return "openat";
        case IORING_OP_STATX:
            return "statx";
        case IORING_OP_SHUTDOWN:
            return "shutdown";
        case IORING_OP_PIPE:
            return "pipe";
        case IORING_OP_SOCKET:
            return "socket";
        case IORING_OP_BIND:
            return "bind";
        case IORING_OP_LISTEN:
            return "listen";
        case IORING_OP_FTRUNCATE:
            return "ftruncate";
        case IORING_OP_RENAMEAT:
            return "renameat";
        case IORING_OP_UNLINKAT:
            return "unlinkat";
        case IORING_OP_ASYNC_CANCEL:
            return "cancel";
        default:
            return "request";
    }
}

inline std::string name_of(const Op& op) {
    std::string name = "request " + std::to_string(op.number) + ", " + opcode_name(op.sqe.opcode);
    if (op.sqe.fd >= ringside::detail::first_simulated_descriptor) {
        name += " on descriptor " + std::to_string(op.sqe.fd - ringside::detail::first_simulated_descriptor + 1);
    }
    return name;
}

inline bool is_input(unsigned opcode) noexcept {
    return opcode == IORING_OP_READ || opcode == IORING_OP_READV || opcode == IORING_OP_RECV ||
           opcode == IORING_OP_RECVMSG || opcode == IORING_OP_READ_MULTISHOT;
}
inline bool is_output(unsigned opcode) noexcept {
    return opcode == IORING_OP_WRITE || opcode == IORING_OP_WRITEV || opcode == IORING_OP_SEND ||
           opcode == IORING_OP_SENDMSG || opcode == IORING_OP_SEND_ZC;
}
inline bool is_transfer(unsigned opcode) noexcept { return is_input(opcode) || is_output(opcode); }

inline bool is_multishot(const io_uring_sqe& sqe) noexcept {
    switch (sqe.opcode) {
        case IORING_OP_READ_MULTISHOT:
            return true;
        case IORING_OP_ACCEPT:
            return (sqe.ioprio & IORING_ACCEPT_MULTISHOT) != 0;
        case IORING_OP_RECV:
            return (sqe.ioprio & IORING_RECV_MULTISHOT) != 0;
        case IORING_OP_POLL_ADD:
            return (sqe.len & IORING_POLL_ADD_MULTI) != 0;
        case IORING_OP_TIMEOUT:
            return (sqe.timeout_flags & IORING_TIMEOUT_MULTISHOT) != 0;
        default:
            return false;
    }
}

inline bool waits_for_all(const io_uring_sqe& sqe) noexcept {
    return (sqe.opcode == IORING_OP_SEND || sqe.opcode == IORING_OP_RECV || sqe.opcode == IORING_OP_SEND_ZC) &&
           (sqe.msg_flags & MSG_WAITALL) != 0;
}

// The program's memory that a transfer is about; none if the ring chooses it.
inline std::vector<iovec> parts_of(const io_uring_sqe& sqe) {
    if ((sqe.flags & IOSQE_BUFFER_SELECT) != 0 || !is_transfer(sqe.opcode)) return {};
    auto* const address = reinterpret_cast<void*>(sqe.addr);
    switch (sqe.opcode) {
        case IORING_OP_READV:
        case IORING_OP_WRITEV: {
            const auto* const parts = static_cast<const iovec*>(address);
            return {parts, parts + sqe.len};
        }
        case IORING_OP_RECVMSG:
        case IORING_OP_SENDMSG: {
            const auto* const message = static_cast<const msghdr*>(address);
            return {message->msg_iov, message->msg_iov + message->msg_iovlen};
        }
        default:
            return {{address, sqe.len}};
    }
}

inline size_t size_of(const std::vector<iovec>& parts) noexcept {
    size_t size = 0;
    for (const iovec& part : parts) size += part.iov_len;
    return size;
}

// --- Submission
// ------------------------------------------------------------------------------------------------------------

inline void World::take_queue() noexcept {
    std::unique_ptr<Op> chain;
    Op* last = nullptr;
    std::vector<io_uring_sqe> taken;
    taken.swap(queue_);
    queue_.reserve(queue_size);
    for (const io_uring_sqe& sqe : taken) {
        auto op = std::make_unique<Op>();
        op->sqe = sqe;
        op->number = next_number_++;
        Op* const now_last = op.get();
        if (last == nullptr) chain = std::move(op);
        else last->behind = std::move(op);
        last = now_last;
        if ((sqe.flags & IOSQE_IO_LINK) != 0) continue;
        start(std::move(chain));
        last = nullptr;
    }
    if (chain != nullptr) start(std::move(chain));
}

inline std::chrono::nanoseconds World::delay() {
    static constexpr std::chrono::nanoseconds delays[] = {std::chrono::nanoseconds(0), std::chrono::microseconds(1),
                                                          std::chrono::microseconds(100), std::chrono::milliseconds(10),
                                                          std::chrono::seconds(1)};
    return faults_.delays ? delays[decisions_.rarely(30, 5)] : delays[0];
}

inline void World::start(std::unique_ptr<Op> op) noexcept {
    const io_uring_sqe& sqe = op->sqe;
    op->file = find(sqe.fd);
    if (sqe.opcode == IORING_OP_TIMEOUT) {
        const auto* const time = reinterpret_cast<const __kernel_timespec*>(sqe.addr);
        op->period = std::chrono::seconds(time->tv_sec) + std::chrono::nanoseconds(time->tv_nsec);
        if ((sqe.timeout_flags & IORING_TIMEOUT_ABS) != 0) op->at = op->period - now().time_since_epoch() + now_;
        else op->at = now_ + op->period;
    } else {
        op->at = now_ + delay();
    }
    check_memory(*op);
    ops_.push_back(std::move(op));
}

// Two requests that write to the same memory, or one that writes where another reads.
inline void World::check_memory(const Op& op) {
    for (const auto& other : ops_) {
        if (!is_input(op.sqe.opcode) && !is_input(other->sqe.opcode)) continue;
        for (const iovec& part : parts_of(op.sqe)) {
            for (const iovec& others : parts_of(other->sqe)) {
                const auto *const begin = static_cast<std::byte*>(part.iov_base), *const theirs =
                                                                                      static_cast<std::byte*>(
                                                                                          others.iov_base);
                if (begin >= theirs + others.iov_len || theirs >= begin + part.iov_len) continue;
                return fail(name_of(op) + " uses memory that " + name_of(*other) + " uses");
            }
        }
    }
}

inline bool World::retract(__u64 user_data) noexcept {
    for (io_uring_sqe& sqe : queue_) {
        if (sqe.user_data != user_data) continue;
        io_uring_prep_nop(&sqe);
        sqe.user_data = user_data;
        return true;
    }
    return false;
}

// --- Completion
// ------------------------------------------------------------------------------------------------------------

// Delivers one CQE, and sometimes some more before the program goes on.
inline void World::turn(std::chrono::nanoseconds limit) noexcept {
    take_queue();
    if (++turns_ > most_turns) {
        fail("the program does not come to an end");
        std::fprintf(stderr, "ringside: %s after %u turns\n", failure_.c_str(), turns_);
        std::abort();
    }
    for (unsigned delivered = 0;;) {
        std::vector<size_t> possible;
        std::chrono::nanoseconds next = std::chrono::nanoseconds::max();
        for (size_t i = 0; i < ops_.size(); i++) {
            if (!ready(*ops_[i])) continue;
            if (ops_[i]->at <= now_) possible.push_back(i);
            else next = std::min(next, ops_[i]->at);
        }
        if (!possible.empty()) {
            complete(possible[decisions_.one_of(static_cast<unsigned>(possible.size()))]);
            if (++delivered == 4 || decisions_.rarely(30) == 0) return;
            limit = {};
            take_queue();
            continue;
        }
        if (delivered != 0 || limit.count() == 0) return;
        if (next == std::chrono::nanoseconds::max() && limit == next) return stuck();
        if (next == std::chrono::nanoseconds::max() || next - now_ > limit) {
            now_ += limit;
            return;
        }
        now_ = next;
    }
}

inline void World::complete(size_t index) noexcept {
    Op& op = *ops_[index];
    if (op.sqe.opcode == IORING_OP_ASYNC_CANCEL) return cancel(index);
    const bool waits = is_transfer(op.sqe.opcode) || op.sqe.opcode == IORING_OP_ACCEPT;
    if (faults_.errors && waits && !op.notified && op.done == 0 && decisions_.rarely(3) != 0) {
        return end(index, {-EINTR}, " (interrupted)");
    }
    Done done = perform(op);
    if (done.result == would_wait) {
        say(name_of(op) + " has moved " + std::to_string(op.done) + " bytes and goes on");
        op.at = now_ + delay();
        return;
    }
    const char* note = "";
    if (is_multishot(op.sqe) && (done.result > 0 || done.result == -ETIME)) {
        done.more = !faults_.lost_multishots || op.sqe.opcode == IORING_OP_TIMEOUT || decisions_.rarely(5) == 0;
        if (!done.more) note = " (and the ring ends the request)";
    }
    if (is_transfer(op.sqe.opcode) && done.result > 0 && done.flags == 0 &&
        static_cast<size_t>(done.result) < size_of(parts_of(op.sqe))) {
        note = " (short)";
    }
    end(index, done, note);
}

// Nothing here is touched after the delivery, which may submit.
inline void World::end(size_t index, Done done, const char* note) noexcept {
    Op& op = *ops_[index];
    const bool error = done.result < 0 && done.result != -ETIME;
    say(name_of(op) +
        (error ? std::string(" fails: ") + std::strerror(-done.result)
               : " yields " + std::to_string(done.result == -ETIME ? 0 : done.result)) +
        note);
    const __u64 user_data = op.sqe.user_data;
    if (done.more) {
        op.at = op.sqe.opcode == IORING_OP_TIMEOUT ? op.at + op.period : now_ + delay();
        return deliver(user_data, done.result, done.flags | IORING_CQE_F_MORE);
    }
    const std::unique_ptr<Op> ended = std::move(ops_[index]);
    ops_.erase(ops_.begin() + static_cast<std::ptrdiff_t>(index));
    std::unique_ptr<Op> rest = std::move(ended->behind);
    const bool goes_on = succeeded(*ended, done.result);
    if (rest != nullptr && goes_on) start(std::move(rest));
    deliver(user_data, done.result, done.flags);
    while (rest != nullptr) {
        deliver(rest->sqe.user_data, -ECANCELED, 0);
        rest = std::move(rest->behind);
    }
}

// Whether the chain goes on behind it.
inline bool World::succeeded(const Op& op, int result) noexcept {
    if (op.sqe.opcode == IORING_OP_TIMEOUT)
        return result == -ETIME && (op.sqe.timeout_flags & IORING_TIMEOUT_ETIME_SUCCESS);
    if (result < 0) return false;
    const bool may_be_short =
        (op.sqe.opcode == IORING_OP_SEND || op.sqe.opcode == IORING_OP_RECV) && !waits_for_all(op.sqe);
    return !is_transfer(op.sqe.opcode) || may_be_short || static_cast<size_t>(result) >= size_of(parts_of(op.sqe));
}

// The request may have completed at the same moment. Or the cancel does not find it, and has to be repeated.
inline void World::cancel(size_t index) noexcept {
    const __u64 name = ops_[index]->sqe.addr;
    const auto found =
        std::find_if(ops_.begin(), ops_.end(), [&](const auto& op) { return op->sqe.user_data == name; });
    if (found == ops_.end() || (*found)->notified) return end(index, {-ENOENT}, "");
    const auto target = static_cast<size_t>(found - ops_.begin());
    if (decisions_.rarely(10) != 0) return end(index, {-EALREADY}, " (the request is on its way)");
    const __u64 own_name = ops_[index]->sqe.user_data;
    const Op& op = **found;
    int result = -ECANCELED;
    if (op.at <= now_ && ready(op) && !is_multishot(op.sqe) && decisions_.one_of(2) != 0) {
        say(name_of(*ops_[index]) + " comes too late for " + name_of(op));
        const __u64 user_data = op.sqe.user_data;
        complete(target);
        result = std::any_of(ops_.begin(), ops_.end(), [&](const auto& it) { return it->sqe.user_data == user_data; })
                     ? -EALREADY
                     : -ENOENT;
    } else {
        end(target, {op.done != 0 ? static_cast<int>(op.done) : -ECANCELED}, "");
        result = 0;
    }
    const auto own =
        std::find_if(ops_.begin(), ops_.end(), [&](const auto& it) { return it->sqe.user_data == own_name; });
    if (own != ops_.end()) end(static_cast<size_t>(own - ops_.begin()), {result}, "");
}

inline void World::deliver(__u64 user_data, int result, unsigned flags) noexcept {
    Simulation::deliver(*io_, user_data, result, flags);
}

// A wake-up was lost, or tasks wait for each other. The run ends by cancelling all of them.
inline void World::stuck() noexcept {
    if (ops_.empty()) {
        std::fprintf(stderr, "ringside: all tasks wait, and none of them for a request\n");
        for (const std::string& sentence : schedule_) std::fprintf(stderr, "  %s\n", sentence.c_str());
        std::abort();
    }
    std::string waiting;
    for (const auto& op : ops_) waiting += (waiting.empty() ? "" : "; ") + name_of(*op);
    fail("nothing can happen any more; these wait: " + waiting);
    io_->request_stop();
    while (!ops_.empty()) end(0, {-ECANCELED}, "");
}

inline void World::fail(std::string what) {
    say("FAILURE: " + what);
    if (failure_.empty()) failure_ = std::move(what);
}

inline void World::say(const std::string& what) {
    char time[32];
    std::snprintf(time, sizeof(time), "%.3f ms: ", static_cast<double>(now_.count()) / 1e6);
    schedule_.push_back(time + what);
}

}  // namespace ringside::testing::detail
