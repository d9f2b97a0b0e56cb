// A ring as a program without any library uses it: set up by the system call, mapped with mmap(2) at the ABI's offsets,
// driven through its shared memory. The test sees every field and may write into it whatever a hostile program would.
#pragma once

#include <stdint.h>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <vector>

#include "liburing/io_uring.h"
#include "provider/provider.h"
#include "support/cqe.h"
#include "support/sqe.h"

namespace ringside::test {

// How long a test waits for something that ought to happen at once, before it fails.
inline constexpr int64_t patience_ms = 10'000;

// The provider that this run of the tests is about.
provider::Kind provider_under_test();

// io_uring_setup(2) on it: a file descriptor, or -errno.
int setup_ring(unsigned entries, io_uring_params* params);

// io_uring_params with these flags and all else zero.
io_uring_params params_with(unsigned flags);

// A part of a ring's memory, mapped by the program; unmapped with the object.
class Mapping {
  public:
    Mapping() = default;
    Mapping(int fd, uint64_t offset, size_t length);
    ~Mapping();
    Mapping(Mapping&& other) noexcept;
    Mapping& operator=(Mapping&& other) noexcept;

    explicit operator bool() const { return start_ != nullptr; }
    // errno of the mmap(2) that failed, or 0.
    int error() const { return error_; }
    std::byte* at(size_t offset) const { return start_ + offset; }

  private:
    std::byte* start_ = nullptr;
    size_t length_ = 0;
    int error_ = 0;
};

class RawRing {
  public:
    // A word of ring memory, shared with the kernel or the engine.
    using Word = std::atomic_ref<uint32_t>;

    explicit RawRing(unsigned entries = 8, unsigned setup_flags = 0);
    RawRing(unsigned entries, io_uring_params params);
    ~RawRing();
    RawRing(const RawRing&) = delete;
    RawRing& operator=(const RawRing&) = delete;

    int fd() const { return fd_; }
    const io_uring_params& params() const { return params_; }
    bool has(unsigned setup_flag) const { return (params_.flags & setup_flag) != 0; }

    // The fields of the rings.
    Word sq_head() const { return sq_word(params_.sq_off.head); }
    Word sq_tail() const { return sq_word(params_.sq_off.tail); }
    Word sq_mask() const { return sq_word(params_.sq_off.ring_mask); }
    Word sq_entries() const { return sq_word(params_.sq_off.ring_entries); }
    Word sq_flags() const { return sq_word(params_.sq_off.flags); }
    Word sq_dropped() const { return sq_word(params_.sq_off.dropped); }
    Word sq_array(unsigned index) const { return sq_word(params_.sq_off.array + index * sizeof(uint32_t)); }
    Word cq_head() const { return cq_word(params_.cq_off.head); }
    Word cq_tail() const { return cq_word(params_.cq_off.tail); }
    Word cq_mask() const { return cq_word(params_.cq_off.ring_mask); }
    Word cq_entries() const { return cq_word(params_.cq_off.ring_entries); }
    Word cq_overflow() const { return cq_word(params_.cq_off.overflow); }
    Word cq_flags() const { return cq_word(params_.cq_off.flags); }
    io_uring_sqe* sqe_at(unsigned index) const;
    io_uring_cqe* cqe_at(unsigned index) const;

    // Puts an entry at the SQ's tail and publishes it. There must be room.
    void push(const io_uring_sqe& sqe);

    // io_uring_enter(2), in full and in its shortest useful forms.
    int enter(unsigned to_submit, unsigned min_complete = 0, unsigned flags = 0, const void* arg = nullptr,
              size_t arg_size = 0);
    int submit_pushed(unsigned count) { return enter(count); }

    // Pushes the entries and enters once for all of them.
    template <std::convertible_to<io_uring_sqe>... Sqes>
    int submit(const Sqes&... sqes) {
        (push(sqes), ...);
        return submit_pushed(sizeof...(sqes));
    }

    int register_call(unsigned opcode, void* arg, unsigned nr_args);

    // Completions that lie in the CQ now: how many, and takes them out.
    unsigned ready() const;
    std::vector<Cqe> reap();

    // Enters until `count` completions lie in the CQ (or patience ends) and takes out all there are.
    std::vector<Cqe> wait(unsigned count);

    // The same by looking at memory alone: the ring is never entered.
    std::vector<Cqe> watch(unsigned count);

    // Submits one entry and waits for its one completion. The ring must be idle otherwise.
    Cqe run(const io_uring_sqe& sqe);

    // Completions that arrive within a short while, for a test that expects none.
    std::vector<Cqe> linger(int64_t milliseconds = 20);

    // Closes the ring before its time; returns what close(2) did.
    int close();

    // Maps the rings once more, after a resize that answered with these sizes and offsets.
    void map_anew(const io_uring_params& resized);

    // Unmaps the rings, so that nothing but the file descriptor holds the ring.
    void unmap();

  private:
    Word sq_word(size_t offset) const;
    Word cq_word(size_t offset) const;
    void map();

    provider::Kind kind_;
    io_uring_params params_;
    int fd_ = -1;
    Mapping rings_;
    Mapping sqes_;
};

// A relative time as the ABI carries it.
__kernel_timespec milliseconds_of(int64_t milliseconds);

}  // namespace ringside::test
