// Cancelling a request while a worker is inside its call, which a test can only wait for, not see.
#pragma once

#include <errno.h>

#include <concepts>

#include "support/raw_ring.h"

namespace ringside::test {

// Inside Linux this number means "start the call again". Its workers let it out as the result of some operations, where
// the same call of a thread's own would give -EINTR (docs/differences.md).
inline constexpr int restart = -512;

// What became of a request and of its cancellation.
struct Interruption {
    int request = 0;
    int cancellation = 0;

    // No worker had got to the request, or it was not inside its call.
    bool came_early() const { return request == -ECANCELED; }

    // The kernel ends a ring some time after it was closed, and what else this process has in workers may be
    // interrupted along with it.
    bool came_late() const {
        return provider_under_test() == provider::Kind::kernel && cancellation == -ENOENT && request < 0;
    }
};

// What a worker of the kernel's gives up, its submitter ends, and with it goes on with the chain: but seldom the worker
// is the last to let go of the request, and goes on nevertheless, with a request that answers where it was to wait.
// Counts how often that happened to one test, which is let pass where it is the exception.
class GoesOnSeldom {
  public:
    // Whether `completions` is nothing but that answer of the request with user_data 1, once more within reason.
    bool excuses(const std::vector<Cqe>& completions) {
        constexpr int reasonable = 2;
        if (provider_under_test() != provider::Kind::kernel || completions.size() != 1) return false;
        return completions[0].user_data == 1 && completions[0].res == -EAGAIN && ++times_ <= reasonable;
    }

  private:
    int times_ = 0;
};

// Calls `submit`, which submits a request with user_data 1, gives a worker the time to get into its call, and cancels
// it. Where that did not happen in the midst of the call it is tried again, with more time; a request that does not
// block in a worker has then been cancelled as one that waits.
template <std::invocable Submit>
Interruption interrupt(RawRing& ring, Submit submit, const Sqe& cancel = sqe::cancel(1)) {
    Interruption seen;
    for (int64_t time_ms = 20; time_ms < 2000; time_ms *= 2) {
        submit();
        std::vector<Cqe> completions = ring.linger(time_ms);
        EXPECT_THAT(ring.submit(Sqe(cancel).data(9)), Gives(1));
        while (completions.size() < 2) {
            const std::vector<Cqe> more = ring.wait(1);
            if (more.empty()) return seen;
            completions.insert(completions.end(), more.begin(), more.end());
        }
        for (const Cqe& cqe : completions) (cqe.user_data == 1 ? seen.request : seen.cancellation) = cqe.res;
        if (!seen.came_early() && !seen.came_late()) break;
    }
    return seen;
}

inline Interruption interrupt(RawRing& ring, Sqe request) {
    return interrupt(ring, [&] { EXPECT_THAT(ring.submit(request.data(1)), Gives(1)); });
}

}  // namespace ringside::test
