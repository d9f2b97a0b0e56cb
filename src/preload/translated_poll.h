// A program's poll set in which rings stand: a copy with each ring's descriptor replaced by the one that can be polled
// for it. Sets of a usual size live on the stack, larger ones in pages of their own, since poll() may be called where
// malloc() may not.
#pragma once

#include <poll.h>
#include <stddef.h>

namespace ringside::preload {

class TranslatedPoll {
  public:
    // Room for `count` entries. Without memory, entries() is null.
    explicit TranslatedPoll(nfds_t count);
    ~TranslatedPoll();
    TranslatedPoll(const TranslatedPoll&) = delete;
    TranslatedPoll& operator=(const TranslatedPoll&) = delete;

    pollfd* entries() { return entries_; }

    // Whether a ring of this process is among the entries.
    static bool needed(const pollfd* entries, nfds_t count);

    // Takes the program's entries over, and gives their answers back.
    void load(const pollfd* program, nfds_t count);
    void store_answers(pollfd* program, nfds_t count) const;

  private:
    static constexpr nfds_t small = 64;
    pollfd on_stack_[small];
    pollfd* entries_ = on_stack_;
    size_t mapped_ = 0;
};

// The descriptor to poll in place of `fd`: `fd` itself where it is no ring.
int pollable(int fd);

}  // namespace ringside::preload
