#include "support/raw_ring.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "support/eventually.h"

namespace ringside::test {

provider::Kind provider_under_test() { return provider::choose().kind; }

int setup_ring(unsigned entries, io_uring_params* params) {
    return provider::setup(provider_under_test(), entries, params, engine::Face::mappable);
}

io_uring_params params_with(unsigned flags) {
    io_uring_params params = {};
    params.flags = flags;
    return params;
}

__kernel_timespec milliseconds_of(int64_t milliseconds) {
    return {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1'000'000};
}

Mapping::Mapping(int fd, uint64_t offset, size_t length) : length_(length) {
    void* start =
        mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, static_cast<off_t>(offset));
    if (start == MAP_FAILED) {
        error_ = errno;
    } else {
        start_ = static_cast<std::byte*>(start);
    }
}

Mapping::~Mapping() {
    if (start_ != nullptr) munmap(start_, length_);
}

Mapping::Mapping(Mapping&& other) noexcept { *this = std::move(other); }

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    std::swap(start_, other.start_);
    std::swap(length_, other.length_);
    std::swap(error_, other.error_);
    return *this;
}

RawRing::RawRing(unsigned entries, unsigned setup_flags) : RawRing(entries, params_with(setup_flags)) {}

RawRing::RawRing(unsigned entries, io_uring_params params)
    : kind_(provider_under_test()),
      params_(params),
      fd_(provider::setup(kind_, entries, &params_, engine::Face::mappable)) {
    if (fd_ < 0) {
        // Nothing that follows could mean anything without the ring.
        ADD_FAILURE() << "io_uring_setup gave " << result_text(fd_);
        abort();
    }
    map();
}

RawRing::~RawRing() {
    if (fd_ >= 0) close();
}

void RawRing::map() {
    const size_t sq_length = params_.sq_off.array + params_.sq_entries * sizeof(uint32_t);
    const size_t cqe_size = has(IORING_SETUP_CQE32) ? 32 : 16;
    const size_t cq_length = params_.cq_off.cqes + params_.cq_entries * cqe_size;
    const size_t sqe_size = has(IORING_SETUP_SQE128) ? 128 : 64;
    rings_ = Mapping(fd_, IORING_OFF_SQ_RING, std::max(sq_length, cq_length));
    sqes_ = Mapping(fd_, IORING_OFF_SQES, params_.sq_entries * sqe_size);
    if (!rings_ || !sqes_) {
        ADD_FAILURE() << "mmap of the ring failed: " << strerror(rings_ ? sqes_.error() : rings_.error());
        abort();
    }
}

void RawRing::map_anew(const io_uring_params& resized) {
    params_.sq_entries = resized.sq_entries;
    params_.cq_entries = resized.cq_entries;
    params_.sq_off = resized.sq_off;
    params_.cq_off = resized.cq_off;
    unmap();
    map();
}

void RawRing::unmap() {
    rings_ = Mapping();
    sqes_ = Mapping();
}

int RawRing::close() { return provider::close(kind_, std::exchange(fd_, -1)); }

RawRing::Word RawRing::sq_word(size_t offset) const { return Word(*reinterpret_cast<uint32_t*>(rings_.at(offset))); }

// IORING_FEAT_SINGLE_MMAP: both rings live in one mapping.
RawRing::Word RawRing::cq_word(size_t offset) const { return sq_word(offset); }

io_uring_sqe* RawRing::sqe_at(unsigned index) const {
    const size_t size = has(IORING_SETUP_SQE128) ? 128 : 64;
    return reinterpret_cast<io_uring_sqe*>(sqes_.at(size * (index & (params_.sq_entries - 1))));
}

io_uring_cqe* RawRing::cqe_at(unsigned index) const {
    const size_t size = has(IORING_SETUP_CQE32) ? 32 : 16;
    return reinterpret_cast<io_uring_cqe*>(rings_.at(params_.cq_off.cqes + size * (index & (params_.cq_entries - 1))));
}

void RawRing::push(const io_uring_sqe& sqe) {
    const unsigned tail = sq_tail().load();
    ASSERT_LT(tail - sq_head().load(), params_.sq_entries) << "the SQ is full";
    const unsigned index = tail & (params_.sq_entries - 1);
    io_uring_sqe* entry = sqe_at(index);
    if (has(IORING_SETUP_SQE128)) memset(static_cast<void*>(entry), 0, 128);
    *entry = sqe;
    if (!has(IORING_SETUP_NO_SQARRAY)) sq_array(index).store(index, std::memory_order_relaxed);
    sq_tail().store(tail + 1);
}

int RawRing::enter(unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg, size_t arg_size) {
    return provider::enter(kind_, fd_, to_submit, min_complete, flags, arg, arg_size);
}

int RawRing::register_call(unsigned opcode, void* arg, unsigned nr_args) {
    return provider::register_call(kind_, static_cast<unsigned>(fd_), opcode, arg, nr_args);
}

unsigned RawRing::ready() const { return cq_tail().load() - cq_head().load(); }

std::vector<Cqe> RawRing::reap() {
    std::vector<Cqe> reaped;
    unsigned head = cq_head().load();
    for (const unsigned tail = cq_tail().load(); head != tail; ++head) {
        const io_uring_cqe* cqe = cqe_at(head);
        Cqe& copy = reaped.emplace_back(Cqe{cqe->user_data, cqe->res, cqe->flags});
        if (has(IORING_SETUP_CQE32)) memcpy(copy.big_cqe, cqe->big_cqe, sizeof(copy.big_cqe));
    }
    cq_head().store(head);
    return reaped;
}

std::vector<Cqe> RawRing::wait(unsigned count) {
    const __kernel_timespec limit = milliseconds_of(patience_ms);
    io_uring_getevents_arg arg = {};
    arg.ts = address_of(&limit);
    std::vector<Cqe> reaped;
    while (reaped.size() < count) {
        // One at a time, since completions that wait on the overflow list only move when the CQ has room.
        const int result = enter(0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));
        if (result < 0 && result != -EINTR) {
            ADD_FAILURE() << "waiting for completion " << reaped.size() + 1 << " of " << count << " gave "
                          << result_text(result);
            break;
        }
        const std::vector<Cqe> more = reap();
        reaped.insert(reaped.end(), more.begin(), more.end());
    }
    return reaped;
}

std::vector<Cqe> RawRing::watch(unsigned count) {
    EXPECT_TRUE(eventually([&] { return ready() >= count; })) << ready() << " of " << count << " completions appeared";
    return reap();
}

Cqe RawRing::run(const io_uring_sqe& sqe) {
    EXPECT_THAT(submit(sqe), Gives(1));
    const std::vector<Cqe> completions = wait(1);
    EXPECT_EQ(completions.size(), 1u);
    if (completions.empty()) return {};
    EXPECT_EQ(completions.front().user_data, sqe.user_data);
    return completions.front();
}

std::vector<Cqe> RawRing::linger(int64_t milliseconds) {
    const __kernel_timespec limit = milliseconds_of(milliseconds);
    io_uring_getevents_arg arg = {};
    arg.ts = address_of(&limit);
    enter(0, ready() + 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg));
    return reap();
}

}  // namespace ringside::test
