// A ring as the executor drives it: set up as a program asks, mapped as a program without a library maps it, and never
// trusted, since the program may have written anything into it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "liburing/io_uring.h"
#include "program.h"
#include "provider/provider.h"

namespace ringside::lab {

// A completion, copied out of the ring.
struct Completion {
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
    uint64_t extra[2];
};

// How many workers the kernel may start for what ends by itself is decided by the first ring of a thread: as many as it
// has entries, and four for each processor. With one or two, chains that wait in them soon hold up everything else.
inline constexpr unsigned entries_for_all_workers = 32;

class RingMemory {
  public:
    RingMemory(provider::Kind kind, const Setup& setup);
    ~RingMemory();
    RingMemory(const RingMemory&) = delete;
    RingMemory& operator=(const RingMemory&) = delete;

    // The ring's descriptor (its index among the registered ones if it has none), or -errno of the setup.
    int fd() const { return fd_; }
    bool usable() const { return fd_ >= 0 && rings_ != nullptr && sqes_ != nullptr; }
    const io_uring_params& params() const { return params_; }
    bool has(unsigned setup_flag) const { return (params_.flags & setup_flag) != 0; }

    uint32_t load(Word word, uint32_t index = 0) const { return word_at(word, index).load(); }
    void add(const Poke& poke);

    // SQEs that wait to be submitted.
    uint32_t queued() const { return load(Word::sq_tail) - load(Word::sq_head); }
    // Puts an SQE behind the others; false where the SQ is full.
    bool push(const io_uring_sqe& sqe);
    // Moves the tail over the SQEs that were pushed, all at once: a thread of the ring that looks must not see half a
    // chain.
    void publish();

    // Takes completions out, or only looks at those not looked at before.
    void take(bool reap, const std::function<void(const Completion&)>& sink);

    // Completions that were looked at and left in the CQ.
    uint32_t left_in_cq() const { return looked_at_ - cq_head().load(); }

    int enter(uint32_t to_submit, uint32_t min_complete, uint32_t flags, const void* arg, size_t arg_size);
    int register_call(uint32_t opcode, void* arg, uint32_t nr_args);
    void close();

  private:
    std::atomic_ref<uint32_t> word_at(Word word, uint32_t index) const;
    std::atomic_ref<uint32_t> cq_head() const;
    std::atomic_ref<uint32_t> cq_tail() const;
    uint32_t take_one(uint32_t at, const std::function<void(const Completion&)>& sink) const;
    void map();
    void open_companion(uint32_t flags);

    provider::Kind kind_;
    io_uring_params params_ = {};
    int fd_ = -1;
    int companion_ = -1;  // the ring whose workers it shares
    std::byte* rings_ = nullptr;
    std::byte* sqes_ = nullptr;
    size_t rings_length_ = 0;
    size_t sqes_length_ = 0;
    uint32_t unpublished_ = 0;
    uint32_t looked_at_ = 0;  // CQ position up to which completions have been handed out
};

}  // namespace ringside::lab
