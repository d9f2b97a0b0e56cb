// Requests that yield one result after the other: `while (auto item = co_await stream.next()) use(*item);`
//
// For all of them:
// - A stream is one multishot request, which is issued when its first item is awaited, and again when the ring has
// ended
//   it before its time (a full completion queue, a pool without buffers).
// - next() yields a Result: an item, or why there is none: ENODATA at the end of the data, ECANCELED if the waiting was
//   stopped, and the errors of the operation. error() tells the same afterwards, with 0 for ENODATA. A next() after
//   that begins anew.
// - The items that come while nobody waits are kept, in order. with_timeout() around next() stops the waiting alone;
//   what comes later is kept for the next next().
// - When a stream is destroyed, its request is cancelled and what it still yields is dropped: connections are closed,
//   buffers go back. Nothing that it uses is in the stream or the task, so the task goes on at once; Io::run() returns
//   when the request has ended. `co_await stream.close()` is for who wants to wait for that.
// - The descriptor has to stay open as long as the stream.
// - A stream costs one allocation, and a queue that grows when more items wait than ever before.
#pragma once

#include "ringside/buffers.hpp"
#include "ringside/operations.hpp"
#include "ringside/sockets.hpp"

namespace ringside {

namespace detail {

// The request of a stream and what has come of it. On the heap, since it outlives the stream until the ring has let go.
class StreamState : public Request {
  public:
    struct Item {
        int result;
        unsigned flags;
    };

    // A coroutine that waits for the next item, or for the end of the request.
    class Waiter : public StopListener, public Ready {
      public:
        explicit Waiter(StreamState* stream) noexcept : StopListener(stop_heard), stream_(stream) {}
        Waiter(Waiter&& other) noexcept : Waiter(other.stream_) {}
        Waiter& operator=(Waiter&&) = delete;

      protected:
        StreamState* stream_;

      private:
        static void stop_heard(StopListener& listener) noexcept { static_cast<Waiter&>(listener).stream_->wake(); }
    };

    StreamState() noexcept : for_buffer_(*this) { more_ = more; }
    StreamState(const StreamState&) = delete;
    StreamState& operator=(const StreamState&) = delete;
    virtual ~StreamState() = default;

    // The stream is destroyed. Its items are dropped by then.
    void abandon() noexcept {
        for_buffer_.unlink();
        if (!begun()) {
            delete this;
            return;
        }
        abandoned_ = true;
        io_->abandon();
        retracted_ = retract();
    }

    bool at_hand() const noexcept { return !items_.empty() || ended_; }

    // Suspends the coroutine until something has come. False if it need not.
    bool wait(Waiter& waiter, Context& context, std::coroutine_handle<> self) noexcept {
        if (waiter_ != nullptr) broken("two coroutines wait for the same stream");
        if (pool() != nullptr && pool()->io() != context.io) broken("a buffer pool of another Io was used");
        if (context.stop->stop_requested()) return false;
        waiter.coroutine = self;
        waiter_ = &waiter;
        context.stop->add(waiter);
        io_ = context.io;
        if (!begun()) arm();
        return true;
    }
    // The same until the request has ended.
    bool close(Waiter& waiter, std::coroutine_handle<> self) noexcept {
        if (waiter_ != nullptr) broken("two coroutines wait for the same stream");
        for_buffer_.unlink();
        if (!begun()) return false;
        closing_ = true;
        waiter.coroutine = self;
        waiter_ = &waiter;
        cancel();
        return true;
    }

    // Whether there is an item; error() if not.
    bool pop(Item& item) noexcept {
        error_ = 0;
        if (items_.empty()) {
            error_ = std::exchange(ended_, false) ? end_error_ : ECANCELED;
            return false;
        }
        item = items_.pop();
        return true;
    }
    int error() const noexcept { return error_; }

  protected:
    // Whether the CQE has an item, or tells of the end.
    virtual bool is_item(Item item) const noexcept { return item.result >= 0; }
    // Puts an item into the last one, which nobody has taken yet, if that can be.
    virtual bool merge(Item& last, Item item) noexcept {
        (void)last, (void)item;
        return false;
    }
    // A CQE whose item nobody will take, or that has none.
    virtual void drop(Item item) noexcept { (void)item; }
    // The pool that the request takes buffers from, if it does.
    virtual Pool* pool() const noexcept { return nullptr; }

    void drop_all() noexcept {
        while (!items_.empty()) drop(items_.pop());
    }

  private:
    // Of connections, which nothing else limits.
    static constexpr size_t most_items = 256;

    // First in, first out, in a ring that grows.
    class Items {
      public:
        bool empty() const noexcept { return count_ == 0; }
        size_t size() const noexcept { return count_; }
        Item& last() noexcept { return room_[(first_ + count_ - 1) & (room_.size() - 1)]; }
        void push(Item item) {
            if (count_ == room_.size()) grow();
            room_[(first_ + count_++) & (room_.size() - 1)] = item;
        }
        Item pop() noexcept {
            const Item item = room_[first_];
            first_ = (first_ + 1) & (room_.size() - 1);
            --count_;
            return item;
        }

      private:
        void grow() {
            std::vector<Item> larger(room_.empty() ? 8 : 2 * room_.size());
            for (size_t i = 0; i < count_; i++) larger[i] = room_[(first_ + i) & (room_.size() - 1)];
            room_ = std::move(larger);
            first_ = 0;
        }
        std::vector<Item> room_;
        size_t first_ = 0, count_ = 0;
    };

    struct ForBuffer : BufferWaiter {
        explicit ForBuffer(StreamState& it) noexcept
            : BufferWaiter([](BufferWaiter& self) noexcept { static_cast<ForBuffer&>(self).stream.arm(); }),
              stream(it) {}
        StreamState& stream;
    };

    // Yields whether it was an item.
    bool came(Item item) noexcept {
        if (pool() != nullptr && (item.flags & IORING_CQE_F_BUFFER) != 0) pool()->taken();
        if (abandoned_ || !is_item(item)) {
            drop(item);
            return false;
        }
        if (items_.empty() || !merge(items_.last(), item)) items_.push(item);
        return true;
    }

    static void more(Request& request, int result, unsigned flags) noexcept {
        auto& self = static_cast<StreamState&>(request);
        if (!self.came({result, flags})) return;
        if (self.items_.size() >= most_items && self.pool() == nullptr && !self.pausing_ && !self.closing_) {
            self.pausing_ = true;
            self.cancel();
        }
        if (!self.closing_) self.wake();
    }

    static void request_ended(Request& request) noexcept {
        auto& self = static_cast<StreamState&>(request);
        const Item last{self.result_, self.cqe_flags_};
        const bool kept = !self.retracted_ && self.came(last);
        if (!self.abandoned_) return self.ended_with(last, kept);
        self.io_->abandoned_ended();
        delete &self;
    }

    // If it is no error and no end of the data, the ring has only lost the request, and it is issued again.
    void ended_with(Item last, bool kept) noexcept {
        const bool paused = std::exchange(pausing_, false), closing = std::exchange(closing_, false);
        const bool lost =
            kept || (last.result == -ENOBUFS && pool() != nullptr) || (last.result == -ECANCELED && paused);
        if (lost && !closing) {
            if (waiter_ != nullptr && items_.empty()) arm();
            else wake();
            return;
        }
        ended_ = true;
        end_error_ = last.result < 0 && !kept ? -last.result : closing ? ECANCELED : ENODATA;
        wake();
    }

    // A pool that is empty would end the request at once; then it is issued when a buffer comes back.
    void arm() noexcept {
        if (pool() != nullptr && pool()->free() == 0) pool()->wait(for_buffer_);
        else begin(*io_, request_ended);
    }

    void wake() noexcept {
        if (waiter_ == nullptr) return;
        waiter_->unlink();
        io_->schedule(*std::exchange(waiter_, nullptr));
    }

    Items items_;
    Waiter* waiter_ = nullptr;
    ForBuffer for_buffer_;
    int error_ = 0;         // what next() has said
    int end_error_ = 0;     // what it is to say
    bool ended_ = false;    // and nobody has heard of it yet
    bool pausing_ = false;  // cancelled, since nobody takes the items
    bool closing_ = false;
    bool abandoned_ = false;
    bool retracted_ = false;
};

// One whose items become values.
template <typename T>
class StreamOf : public StreamState {
  public:
    virtual T take(Item item) noexcept = 0;
    void drop_items() noexcept { drop_all(); }
};

}  // namespace detail

// See above. Returned by the functions of async that end in _stream.
template <typename T>
class [[nodiscard]] Stream {
  public:
    Stream(Stream&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    Stream& operator=(Stream&& other) noexcept {
        Stream old(std::exchange(state_, std::exchange(other.state_, nullptr)));
        return *this;
    }
    ~Stream() {
        if (state_ == nullptr) return;
        state_->drop_items();
        state_->abandon();
    }

    class Next : detail::StreamState::Waiter {
      public:
        bool await_ready() const noexcept { return stream_->at_hand(); }
        template <std::derived_from<detail::PromiseBase> Promise>
        bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
            return stream_->wait(*this, self.promise().context(), self);
        }
        Result<T> await_resume() noexcept {
            detail::StreamState::Item item;
            if (!stream_->pop(item)) return Errno{stream_->error()};
            return static_cast<detail::StreamOf<T>*>(stream_)->take(item);
        }

        using Waiter::Waiter;
    };

    class Close : detail::StreamState::Waiter {
      public:
        bool await_ready() const noexcept { return false; }
        bool await_suspend(std::coroutine_handle<> self) noexcept { return stream_->close(*this, self); }
        void await_resume() const noexcept {}

        using Waiter::Waiter;
    };

    // The next item. One coroutine at a time may wait for it.
    Next next() noexcept { return Next(state_); }

    // Why the last next() yielded no item: an errno; 0 if it did, and at the end of the data.
    int error() const noexcept { return state_->error() == ENODATA ? 0 : state_->error(); }

    // Ends the request, and waits until nobody uses its descriptor any more, however long a stop was requested. What
    // has come can still be taken.
    Close close() noexcept { return Close(state_); }

    // For the functions below.
    explicit Stream(detail::StreamOf<T>* state) noexcept : state_(state) {}

  private:
    detail::StreamOf<T>* state_;
};

// A datagram and who has sent it. The spans are parts of the buffer, which it owns.
struct Datagram {
    Buffer buffer;
    std::span<std::byte> payload;
    std::span<std::byte> name;     // a sockaddr, as long as the sender's address is
    std::span<std::byte> control;  // cmsghdrs
    unsigned flags;                // MSG_TRUNC if the payload did not fit, MSG_CTRUNC and such

    const sockaddr* address() const noexcept { return reinterpret_cast<const sockaddr*>(name.data()); }
};

namespace detail {

class AcceptStream final : public StreamOf<Descriptor> {
  public:
    AcceptStream(int fd, int flags) noexcept {
        io_uring_prep_multishot_accept(&sqe_, fd, nullptr, nullptr, flags | SOCK_CLOEXEC);
    }
    Descriptor take(Item item) noexcept override { return Descriptor(item.result); }

  private:
    void drop(Item item) noexcept override {
        if (item.result >= 0) const Descriptor closed(item.result);
    }
};

// Items of one number, of which those that nobody has taken yet become one.
class NumberStream final : public StreamOf<unsigned> {
  public:
    // The events of a file that have occurred since the last item.
    static NumberStream* events(int fd, unsigned mask) {
        auto* const stream = new NumberStream(false);
        io_uring_prep_poll_multishot(&stream->sqe_, fd, mask);
        return stream;
    }
    // How often the time has passed since the last item.
    static NumberStream* ticks(std::chrono::nanoseconds period) {
        auto* const stream = new NumberStream(true);
        stream->period_ = to_timespec(period);
        io_uring_prep_timeout(&stream->sqe_, &stream->period_, 0, IORING_TIMEOUT_MULTISHOT);
        return stream;
    }

    unsigned take(Item item) noexcept override {
        return ticks_ ? 1 + (item.flags >> further_ticks) : static_cast<unsigned>(item.result);
    }

  private:
    explicit NumberStream(bool ticks) noexcept : ticks_(ticks) {}

    bool is_item(Item item) const noexcept override { return ticks_ ? item.result == -ETIME : item.result >= 0; }
    bool merge(Item& last, Item item) noexcept override {
        if (ticks_) last.flags += 1u << further_ticks;
        else last.result |= item.result;
        return true;
    }

    static constexpr unsigned further_ticks = 16;  // in Item::flags, above those of a CQE
    __kernel_timespec period_{};
    bool ticks_;
};

// What comes in buffers of a pool.
template <typename T>
class PoolStream : public StreamOf<T> {
  public:
    using typename StreamState::Item;

  protected:
    explicit PoolStream(const BufferPool& pool) noexcept : pool_(pool.hold()) {}

    bool is_item(Item item) const noexcept override {
        return item.result > 0 && (item.flags & IORING_CQE_F_BUFFER) != 0;
    }
    void drop(Item item) noexcept override {
        if ((item.flags & IORING_CQE_F_BUFFER) != 0) const Buffer back = buffer_of(item);
    }
    Pool* pool() const noexcept override { return pool_.get(); }

    Buffer buffer_of(Item item) noexcept {
        return Buffer(pool_.again(), item.flags >> IORING_CQE_BUFFER_SHIFT,
                      static_cast<size_t>(std::max(item.result, 0)));
    }

  private:
    PoolHold pool_;
};

class BufferStream final : public PoolStream<Buffer> {
  public:
    template <typename Prepare>
    BufferStream(const BufferPool& pool, Prepare prepare) noexcept : PoolStream(pool) {
        prepare(&sqe_);
        sqe_.flags |= IOSQE_BUFFER_SELECT;
        sqe_.buf_group = static_cast<__u16>(pool.group());
    }
    Buffer take(Item item) noexcept override { return buffer_of(item); }
};

class DatagramStream final : public PoolStream<Datagram> {
  public:
    DatagramStream(int fd, const BufferPool& pool, size_t control_size, unsigned flags) noexcept : PoolStream(pool) {
        message_.msg_namelen = sizeof(sockaddr_storage);
        message_.msg_controllen = control_size;
        io_uring_prep_recvmsg_multishot(&sqe_, fd, &message_, flags);
        sqe_.flags |= IOSQE_BUFFER_SELECT;
        sqe_.buf_group = static_cast<__u16>(pool.group());
    }
    Datagram take(Item item) noexcept override {
        Datagram datagram{buffer_of(item), {}, {}, {}, 0};
        const auto* const head = reinterpret_cast<const io_uring_recvmsg_out*>(datagram.buffer.data());
        const std::span<std::byte> parts = datagram.buffer.bytes().subspan(sizeof(*head));
        const std::span<std::byte> rest = parts.subspan(message_.msg_namelen);
        datagram.name = parts.first(std::min<size_t>(head->namelen, message_.msg_namelen));
        datagram.control = rest.first(std::min<size_t>(head->controllen, message_.msg_controllen));
        datagram.payload = rest.subspan(message_.msg_controllen);
        datagram.flags = head->flags;
        return datagram;
    }

  private:
    msghdr message_{};
};

}  // namespace detail

namespace async {

// The connections of a socket that listens; `flags` are SOCK_..., to which SOCK_CLOEXEC is added. When 256 wait for
// their task, no more are accepted until it has taken them. accept4(2).
inline Stream<Descriptor> accept_stream(FdRef fd, int flags = 0) {
    return Stream<Descriptor>(new detail::AcceptStream(fd.get(), flags));
}

// What a socket receives, in buffers of the pool, each as much as has come or fits. ENODATA when the peer has
// shut down its side. Waits while the pool has no buffer: other tasks have to give theirs back. recv(2).
inline Stream<Buffer> recv_stream(FdRef fd, const BufferPool& pool, int flags = 0) {
    return Stream<Buffer>(new detail::BufferStream(
        pool, [&](io_uring_sqe* sqe) { io_uring_prep_recv_multishot(sqe, fd.get(), nullptr, 0, flags); }));
}

// The datagrams that a socket receives, each in a buffer of the pool, which has to have room for 144 bytes (the header
// and the address), `control_size` and the payload. recvmsg(2).
inline Stream<Datagram> recvmsg_stream(FdRef fd, const BufferPool& pool, size_t control_size = 0, unsigned flags = 0) {
    return Stream<Datagram>(new detail::DatagramStream(fd.get(), pool, control_size, flags));
}

// What is read from a pipe, a terminal or the like, in buffers of the pool. ENODATA at the end; EBADFD for a
// file that cannot be polled, such as one on a disk. read(2). Linux 6.7.
inline Stream<Buffer> read_stream(FdRef fd, const BufferPool& pool) {
    return Stream<Buffer>(new detail::BufferStream(pool, [&](io_uring_sqe* sqe) {
        io_uring_prep_read_multishot(sqe, fd.get(), 0, current_position, static_cast<int>(pool.group()));
    }));
}

// The events of a file, POLLIN and such, each when it occurs anew. poll(2).
inline Stream<unsigned> poll_stream(FdRef fd, unsigned events) {
    return Stream<unsigned>(detail::NumberStream::events(fd.get(), events));
}

// Ticks, by the monotonic clock. An item is how many periods have passed since the last one, at least 1.
inline Stream<unsigned> tick_stream(std::chrono::nanoseconds period) {
    return Stream<unsigned>(detail::NumberStream::ticks(period));
}

}  // namespace async

}  // namespace ringside
