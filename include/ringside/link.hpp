// Operations that the ring carries out one after the other, without the task in between.
#pragma once

#include <array>
#include <tuple>

#include "ringside/operations.hpp"

namespace ringside {

namespace detail {

// The links of a chain, which belong to whoever derives from it.
class Chain : Ready {
  protected:
    Chain() noexcept = default;

    // Yields false if there is nothing to wait for.
    bool begin(Context& context, std::coroutine_handle<> self, std::span<Request* const> links) noexcept {
        coroutine = self;
        context_ = &context;
        links_ = links;
        if (context.stop->stop_requested()) return end(-ECANCELED);
        if (links.size() > context.io->entries()) return end(-EINVAL);
        for (Request* const link : links_) link->result_ = -ECANCELED;
        submit(0);
        return true;
    }

  private:
    bool end(int result) noexcept {
        for (Request* const link : links_) {
            link->result_ = result;
            link->state_ = Request::State::done;
        }
        return false;
    }

    // From that link on, what has not been carried out yet.
    void submit(size_t from) noexcept {
        Request* before = nullptr;
        for (size_t i = from; i < links_.size(); i++) {
            Request& link = *links_[i];
            if (i != from && link.result_ != -ECANCELED) continue;
            prepare(link);
            ++left_;
            if (before != nullptr) {
                before->linked_ = &link;
                before->sqe_.flags |= IOSQE_IO_LINK;
            }
            before = &link;
        }
        context_->io->queue(*links_[from]);
    }

    void prepare(Request& link) noexcept {
        link.chain_ = this;
        link.ended_ = ended;
        link.linked_ = nullptr;
        link.unfinished_ = false;
        link.stop_ = context_->stop;
        link.sqe_.flags &= static_cast<__u8>(~IOSQE_IO_LINK);
        // What is no failure must not break the chain; a short transfer that goes on must.
        const bool transfer = link.sqe_.opcode == IORING_OP_SEND || link.sqe_.opcode == IORING_OP_RECV;
        if (transfer && link.again_ != nullptr) link.sqe_.msg_flags |= MSG_WAITALL;
        if (link.sqe_.opcode == IORING_OP_TIMEOUT) link.sqe_.timeout_flags |= IORING_TIMEOUT_ETIME_SUCCESS;
        link.enlist(*context_->io);
    }

    static void ended(Request& link) noexcept {
        Chain& self = *link.chain_;
        if (--self.left_ == 0) self.all_ended();
    }

    // After a short transfer the rest is submitted, with the links behind it, which were cancelled for it.
    void all_ended() noexcept {
        for (size_t i = 0; i < links_.size(); i++) {
            Request& link = *links_[i];
            if (!link.unfinished_) continue;
            if (!context_->stop->stop_requested()) return submit(i);
            link.unfinished_ = false;
            link.result_ = -ECANCELED;
        }
        context_->io->schedule(*this);
    }

    Context* context_ = nullptr;
    std::span<Request* const> links_;
    size_t left_ = 0;
};

template <std::derived_from<Request>... Operations>
class [[nodiscard]] LinkOf : Chain {
  public:
    explicit LinkOf(Operations... operations) noexcept : operations_(std::move(operations)...) {}

    bool await_ready() const noexcept { return false; }
    template <std::derived_from<PromiseBase> Promise>
    bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
        std::apply(
            [&](auto&... link) {
                (link.settle(), ...);
                links_ = {&link...};
            },
            operations_);
        return begin(self.promise().context(), self, links_);
    }
    auto await_resume() noexcept {
        return std::apply([](auto&... link) { return std::tuple(link.await_resume()...); }, operations_);
    }

  private:
    std::tuple<Operations...> operations_;
    std::array<Request*, sizeof...(Operations)> links_{};
};

}  // namespace detail

// `auto [written, synced, closed] = co_await link(async::write_all(file, data), async::fsync(file),
// async::close(...));` The ring begins each operation when the one before it has succeeded, by IOSQE_IO_LINK: one
// submission, and one wait. Yields what each did. After one that has failed, the others yield ECANCELED. So they do
// after a read or write that was short; read_all and its kin go on instead, and with them the rest of the chain. An end
// of the file before the buffer is full breaks the chain too.
//
// Once a link runs, the next one uses its descriptor and memory whether or not somebody looks at the results. EINVAL if
// there are more links than the ring has entries. A close() that was not carried out closes as the descriptor ends.
template <std::derived_from<detail::Request>... Operations>
    requires(sizeof...(Operations) > 0)
auto link(Operations... operations) noexcept {
    return detail::LinkOf<Operations...>(std::move(operations)...);
}

}  // namespace ringside
