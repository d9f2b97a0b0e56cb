// A ring of which a seed decides what it does: in which order requests complete, how short transfers are, what fails.
// Files and sockets are in memory, and time is virtual. ringside/testing.hpp is for users.
#pragma once

#include <netinet/in.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ringside/ringside.hpp"

namespace ringside::testing {

// What the seed may do to a program. Order, delays and short transfers are what every program has to stand.
struct Faults {
    bool short_transfers = true;
    // Each request takes a time, up to a second.
    bool delays = true;
    // EINTR for requests that wait; ENOBUFS for those that take buffers of a pool, at any time.
    bool errors = false;
    // Multishot requests end before their time.
    bool lost_multishots = true;
    // Bytes that a socket or pipe holds until its reader takes some.
    size_t capacity = 65536;
};

namespace detail {

using ringside::detail::Simulation;

// The decisions of a run, one after the other: by a seed, or as they were made before. 0 is always the plain one: the
// oldest request, no fault, no delay. So a failing run shrinks by making decisions 0.
class Decisions {
  public:
    explicit Decisions(std::uint64_t seed) noexcept : state_(seed * 0x9e37'79b9'7f4a'7c15 + 1), random_(true) {}
    explicit Decisions(std::vector<unsigned> given) noexcept : given_(std::move(given)) {}

    // One of `count`, each as likely.
    unsigned one_of(unsigned count) {
        return count <= 1 ? 0 : decide(count, [&] { return draw() % count; });
    }
    // Other than 0, one of `count`, in that many of a hundred cases.
    unsigned rarely(unsigned percent, unsigned count = 2) {
        return decide(count, [&] { return draw() % 100 < percent ? 1 + draw() % (count - 1) : 0; });
    }

    const std::vector<unsigned>& made() const noexcept { return made_; }

  private:
    template <typename Draw>
    unsigned decide(unsigned count, Draw draw_one) {
        unsigned value = 0;
        if (random_) value = static_cast<unsigned>(draw_one());
        else if (made_.size() < given_.size()) value = given_[made_.size()] % count;
        made_.push_back(value);
        return value;
    }

    std::uint64_t draw() noexcept {
        std::uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15;
        z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
        z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
        return z ^ (z >> 31);
    }

    std::uint64_t state_ = 0;
    bool random_ = false;
    std::vector<unsigned> given_, made_;
};

struct File {
    enum class Kind { regular, stream, listener, unbound };

    explicit File(Kind its_kind) noexcept : kind(its_kind) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    // Nobody has it any more, no request either.
    ~File() {
        if (const auto other = peer.lock()) other->end = other->gone = true;
    }

    Kind kind;
    std::string bytes;  // of a regular file, or that wait for the reader
    std::uint64_t position = 0;
    std::weak_ptr<File> peer;
    bool reads = true, writes = true;           // a pipe has a file for each
    bool end = false;                           // no more bytes will come
    bool gone = false;                          // and nobody takes any
    std::deque<std::shared_ptr<File>> waiting;  // connections of a listener
    unsigned port = 0;
};
using FilePointer = std::shared_ptr<File>;

// A request that has been submitted and has not ended.
struct Op {
    io_uring_sqe sqe;
    FilePointer file;
    std::chrono::nanoseconds at{0};  // not before
    std::chrono::nanoseconds period{0};
    unsigned number = 0;
    unsigned done = 0;  // bytes, of one that waits for all
    bool notified = false;
    std::unique_ptr<Op> behind;  // in a chain
};

// A part of the program's memory that a request uses.
struct Memory {
    std::uintptr_t begin, end;
    bool written;
};

class World final : public Simulation {
  public:
    World(Decisions decisions, const Faults& faults) : decisions_(std::move(decisions)), faults_(faults) {
        queue_.reserve(queue_size);
        current_ = this;
        ringside::detail::close_simulated = close;
    }
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    ~World() {
        current_ = nullptr;
        ringside::detail::close_simulated = nullptr;
    }

    // --- For Io

    void attach(ringside::Io& io) noexcept { io_ = &io; }
    io_uring_sqe* sqe() noexcept override {
        if (queue_.size() == queue_size) take_queue();
        queue_.emplace_back();
        return &queue_.back();
    }
    unsigned room() noexcept override {
        take_queue();
        return queue_size;
    }
    bool retract(__u64 user_data) noexcept override;
    void turn(std::chrono::nanoseconds limit) noexcept override;
    std::chrono::steady_clock::time_point now() const noexcept override {
        return std::chrono::steady_clock::time_point(std::chrono::hours(1) + now_);
    }
    int register_buffers(const io_uring_buf_reg& registration) noexcept override;
    void unregister_buffers(unsigned group) noexcept override { pools_.erase(group); }

    // --- For tests

    int add(FilePointer file);
    FilePointer find(int fd) const;
    std::pair<int, int> pair();
    int connect(unsigned port);
    FilePointer listener(unsigned port, bool make);
    FilePointer& path(const std::string& name) { return paths_[name]; }

    void fail(std::string what);
    const std::string& failure() const noexcept { return failure_; }
    const std::vector<unsigned>& decisions() const noexcept { return decisions_.made(); }
    const std::vector<std::string>& schedule() const noexcept { return schedule_; }

    // Descriptors of this thread that end.
    static void close(int fd) noexcept {
        if (current_ != nullptr) current_->files_.erase(fd);
    }

  private:
    static constexpr size_t queue_size = 64;
    static constexpr unsigned most_turns = 200'000;
    static constexpr int would_wait = -10'000;

    struct PoolRing {
        io_uring_buf_ring* ring;
        unsigned count;
        unsigned short head = 0;
    };
    struct Done {
        int result;
        unsigned flags = 0;
        bool more = false;
    };

    void take_queue() noexcept;
    void start(std::unique_ptr<Op> op) noexcept;
    void check_memory(const Op& op);
    bool ready(const Op& op) const;
    void complete(size_t index) noexcept;
    void end(size_t index, Done done, const char* note) noexcept;
    void cancel(size_t index) noexcept;
    void deliver(__u64 user_data, int result, unsigned flags) noexcept;
    void stuck() noexcept;

    std::chrono::nanoseconds delay();
    static bool succeeded(const Op& op, int result) noexcept;
    static void break_chain(World& world, std::unique_ptr<Op> rest) noexcept;

    Done perform(Op& op);
    Done transfer(Op& op);
    int move(Op& op, const std::vector<iovec>& parts, size_t most);
    int carry_out(Op& op);
    int open(const Op& op);
    int connect(Op& op);
    int make_pipe(const Op& op);
    int shut_down(const Op& op);
    int status(const Op& op);
    int take_buffer(const Op& op, iovec& part, unsigned& flags);
    unsigned events(const File& file) const;
    size_t space(const File& file) const;
    void say(const std::string& what);

    static inline thread_local World* current_ = nullptr;

    ringside::Io* io_ = nullptr;
    Decisions decisions_;
    Faults faults_;
    std::vector<io_uring_sqe> queue_;
    std::vector<std::unique_ptr<Op>> ops_;  // in the order of submission
    std::map<int, FilePointer> files_;
    std::map<std::string, FilePointer> paths_;
    std::map<unsigned, PoolRing> pools_;
    std::chrono::nanoseconds now_{0};
    int next_fd_ = ringside::detail::first_simulated_descriptor;
    unsigned next_number_ = 1;
    unsigned next_port_ = 49152;
    unsigned turns_ = 0;
    std::string failure_;
    std::vector<std::string> schedule_;
};

}  // namespace detail

}  // namespace ringside::testing

#include "ringside/testing/files.hpp"
#include "ringside/testing/world.hpp"
