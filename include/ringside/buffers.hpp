// Buffers that the ring chooses: a pool of them, and handles that own one each.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <memory>
#include <span>

#include "ringside/operations.hpp"

namespace ringside {

namespace detail {

// A stream that has been told that the pool is empty.
class BufferWaiter : public Link {
  public:
    using Wake = void (*)(BufferWaiter&) noexcept;
    explicit BufferWaiter(Wake woken) noexcept : wake(woken) {}
    const Wake wake;
};

// The memory of a pool: a buffer ring, and behind it the buffers. Counted: the pool, its buffers, and the requests that
// use it hold it. One thread owns all of them, the Io's, so the count is no atomic.
class Pool : public RingMemory {
  public:
    static Result<Pool*> make(Io& io, unsigned count, size_t size) noexcept {
        if (count == 0 || (count & (count - 1)) != 0 || count > 32768 || size == 0 || size > 0x7fff'ffff) {
            return Errno{EINVAL};
        }
        const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        const size_t ring_size = (count * sizeof(io_uring_buf) + page - 1) / page * page;
        const size_t stride = (size + alignment - 1) / alignment * alignment;
        void* const memory =
            mmap(nullptr, ring_size + count * stride, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) return Errno{errno};
        auto* const pool = new Pool(io, memory, ring_size, count, size);
        const int error = pool->register_ring();
        if (error == 0) return pool;
        pool->unlink();
        pool->io_ = nullptr;
        pool->release();
        return Errno{error};
    }
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    void hold() noexcept { ++holders_; }
    void release() noexcept {
        if (--holders_ == 0) delete this;
    }

    // A CQE says that the ring has given a buffer to a request.
    void taken() noexcept { --free_; }
    // The ring may give it to another request. All that wait for one are woken: who issues a request and gets no data
    // needs no buffer, and must not keep the others waiting.
    void give_back(unsigned number) noexcept {
        add(number, 0);
        io_uring_buf_ring_advance(ring_, 1);
        ++free_;
        while (!waiters_.alone()) {
            auto& waiter = static_cast<BufferWaiter&>(*waiters_.next());
            waiter.unlink();
            waiter.wake(waiter);
        }
    }
    void wait(BufferWaiter& waiter) noexcept { waiter.link_before(waiters_); }

    std::byte* at(unsigned number) const noexcept { return buffers_ + number * stride_; }
    Io* io() const noexcept { return io_; }
    unsigned group() const noexcept { return group_; }
    unsigned count() const noexcept { return count_; }
    unsigned free() const noexcept { return free_; }
    size_t size() const noexcept { return size_; }

  private:
    // Of each buffer: what is received may be read as a structure.
    static constexpr size_t alignment = 64;

    Pool(Io& io, void* memory, size_t ring_size, unsigned count, size_t size) noexcept
        : RingMemory([](RingMemory& self) noexcept { static_cast<Pool&>(self).io_ = nullptr; }),
          io_(&io),
          ring_(static_cast<io_uring_buf_ring*>(memory)),
          buffers_(static_cast<std::byte*>(memory) + ring_size),
          size_(size),
          stride_((size + alignment - 1) / alignment * alignment),
          mapped_(ring_size + count * stride_),
          count_(count),
          free_(count) {
        io.add(*this);
        io_uring_buf_ring_init(ring_);
        for (unsigned i = 0; i < count; i++) add(i, i);
        io_uring_buf_ring_advance(ring_, static_cast<int>(count));
    }
    ~Pool() {
        if (io_ != nullptr) io_->unregister_buffers(group_);
        munmap(ring_, mapped_);
    }

    void add(unsigned number, unsigned places) noexcept {
        io_uring_buf_ring_add(ring_, at(number), static_cast<unsigned>(size_), static_cast<unsigned short>(number),
                              io_uring_buf_ring_mask(count_), static_cast<int>(places));
    }

    // As the first group that is free.
    int register_ring() noexcept {
        io_uring_buf_reg registration{};
        registration.ring_addr = reinterpret_cast<__u64>(ring_);
        registration.ring_entries = count_;
        for (group_ = 0; group_ < 65536; group_++) {
            registration.bgid = static_cast<__u16>(group_);
            const int result = io_->register_buffers(registration);
            if (result != -EEXIST) return -result;
        }
        return EEXIST;
    }

    Io* io_;  // null when it has ended
    io_uring_buf_ring* ring_;
    std::byte* buffers_;
    size_t size_;
    size_t stride_;
    size_t mapped_;
    unsigned count_;
    unsigned free_;
    unsigned group_ = 0;
    unsigned holders_ = 1;
    Link waiters_;
};

// Holds a pool.
class PoolHold {
  public:
    PoolHold() noexcept = default;
    explicit PoolHold(Pool* held) noexcept : pool_(held) {}
    PoolHold(PoolHold&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)) {}
    PoolHold& operator=(PoolHold&& other) noexcept {
        const PoolHold old(std::exchange(pool_, std::exchange(other.pool_, nullptr)));
        return *this;
    }
    ~PoolHold() {
        if (pool_ != nullptr) pool_->release();
    }
    PoolHold again() const noexcept {
        if (pool_ != nullptr) pool_->hold();
        return PoolHold(pool_);
    }
    Pool* get() const noexcept { return pool_; }
    Pool* operator->() const noexcept { return pool_; }

  private:
    Pool* pool_ = nullptr;
};

}  // namespace detail

// A buffer of a pool, with what was received. It goes back to the pool when it ends, and the pool's memory stays until
// then. It belongs to the thread of the Io. An empty one holds nothing.
class [[nodiscard]] Buffer {
  public:
    Buffer() noexcept = default;
    Buffer(Buffer&& other) noexcept
        : pool_(std::move(other.pool_)), number_(other.number_), bytes_(std::exchange(other.bytes_, {})) {}
    Buffer& operator=(Buffer&& other) noexcept {
        if (this == &other) return *this;
        reset();
        pool_ = std::move(other.pool_);
        number_ = other.number_;
        bytes_ = std::exchange(other.bytes_, {});
        return *this;
    }
    ~Buffer() { reset(); }

    std::span<std::byte> bytes() const noexcept { return bytes_; }
    operator std::span<std::byte>() const noexcept { return bytes_; }
    operator std::span<const std::byte>() const noexcept { return bytes_; }
    std::byte* data() const noexcept { return bytes_.data(); }
    size_t size() const noexcept { return bytes_.size(); }
    bool empty() const noexcept { return bytes_.empty(); }

    // Gives it back now.
    void reset() noexcept {
        if (pool_.get() != nullptr) pool_->give_back(number_);
        pool_ = {};
        bytes_ = {};
    }

    // For awaitables: the buffer that a CQE names.
    Buffer(detail::PoolHold pool, unsigned number, size_t size) noexcept
        : pool_(std::move(pool)), number_(number), bytes_(pool_->at(number), size) {}

  private:
    detail::PoolHold pool_;
    unsigned number_ = 0;
    std::span<std::byte> bytes_;
};

// Buffers of one size, of which a request takes one when it has data: a thousand idle connections need none. The object
// may end before its buffers and requests do.
class BufferPool {
  public:
    // `count` buffers, a power of two up to 32,768, of `size` bytes. Throws std::system_error, like Ring: EINVAL for
    // other numbers, ENOMEM if that much cannot be locked.
    BufferPool(Io& io, unsigned count, size_t size) {
        const Result<detail::Pool*> made = detail::Pool::make(io, count, size);
        if (!made) detail::cannot_construct("cannot make a buffer pool", made.error());
        pool_ = detail::PoolHold(*made);
    }

    // The same without an exception.
    static Result<BufferPool> make(Io& io, unsigned count, size_t size) noexcept {
        const Result<detail::Pool*> made = detail::Pool::make(io, count, size);
        if (!made) return Errno{made.error()};
        return BufferPool(detail::PoolHold(*made));
    }

    // How many no Buffer has, and no stream keeps for its task.
    unsigned free() const noexcept { return pool_->free(); }
    unsigned count() const noexcept { return pool_->count(); }
    size_t buffer_size() const noexcept { return pool_->size(); }

    // For awaitables, and for SQEs with IOSQE_BUFFER_SELECT.
    detail::PoolHold hold() const noexcept { return pool_.again(); }
    unsigned group() const noexcept { return pool_->group(); }

  private:
    explicit BufferPool(detail::PoolHold pool) noexcept : pool_(std::move(pool)) {}

    detail::PoolHold pool_;
};

// A request that takes a buffer when it has data.
class [[nodiscard]] BufferOperation : public detail::Request {
  public:
    template <std::invocable<io_uring_sqe*> Prepare>
    BufferOperation(const BufferPool& pool, Prepare prepare) noexcept : pool_(pool.hold()) {
        prepare(&sqe_);
        sqe_.flags |= IOSQE_BUFFER_SELECT;
        sqe_.buf_group = static_cast<__u16>(pool.group());
    }

    template <std::derived_from<detail::PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
        if (pool_->io() != self.promise().context().io) detail::broken("a buffer pool of another Io was used");
        return begin(self.promise().context(), self);
    }
    Result<Buffer> await_resume() noexcept {
        Buffer buffer;
        if ((cqe_flags_ & IORING_CQE_F_BUFFER) != 0) {
            pool_->taken();
            buffer = Buffer(std::move(pool_), cqe_flags_ >> IORING_CQE_BUFFER_SHIFT,
                            static_cast<size_t>(std::max(result_, 0)));
        }
        if (result_ < 0) return Errno{-result_};
        if (result_ == 0) buffer.reset();
        return buffer;
    }

  private:
    detail::PoolHold pool_;
};

namespace async {

// Receives into a buffer of the pool, as much as one holds. Yields it; an empty one when the peer has shut down its
// side. ENOBUFS if the pool has none when data are there. recv(2).
inline BufferOperation recv_buffer(FdRef fd, const BufferPool& pool, int flags = 0) noexcept {
    return {pool, [&](io_uring_sqe* sqe) { io_uring_prep_recv(sqe, fd.get(), nullptr, 0, flags); }};
}

// Reads into a buffer of the pool, from `offset` in bytes. Yields it; an empty one at the end of the file. ENOBUFS if
// the pool has none when data are there. pread(2).
inline BufferOperation read_buffer(FdRef fd, const BufferPool& pool, __u64 offset = current_position) noexcept {
    return {pool, [&](io_uring_sqe* sqe) { io_uring_prep_read(sqe, fd.get(), nullptr, 0, offset); }};
}

}  // namespace async

}  // namespace ringside
