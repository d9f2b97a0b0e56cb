// How a request to stop reaches whatever a part of the program waits for. One thread owns all of it, so there is no
// lock and no atomic here; with_stop_token() brings in requests to stop from other threads.
#pragma once

namespace ringside {

class StopScope;

namespace detail {

// A link of a circular list; alone it points to itself. It leaves its list when it ends.
class Link {
  public:
    Link() noexcept : next_(this), previous_(this) {}
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link() { unlink(); }

    bool alone() const noexcept { return next_ == this; }

    void unlink() noexcept {
        next_->previous_ = previous_;
        previous_->next_ = next_;
        next_ = previous_ = this;
    }

    // As the last one before `list`.
    void link_before(Link& list) noexcept {
        unlink();
        previous_ = list.previous_;
        next_ = &list;
        previous_->next_ = this;
        list.previous_ = this;
    }

    Link* next() const noexcept { return next_; }

  private:
    Link* next_;
    Link* previous_;
};

// Whoever hears of a request to stop: an operation, or a scope inside of the one that stops.
class StopListener : public Link {
  public:
    // Called at most once, and not in the list any more. It may schedule coroutines but resumes none.
    using Heard = void (*)(StopListener&) noexcept;
    explicit StopListener(Heard heard) noexcept : heard_(heard) {}

  private:
    friend class ringside::StopScope;
    Heard heard_;
};

}  // namespace detail

// A part of the program that can be stopped as one: its operations, and the scopes inside of it. Once stopped it stays
// so, and each operation that is begun in it ends at once with ECANCELED.
class StopScope {
  public:
    // A scope that stops when it is stopped itself, or with `outer`, if that is not null; `outer` has to live longer.
    explicit StopScope(StopScope* outer = nullptr) noexcept : in_outer_(*this) {
        if (outer == nullptr) return;
        stopped_ = outer->stopped_;
        if (!stopped_) outer->add(in_outer_);
    }
    StopScope(const StopScope&) = delete;
    StopScope& operator=(const StopScope&) = delete;

    bool stop_requested() const noexcept { return stopped_; }

    // Cancels what is awaited in the scope. Returns at once: each operation ends when its request has, with ECANCELED
    // or with whatever it achieved. Only the thread of the scope's Io may call this; others use a std::stop_source.
    void request_stop() noexcept {
        if (stopped_) return;
        stopped_ = true;
        while (!listeners_.alone()) {
            auto& listener = static_cast<detail::StopListener&>(*listeners_.next());
            listener.unlink();
            listener.heard_(listener);
        }
    }

    // For operations. The scope must not have stopped.
    void add(detail::StopListener& listener) noexcept { listener.link_before(listeners_); }

  private:
    struct InOuter : detail::StopListener {
        explicit InOuter(StopScope& scope) noexcept
            : StopListener([](StopListener& self) noexcept { static_cast<InOuter&>(self).inner->request_stop(); }),
              inner(&scope) {}
        StopScope* inner;
    };

    InOuter in_outer_;
    detail::Link listeners_;
    bool stopped_ = false;
};

}  // namespace ringside
