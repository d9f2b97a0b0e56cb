// A long random life: four threads, each with one ring after the other, and on them chains, drains, multishots,
// time-outs, cancellations and overflow in any mixture, on files that all threads share. What a request's result is
// nobody knows here; but every request ends once, and when all is over nothing is left: no descriptor, no thread, no
// memory.
//
// RINGSIDE_SOAK says how many requests there are to be, RINGSIDE_SOAK_SEED from which number chance begins.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <deque>
#include <thread>
#include <vector>

#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

constexpr unsigned threads = 4;
constexpr unsigned requests_per_ring = 2000;
constexpr unsigned most_in_flight = 400;
constexpr unsigned buffer_group = 7, buffer_size = 64, buffer_count = 32;
constexpr uint32_t cancel_everything = IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;

uint64_t number_from(const char* variable, uint64_t otherwise) {
    const char* text = getenv(variable);
    return text != nullptr ? strtoull(text, nullptr, 10) : otherwise;
}

class Dice {
  public:
    explicit Dice(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15U + 1) {}
    // Less than `sides`.
    unsigned roll(unsigned sides) {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return static_cast<unsigned>((state_ >> 33) % sides);
    }
    bool once_in(unsigned times) { return roll(times) == 0; }

  private:
    uint64_t state_;
};

// What all threads work on.
struct Playground {
    std::array<Pipe, 8> pipes;
    std::array<Pipe, 2> nonblocking_pipes{Pipe(O_NONBLOCK), Pipe(O_NONBLOCK)};
    std::array<Ends, 6> sockets{unix_pair(SOCK_STREAM),
                                unix_pair(SOCK_STREAM | SOCK_NONBLOCK),
                                unix_pair(SOCK_DGRAM),
                                unix_pair(SOCK_SEQPACKET),
                                tcp_pair(),
                                tcp_pair()};
    Fd file = memory_file_with("some content that is read, and written over");
    std::array<uint32_t, 4> futexes{};

    int any_pipe(Dice& dice, bool to_write) const {
        const unsigned at = dice.roll(10);
        const Pipe& pipe = at < 8 ? pipes[at] : nonblocking_pipes[at - 8];
        return to_write ? pipe.write_end : pipe.read_end;
    }
    int any_socket(Dice& dice) const {
        const Ends& ends = sockets[dice.roll(sockets.size())];
        return dice.once_in(2) ? ends.near : ends.far;
    }
    int any_file(Dice& dice) const {
        if (dice.once_in(3)) return any_socket(dice);
        return any_pipe(dice, dice.once_in(2));
    }
};

// What a thread's requests read into and write from. It outlives its rings: the kernel ends a ring's requests some time
// after the ring was closed.
struct Memory {
    char bytes[buffer_size] = {};
    char provided[buffer_count * buffer_size];
};

constexpr std::array<__kernel_timespec, 4> times = {{{0, 0}, {0, 20'000}, {0, 300'000}, {10, 0}}};

// --- One ring's life ------------------------------------------------------------------------------------------------

class Life {
  public:
    Life(const Playground& playground, Memory& memory, Dice& dice)
        : playground_(playground),
          memory_(memory),
          dice_(dice),
          silent_(dice.once_in(2)),
          ring_(entries(), parameters()) {}

    // Submits about so many requests, ends them all, and says how many they were.
    unsigned live(unsigned requests) {
        push(provide_buffers(0, buffer_count));
        while (fates_.size() < requests && !testing::Test::HasFailure()) {
            push_batch();
            submit();
            if (dice_.once_in(16)) cancel_from_outside();
            reap();
        }
        end_all();
        EXPECT_EQ(ring_.cq_overflow(), 0u);
        return static_cast<unsigned>(fates_.size());
    }

  private:
    // What is known of a request, whose number is its user_data.
    struct Fate {
        bool submitted = false;
        bool ended = false;
        bool may_be_silent = false;
        Sqe sqe{};
    };

    unsigned entries() { return 8U << dice_.roll(4); }
    io_uring_params parameters() {
        static constexpr unsigned modes[] = {0, IORING_SETUP_SUBMIT_ALL,
                                             IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                                             IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_CQE32};
        io_uring_params params = params_with(modes[dice_.roll(std::size(modes))]);
        return params;
    }

    // --- Requests ---

    Sqe provide_buffers(unsigned first, unsigned count) {
        return sqe::transfer(IORING_OP_PROVIDE_BUFFERS, static_cast<int>(count), memory_.provided + first * buffer_size,
                             buffer_size, first)
            .set(&Sqe::buf_group, buffer_group);
    }
    Sqe any_transfer() {
        const unsigned length = dice_.roll(buffer_size) + 1;
        switch (dice_.roll(6)) {
            case 0:
                return sqe::read(playground_.any_pipe(dice_, false), memory_.bytes, length);
            case 1:
                return sqe::write(playground_.any_pipe(dice_, true), memory_.bytes, length);
            case 2:
                return sqe::transfer(IORING_OP_SEND, playground_.any_socket(dice_), memory_.bytes, length, 0);
            case 3:
                return sqe::read(playground_.file, memory_.bytes, length, dice_.roll(100));
            case 4:
                return sqe::write(playground_.file, memory_.bytes, length, dice_.roll(100));
            default:
                return sqe::transfer(IORING_OP_RECV, playground_.any_socket(dice_), memory_.bytes, length, 0)
                    .set(&Sqe::ioprio, dice_.once_in(8) ? IORING_RECVSEND_POLL_FIRST : 0);
        }
    }
    Sqe any_multishot() {
        if (dice_.once_in(2)) return sqe::poll_add(playground_.any_file(dice_), POLLIN, IORING_POLL_ADD_MULTI);
        return sqe::transfer(IORING_OP_RECV, playground_.any_socket(dice_), nullptr, 0, 0)
            .flag(IOSQE_BUFFER_SELECT)
            .set(&Sqe::ioprio, IORING_RECV_MULTISHOT)
            .set(&Sqe::buf_group, buffer_group);
    }
    Sqe any_timeout() {
        const __kernel_timespec& time = times[dice_.roll(times.size())];
        switch (dice_.roll(4)) {
            case 0:
                return sqe::timeout(&time, dice_.roll(20) + 1);
            case 1:
                return sqe::timeout(&time, dice_.roll(4) + 1, IORING_TIMEOUT_MULTISHOT);
            default:
                return sqe::timeout(&time);
        }
    }
    // One of the last, which may be gone.
    uint64_t somebody() {
        const size_t back = dice_.roll(60) + 1;
        return fates_.size() > back ? fates_.size() - back : 0;
    }
    Sqe any_cancellation() {
        switch (dice_.roll(8)) {
            case 0:
                return sqe::timeout_remove(somebody());
            case 1:
                return sqe::poll_remove(somebody());
            case 2:
                // Not to the shortest: a multishot timeout goes on for ever once it was updated, and one that is over
                // whenever somebody looks is never found waiting by those who want to cancel it.
                return sqe::timeout_update(somebody(), &times[2 + dice_.roll(2)]);
            case 3:
                return sqe::cancel_fd(playground_.any_file(dice_), dice_.once_in(2) ? IORING_ASYNC_CANCEL_ALL : 0);
            case 4:
                return sqe::cancel(0, dice_.once_in(8) ? cancel_everything : IORING_ASYNC_CANCEL_ANY);
            default:
                return sqe::cancel(somebody(), dice_.once_in(4) ? IORING_ASYNC_CANCEL_ALL : 0);
        }
    }
    Sqe any_futex() {
        constexpr int kind = 2;  // FUTEX2_SIZE_U32
        const uint32_t& word = playground_.futexes[dice_.roll(playground_.futexes.size())];
        const bool waits = dice_.once_in(2);
        return Sqe(waits ? IORING_OP_FUTEX_WAIT : IORING_OP_FUTEX_WAKE, kind)
            .set(&Sqe::addr, address_of(&word))
            .set(&Sqe::addr2, waits ? 0U : 1U)
            .set(&Sqe::addr3, ~0U);
    }
    Sqe any_request() {
        const unsigned kind = dice_.roll(100);
        if (kind < 25) return sqe::nop();
        if (kind < 28) return sqe::nop(IORING_NOP_INJECT_RESULT).set(&Sqe::len, -EIO);
        if (kind < 70) return any_transfer();
        if (kind < 76) return sqe::poll_add(playground_.any_file(dice_), dice_.once_in(2) ? POLLIN : POLLOUT);
        if (kind < 80) return any_multishot();
        if (kind < 86) return any_timeout();
        if (kind < 95) return any_cancellation();
        if (kind < 97) return sqe::fsync(playground_.file);
        if (kind < 98) return any_futex();
        if (kind < 99) return sqe::read(-1, memory_.bytes, 1);
        return Sqe(250);
    }

    // --- Chains and batches ---

    void push(Sqe sqe) {
        sqe.data(fates_.size());
        // What follows a silent request in its chain may end with it.
        if (!chain_is_open_) chain_is_silent_ = false;
        chain_is_silent_ |= (sqe.flags & IOSQE_CQE_SKIP_SUCCESS) != 0;
        chain_is_open_ = sqe.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK);
        fates_.push_back({});
        fates_.back().may_be_silent = chain_is_silent_;
        fates_.back().sqe = sqe;
        unsubmitted_.push_back(fates_.size() - 1);
        ring_.push(sqe);
    }
    unsigned any_flags() {
        unsigned flags = 0;
        if (dice_.once_in(12)) flags |= IOSQE_ASYNC;
        // A ring on which something was to be silent does not drain.
        if (!silent_ && dice_.once_in(60)) flags |= IOSQE_IO_DRAIN;
        if (silent_ && dice_.once_in(10)) flags |= IOSQE_CQE_SKIP_SUCCESS;
        return flags;
    }
    // A chain of up to `room` requests. One that stays open goes on with what comes next in its batch, if anything
    // does.
    void push_chain(unsigned room) {
        const unsigned length = dice_.once_in(3) ? dice_.roll(room < 6 ? room : 6) + 1 : 1;
        const bool stays_open = dice_.once_in(10);
        for (unsigned at = 1; at <= length; ++at) {
            const bool limit = at > 1 && dice_.once_in(4);
            Sqe sqe = limit ? sqe::timeout(&times[dice_.roll(times.size())]).set(&Sqe::opcode, IORING_OP_LINK_TIMEOUT)
                            : any_request();
            sqe.flag(any_flags());
            if (at < length || stays_open) sqe.flag(dice_.once_in(4) ? IOSQE_IO_HARDLINK : IOSQE_IO_LINK);
            push(sqe);
        }
    }
    unsigned room() const { return ring_.params().sq_entries - static_cast<unsigned>(unsubmitted_.size()); }
    void push_batch() {
        while (!to_provide_.empty() && room() > 0) {
            push(provide_buffers(to_provide_.front(), 1));
            to_provide_.pop_front();
        }
        const unsigned wanted = dice_.roll(ring_.params().sq_entries) + 1;
        for (unsigned pushed = 0; pushed < wanted && room() > 0 && in_flight_ < most_in_flight; ++pushed) {
            push_chain(room());
        }
    }

    // --- Submission and completion ---

    void submit() {
        const unsigned wait_for = dice_.once_in(4) ? dice_.roll(4) : 0;
        enter(static_cast<unsigned>(unsubmitted_.size()), wait_for);
    }
    void enter(unsigned to_submit, unsigned wait_for) {
        const __kernel_timespec a_moment = {0, 200'000};
        io_uring_getevents_arg argument = {};
        argument.ts = address_of(&a_moment);
        const int result = ring_.enter(to_submit, wait_for, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &argument,
                                       sizeof(argument));
        if (result < 0) {
            EXPECT_THAT(result, testing::AnyOf(testing::Eq(-ETIME), testing::Eq(-EINTR), testing::Eq(-EBUSY)));
        }
        for (int consumed = 0; consumed < result; ++consumed) {
            ASSERT_FALSE(unsubmitted_.empty());
            Fate& fate = fates_[unsubmitted_.front()];
            unsubmitted_.pop_front();
            fate.submitted = true;
            if (!fate.ended && !fate.may_be_silent) ++in_flight_;
        }
    }
    void reap() {
        for (const Cqe& cqe : ring_.reap()) account(cqe);
    }
    void account(const Cqe& cqe) {
        ASSERT_LT(cqe.user_data, fates_.size()) << cqe;
        Fate& fate = fates_[cqe.user_data];
        if (cqe.flags & IORING_CQE_F_BUFFER) to_provide_.push_back(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
        EXPECT_FALSE(fate.ended) << "after its end: " << cqe;
        if (cqe.flags & IORING_CQE_F_MORE) return;
        fate.ended = true;
        if (fate.submitted && !fate.may_be_silent) --in_flight_;
    }

    // --- The end ---

    void cancel_from_outside() {
        io_uring_sync_cancel_reg all = {};
        all.flags = cancel_everything;
        all.timeout = {0, 100'000};
        ring_.register_call(IORING_REGISTER_SYNC_CANCEL, &all, 1);
    }
    void end_all() {
        const bool over = eventually([this] {
            enter(static_cast<unsigned>(unsubmitted_.size()), 0);
            cancel_from_outside();
            enter(0, 0);
            reap();
            return (unsubmitted_.empty() && in_flight_ == 0) || testing::Test::HasFailure();
        });
        if (over) return;
        for (size_t at = 0; at < fates_.size(); ++at) {
            if (fates_[at].ended || fates_[at].may_be_silent) continue;
            const Sqe& sqe = fates_[at].sqe;
            ADD_FAILURE() << "request " << at << " never ended: operation " << unsigned{sqe.opcode} << ", flags "
                          << unsigned{sqe.flags} << ", file " << sqe.fd << ", length " << sqe.len << ", offset "
                          << sqe.off << ", operation flags " << sqe.rw_flags << ", ring set up with "
                          << ring_.params().flags;
        }
    }

    const Playground& playground_;
    Memory& memory_;
    Dice& dice_;
    const bool silent_;
    RawRing ring_;
    std::vector<Fate> fates_;
    std::deque<uint64_t> unsubmitted_;
    std::deque<unsigned> to_provide_;
    unsigned in_flight_ = 0;
    bool chain_is_open_ = false, chain_is_silent_ = false;
};

// --- All of it ------------------------------------------------------------------------------------------------------

using Memories = std::array<Memory, threads>;

uint64_t live_with(const Playground& playground, Memories& memory, uint64_t seed, uint64_t requests) {
    std::atomic<uint64_t> lived = 0;
    std::vector<std::thread> lives;
    for (unsigned thread = 0; thread < threads; ++thread) {
        lives.emplace_back([&, thread] {
            Dice dice(seed * threads + thread + 1);
            while (lived.load() < requests && !testing::Test::HasFailure()) {
                Life life(playground, memory[thread], dice);
                lived += life.live(requests_per_ring);
            }
        });
    }
    for (std::thread& life : lives) life.join();
    return lived;
}

TEST(Soak, every_request_ends_once_and_nothing_is_left) {
    const uint64_t requests = number_from("RINGSIDE_SOAK", 100'000);
    const uint64_t seed = number_from("RINGSIDE_SOAK_SEED", 1);
    SCOPED_TRACE("RINGSIDE_SOAK_SEED=" + std::to_string(seed));
    const Playground playground;
    Memories memories;
    // What is taken once, and kept for ever, is taken now.
    live_with(playground, memories, seed + 1, threads * requests_per_ring);
    const Holdings before = holdings();
    const size_t memory = mallinfo2().uordblks;

    EXPECT_GE(live_with(playground, memories, seed, requests), requests);
    EXPECT_TRUE(eventually([&] { return count_threads() <= before.threads && count_fds() == before.fds; }))
        << holdings();
    // The allocator and the tests keep this and that; a leak would be many times as much.
    EXPECT_LT(mallinfo2().uordblks, memory + 256 * 1024);
}

}  // namespace
}  // namespace ringside::test
