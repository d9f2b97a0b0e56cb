// The parts of io.hpp that are more than a few lines. Not to be included by itself.
#pragma once

#include "ringside/io.hpp"

namespace ringside {

// --- Setting up
// ---------------------------------------------------------------------------------------------------------

inline Io::Parts Io::set_up(Options options) {
    const unsigned defer = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL;
    const unsigned wishes[] = {defer, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL, 0};
    Parts made{Errno{EINVAL}};
    if (options.flags != 0) {
        made.ring = Ring::make(options);
    } else {
        // A kernel that does not know a flag refuses the ring.
        for (const unsigned wish : wishes) {
            options.flags = wish;
            made.ring = Ring::make(options);
            if (made.ring.error() != EINVAL) break;
        }
    }
    if (!made.ring) return made;
    made.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (made.wake_fd < 0) made.ring = Errno{errno};
    return made;
}

inline void Io::adopt(Parts made) {
    ring_.emplace(*std::move(made.ring));
    wake_fd_ = made.wake_fd;
    names_.reserve(ring_->entries());
    // A provider that has no such choice does not count waits in the first place, or always.
    (void)io_uring_set_iowait(ring_->native(), false);
}

// --- The loop
// -----------------------------------------------------------------------------------------------------------

template <typename Finished>
void Io::run_until(Finished finished) {
    if (std::exchange(running_, true)) detail::broken("Io::run() was called by a task of the same Io");
    if (thread_ != std::this_thread::get_id()) detail::broken("Io::run() was called by another thread than the Io's");
    for (;;) {
        resume_ready();
        if (finished()) break;
        flush_queues();
        wait();
        reap();
        if (remote_watchers_ != 0) take_remote();
    }
    running_ = false;
}

// Not without end: coroutines that only wake each other must not keep completions waiting.
inline void Io::resume_ready() noexcept {
    for (unsigned left = resumes_between_submissions; left > 0; --left) {
        detail::Ready* const ready = ready_.pop();
        if (ready == nullptr) return;
        next_ = ready->coroutine;
        while (next_) std::exchange(next_, nullptr).resume();
    }
}

// Cancels come first: they end requests, and nothing may keep them from being issued.
inline void Io::flush_queues() noexcept {
    if (!to_cancel_again_.alone()) cancel_again();
    while (!to_cancel_.alone()) {
        auto& request = static_cast<detail::Request&>(*to_cancel_.next());
        if (!issue_cancel(request)) return;
        request.unlink();
    }
    if (remote_watchers_ != 0) arm_wake();
    for (detail::Ready *ready = waiting_.take_all(), *next; ready != nullptr; ready = next) {
        next = ready->next;
        auto& request = static_cast<detail::Request&>(*ready);
        if (request.stopped_) end_unissued(request);
        else if (!waiting_.empty() || !issue(request)) waiting_.push(request);
    }
}

inline void Io::arm_wake() noexcept {
    if (wake_armed_ || simulation_ != nullptr) return;
    io_uring_sqe* const entry = sqe();
    if (entry == nullptr) return;
    io_uring_prep_poll_add(entry, wake_fd_, POLLIN);
    io_uring_sqe_set_data64(entry, wake_name);
    wake_armed_ = true;
}

// Submits, and waits for a completion if no coroutine can go on.
inline void Io::wait() noexcept {
    if (simulation_ != nullptr) return wait_simulated();
    int result;
    if (!ready_.empty()) {
        result = io_uring_submit_and_get_events(ring_->native());
    } else if (!to_cancel_.alone() || !waiting_.empty()) {
        // The ring has not taken them yet. What is in flight may be what is to be cancelled, and never end otherwise.
        result = wait_for(shortest_pause);
    } else if (!to_cancel_again_.alone()) {
        result = wait_for(pause_);
    } else {
        if (hopeless()) detail::broken("all tasks wait, and no request is in flight that could end that");
        result = io_uring_submit_and_wait(ring_->native(), 1);
    }
    switch (result < 0 ? -result : 0) {
        case 0:
        case EINTR:
        case ETIME:
        case EAGAIN:  // no memory for requests at the moment
        case EBUSY:   // completions have to be reaped first
            return;
        default:
            std::fprintf(stderr, "ringside: io_uring_enter: %s\n", std::strerror(-result));
            detail::broken("the ring of an Io has failed");
    }
}

inline bool Io::hopeless() const noexcept {
    return names_.in_flight() == 0 && remote_watchers_ == 0 && messages_expected_ == 0;
}

inline void Io::wait_simulated() noexcept {
    std::chrono::nanoseconds limit = std::chrono::nanoseconds::max();
    if (!ready_.empty()) limit = {};
    else if (!to_cancel_.alone() || !waiting_.empty()) limit = shortest_pause;
    else if (!to_cancel_again_.alone()) limit = pause_;
    simulation_->turn(limit);
}

inline void detail::Simulation::deliver(Io& io, __u64 user_data, int result, unsigned flags) noexcept {
    io.reaped(user_data, result, flags);
}

inline int Io::wait_for(std::chrono::nanoseconds limit) noexcept {
    io_uring_cqe* cqe;
    __kernel_timespec time{0, limit.count()};
    return io_uring_submit_and_wait_timeout(ring_->native(), &cqe, 1, &time, nullptr);
}

// A cancel does not find a request that is on its way between two places, or that cannot be cancelled where it is. It
// is cancelled again until it ends, at growing intervals.
inline void Io::cancel_again() noexcept {
    const auto time = now();
    if (time < cancel_again_at_) return;
    while (!to_cancel_again_.alone()) to_cancel_again_.next()->link_before(to_cancel_);
    pause_ = std::min<std::chrono::nanoseconds>(2 * pause_, longest_pause);
    cancel_again_at_ = time + pause_;
}

inline void Io::reap() noexcept {
    if (simulation_ != nullptr) return;
    ring_->for_each_ready([&](const io_uring_cqe& cqe) { reaped(cqe.user_data, cqe.res, cqe.flags); });
}

inline void Io::reaped(__u64 user_data, int result, unsigned flags) noexcept {
    if (user_data == wake_name) {
        wake_armed_ = false;
        eventfd_t count;
        (void)eventfd_read(wake_fd_, &count);
        return;
    }
    if ((user_data & detail::RequestNames::message_bit) != 0) {
        auto* const message = reinterpret_cast<detail::Message*>(user_data & ~detail::RequestNames::message_bit);
        detail::announce_acquire(message);
        message->arrived(*message, *this);
        return;
    }
    detail::Request* const request = names_.find(user_data & ~detail::RequestNames::cancel_bit);
    if (request == nullptr) return;
    if ((user_data & detail::RequestNames::cancel_bit) == 0) {
        if ((flags & IORING_CQE_F_MORE) == 0) complete(*request, result, flags);
        else if (request->more_ != nullptr) request->more_(*request, result, flags);
    } else if (result < 0) {
        cancel_was_lost(*request);
    }
}

inline void Io::cancel_was_lost(detail::Request& request) noexcept {
    const auto time = now();
    if (time >= cancel_again_at_ + longest_pause) {
        pause_ = shortest_pause;
        cancel_again_at_ = time + pause_;
    }
    request.link_before(to_cancel_again_);
}

// --- Requests
// -----------------------------------------------------------------------------------------------------------

// A free SQE; a full queue is submitted first. Null if the ring does not accept it at the moment.
inline io_uring_sqe* Io::sqe() noexcept {
    if (simulation_ != nullptr) return simulation_->sqe();
    io_uring_sqe* entry = ring_->get_sqe();
    if (entry != nullptr) return entry;
    (void)ring_->submit();
    // With SQPOLL the kernel's thread takes the SQEs, in its own time: wait until it has made room.
    if ((ring_->flags() & IORING_SETUP_SQPOLL) != 0) (void)io_uring_sqring_wait(ring_->native());
    return ring_->get_sqe();
}

// A chain as a whole, or nothing of it.
inline bool Io::issue(detail::Request& request) noexcept {
    if (request.linked_ != nullptr && !make_room(request)) return false;
    for (detail::Request* link = &request; link != nullptr; link = link->linked_) {
        io_uring_sqe* const entry = sqe();
        if (entry == nullptr) return false;
        *entry = link->sqe_;
        entry->user_data = link->name_;
        link->state_ = detail::Request::State::in_flight;
        if (link->stopped_) link->link_before(to_cancel_);
    }
    return true;
}

// All links have to be submitted at once.
inline bool Io::make_room(const detail::Request& chain) noexcept {
    unsigned links = 0;
    for (const detail::Request* link = &chain; link != nullptr; link = link->linked_) ++links;
    if (simulation_ != nullptr) return simulation_->room() >= links;
    if (io_uring_sq_space_left(ring_->native()) >= links) return true;
    (void)ring_->submit();
    if ((ring_->flags() & IORING_SETUP_SQPOLL) != 0) (void)io_uring_sqring_wait(ring_->native());
    return io_uring_sq_space_left(ring_->native()) >= links;
}

inline void Io::end_unissued(detail::Request& request) noexcept {
    for (detail::Request *link = &request, *next; link != nullptr; link = next) {
        next = link->linked_;
        complete(*link, -ECANCELED, 0);
    }
}

inline bool Io::issue_cancel(detail::Request& request) noexcept {
    io_uring_sqe* const entry = sqe();
    if (entry == nullptr) return false;
    io_uring_prep_cancel64(entry, request.name_, 0);
    io_uring_sqe_set_data64(entry, request.name_ | detail::RequestNames::cancel_bit);
    return true;
}

// What a request says whose worker was interrupted. A cancel does that; and for an open the kernel then passes on
// numbers of its own, ERESTARTSYS to ERESTART_RESTARTBLOCK, which no errno has.
inline bool Io::interrupted(int result) noexcept { return result == -EINTR || (result <= -512 && result >= -516); }

// The request has ended: nobody uses its memory or its descriptor any more.
inline void Io::complete(detail::Request& request, int result, unsigned cqe_flags) noexcept {
    request.unlink();
    if (interrupted(result)) result = request.stopped_ ? -ECANCELED : -EINTR;
    request.result_ = result;
    request.cqe_flags_ = cqe_flags;
    if (result >= 0 && request.again_ != nullptr && request.again_(request, result)) {
        if (request.chain_ != nullptr) {
            request.unfinished_ = true;
        } else if (!request.stopped_) {
            if (request.heeds_stop_) request.stop_->add(request);
            queue(request);
            return;
        } else {
            request.result_ = -ECANCELED;
        }
    }
    names_.take_back(request.name_);
    request.state_ = detail::Request::State::done;
    if (request.ended_ == nullptr) ready_.push(request);
    else request.ended_(request);
}

inline bool detail::Request::begin(Context& context, std::coroutine_handle<> self) noexcept {
    if (heeds_stop_ && context.stop->stop_requested()) {
        result_ = -ECANCELED;
        state_ = State::done;
        return false;
    }
    coroutine = self;
    stop_ = context.stop;
    enlist(*context.io);
    io_->queue(*this);
    return true;
}

inline void detail::Request::enlist(Io& io) noexcept {
    io_ = &io;
    stopped_ = false;
    if (heeds_stop_) stop_->add(*this);
    name_ = io_->names_.give(*this);
}

inline void detail::Request::begin(Io& io, Ended ended) noexcept {
    ended_ = ended;
    heeds_stop_ = false;
    enlist(io);
    io_->queue(*this);
}

inline bool detail::Request::retract() noexcept {
    if (state_ == State::in_flight && io_->retract(*this)) return true;
    cancel();
    return false;
}

// SQEs from the head on are the ring's to read when it is entered, and not before.
inline bool Io::retract(detail::Request& request) noexcept {
    if (simulation_ != nullptr) return simulation_->retract(request.name_);
    io_uring* const ring = ring_->native();
    if ((ring_->flags() & IORING_SETUP_SQPOLL) != 0) {
        (void)ring_->submit();
        while (io_uring_sq_ready(ring) != 0) std::this_thread::yield();
        return false;
    }
    const unsigned shift = (ring_->flags() & IORING_SETUP_SQE128) != 0 ? 1 : 0;
    for (unsigned left = io_uring_sq_ready(ring); left > 0; --left) {
        io_uring_sqe& entry = ring->sq.sqes[((ring->sq.sqe_tail - left) & ring->sq.ring_mask) << shift];
        if (entry.user_data != request.name_) continue;
        io_uring_prep_nop(&entry);
        entry.user_data = request.name_;
        return true;
    }
    return false;
}

// One that waits for an SQE is looked at by the next flush_queues(); no cancel is needed for it.
inline void detail::Request::stop_heard(StopListener& listener) noexcept {
    auto& request = static_cast<Request&>(listener);
    request.stopped_ = true;
    if (request.state_ == State::in_flight) request.link_before(request.io_->to_cancel_);
}

// --- Other threads
// ------------------------------------------------------------------------------------------------------

inline void Io::post(detail::RemoteStop& stop) noexcept {
    if (thread_ == std::this_thread::get_id()) {
        stop.scope->request_stop();
        return;
    }
    stop.next = remote_.load(std::memory_order_relaxed);
    while (!remote_.compare_exchange_weak(stop.next, &stop, std::memory_order_release, std::memory_order_relaxed)) {
    }
    // Not more than counting up can fail, which takes 2^64 - 2 of these.
    (void)eventfd_write(wake_fd_, 1);
}

inline void Io::take_remote() noexcept {
    detail::RemoteStop* stop = remote_.exchange(nullptr, std::memory_order_acquire);
    while (stop != nullptr) {
        detail::RemoteStop* const next = stop->next;
        stop->scope->request_stop();
        stop = next;
    }
}

}  // namespace ringside
