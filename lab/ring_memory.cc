#include "ring_memory.h"

#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <utility>

namespace ringside::lab {
namespace {

// Memory for a ring that the program brings itself: enough for the largest ring there is, with the largest entries.
constexpr size_t own_memory_bytes = 4 << 20;

std::byte* map_memory(int fd, uint64_t offset, size_t length) {
    const int sharing = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_POPULATE;
    void* start = mmap(nullptr, length, PROT_READ | PROT_WRITE, sharing, fd, static_cast<off_t>(offset));
    return start == MAP_FAILED ? nullptr : static_cast<std::byte*>(start);
}

}  // namespace

RingMemory::RingMemory(provider::Kind kind, const Setup& setup) : kind_(kind) {
    params_.flags = setup.flags;
    params_.cq_entries = setup.cq_entries;
    params_.sq_thread_idle = setup.sq_thread_idle;
    params_.wq_fd = setup.wq_fd;
    if (has(IORING_SETUP_ATTACH_WQ) && setup.wq_fd == 0) open_companion(setup.flags & IORING_SETUP_SQPOLL);
    params_.resv[1] = setup.reserved;
    if (has(IORING_SETUP_NO_MMAP)) {
        rings_length_ = sqes_length_ = own_memory_bytes;
        rings_ = map_memory(-1, 0, rings_length_);
        sqes_ = map_memory(-1, 0, sqes_length_);
        params_.cq_off.user_addr = reinterpret_cast<uint64_t>(rings_);
        params_.sq_off.user_addr = reinterpret_cast<uint64_t>(sqes_);
    }
    fd_ = provider::setup(kind_, setup.entries, &params_, engine::Face::mappable);
    if (fd_ >= 0 && !has(IORING_SETUP_NO_MMAP)) map();
    if (usable()) looked_at_ = cq_head().load();
}

RingMemory::~RingMemory() {
    close();
    if (rings_ != nullptr) munmap(rings_, rings_length_);
    if (sqes_ != nullptr) munmap(sqes_, sqes_length_);
}

void RingMemory::open_companion(uint32_t flags) {
    io_uring_params params = {};
    params.flags = flags;
    params.sq_thread_idle = params_.sq_thread_idle;
    companion_ = provider::setup(kind_, entries_for_all_workers, &params, engine::Face::mappable);
    params_.wq_fd = static_cast<uint32_t>(companion_);
}

void RingMemory::close() {
    if (fd_ >= 0 && has(IORING_SETUP_REGISTERED_FD_ONLY)) {
        io_uring_rsrc_update place = {};
        place.offset = static_cast<uint32_t>(fd_);
        register_call(IORING_UNREGISTER_RING_FDS, &place, 1);
    } else if (fd_ >= 0) {
        provider::close(kind_, fd_);
    }
    if (companion_ >= 0) provider::close(kind_, companion_);
    fd_ = companion_ = -1;
}

void RingMemory::map() {
    const size_t sq_length = params_.sq_off.array + params_.sq_entries * sizeof(uint32_t);
    const size_t cq_length = params_.cq_off.cqes + params_.cq_entries * (has(IORING_SETUP_CQE32) ? 32 : 16);
    rings_length_ = std::max(sq_length, cq_length);
    sqes_length_ = params_.sq_entries * (has(IORING_SETUP_SQE128) ? 128 : 64);
    rings_ = map_memory(fd_, IORING_OFF_SQ_RING, rings_length_);
    sqes_ = map_memory(fd_, IORING_OFF_SQES, sqes_length_);
}

std::atomic_ref<uint32_t> RingMemory::word_at(Word word, uint32_t index) const {
    const io_sqring_offsets& sq = params_.sq_off;
    const io_cqring_offsets& cq = params_.cq_off;
    uint32_t offset = 0;
    switch (word) {
        case Word::sq_tail:
            offset = sq.tail;
            break;
        case Word::sq_head:
            offset = sq.head;
            break;
        case Word::sq_flags:
            offset = sq.flags;
            break;
        case Word::sq_dropped:
            offset = sq.dropped;
            break;
        case Word::cq_overflow:
            offset = cq.overflow;
            break;
        case Word::cq_flags:
            offset = cq.flags;
            break;
        default:
            offset = sq.array + (index & (params_.sq_entries - 1)) * 4;
            break;
    }
    return std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(rings_ + offset));
}

std::atomic_ref<uint32_t> RingMemory::cq_head() const {
    return std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(rings_ + params_.cq_off.head));
}

std::atomic_ref<uint32_t> RingMemory::cq_tail() const {
    return std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(rings_ + params_.cq_off.tail));
}

bool RingMemory::push(const io_uring_sqe& sqe) {
    if (queued() + unpublished_ >= params_.sq_entries) return false;
    const uint32_t tail = load(Word::sq_tail) + unpublished_;
    const uint32_t index = tail & (params_.sq_entries - 1);
    const size_t size = has(IORING_SETUP_SQE128) ? 128 : 64;
    std::byte* entry = sqes_ + index * size;
    memset(entry, 0, size);
    memcpy(entry, &sqe, sizeof(sqe));
    if (!has(IORING_SETUP_NO_SQARRAY)) word_at(Word::sq_array, index).store(index);
    ++unpublished_;
    return true;
}

void RingMemory::add(const Poke& poke) {
    if (poke.word == Word::sq_array && has(IORING_SETUP_NO_SQARRAY)) return;
    word_at(poke.word, poke.index).fetch_add(poke.add);
}

void RingMemory::publish() { word_at(Word::sq_tail, 0).fetch_add(std::exchange(unpublished_, 0)); }

// Hands out the completion in a slot; returns how many slots it took.
uint32_t RingMemory::take_one(uint32_t at, const std::function<void(const Completion&)>& sink) const {
    const size_t size = has(IORING_SETUP_CQE32) ? 32 : 16;
    const std::byte* slot = rings_ + params_.cq_off.cqes + size * (at & (params_.cq_entries - 1));
    Completion completion = {};
    memcpy(&completion, slot, 16);
    if ((completion.flags & IORING_CQE_F_SKIP) != 0 && has(IORING_SETUP_CQE_MIXED)) return 1;
    const bool twice = has(IORING_SETUP_CQE_MIXED) && (completion.flags & IORING_CQE_F_32) != 0;
    if (has(IORING_SETUP_CQE32) || twice) memcpy(completion.extra, slot + 16, 16);
    sink(completion);
    return twice ? 2 : 1;
}

void RingMemory::take(bool reap, const std::function<void(const Completion&)>& sink) {
    const uint32_t tail = cq_tail().load();
    // A tail out of range would be the provider's fault: the first slots of it are enough to show it.
    const uint32_t end = tail - looked_at_ > params_.cq_entries ? looked_at_ + params_.cq_entries : tail;
    while (static_cast<int32_t>(end - looked_at_) > 0) looked_at_ += take_one(looked_at_, sink);
    if (reap) cq_head().store(looked_at_);
}

int RingMemory::enter(uint32_t to_submit, uint32_t min_complete, uint32_t flags, const void* arg, size_t arg_size) {
    if (has(IORING_SETUP_REGISTERED_FD_ONLY)) flags |= IORING_ENTER_REGISTERED_RING;
    return provider::enter(kind_, fd_, to_submit, min_complete, flags, arg, arg_size);
}

int RingMemory::register_call(uint32_t opcode, void* arg, uint32_t nr_args) {
    if (has(IORING_SETUP_REGISTERED_FD_ONLY)) opcode |= IORING_REGISTER_USE_REGISTERED_RING;
    return provider::register_call(kind_, static_cast<unsigned>(fd_), opcode, arg, nr_args);
}

}  // namespace ringside::lab
