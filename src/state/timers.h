// Requests that wait for time to pass: one heap a clock. A timer costs the logarithm of their number to set and to take
// back, and no system call: whoever waits for the ring's events waits no longer than until the next one is due.
#pragma once

#include <stdint.h>
#include <time.h>

#include "os/clock.h"
#include "state/list.h"
#include "state/request.h"

namespace ringside::engine {

// Called under the ring's lock when a timer is due; the request is not in the heap any more.
using Expired = void (*)(Request&);

class Timers {
  public:
    // Sets a timer that is due at `deadline_ns` of `clock`. Returns 0, or -ENOMEM.
    int add(Request& request, clockid_t clock, int64_t deadline_ns, Expired expired);

    // Takes back a timer that is set, and out of `counted` if it stands there: for a request in Place::timer.
    void take_out(Request& request);

    // Whether the time of one that is set is up, though it has not been expired yet.
    bool is_due(const Request& request) const;

    // How long until the next one is due: 0 when one is, no_deadline when none is set.
    int64_t ns_until_next() const;

    // Calls every timer that is due, in order of its deadline on its clock.
    void expire();

    // Calls `counted_expired` for those of `counted` whose completions have come, `tail` being the last one.
    void expire_counted(unsigned tail);

    bool empty() const { return heaps_[0].count + heaps_[1].count + heaps_[2].count == 0; }

    void destroy();

    // Requests that wait for completions as well as for time: until the count of them reaches Request::wait_events,
    // soonest first (ops/timeout.cc). Flagged request_counted.
    List<Request, &Request::node> counted;
    Expired counted_expired = nullptr;

  private:
    struct Entry {
        int64_t deadline_ns;
        Request* request;
        Expired expired;
    };
    struct Heap {
        Entry* entries = nullptr;
        unsigned count = 0;
        unsigned capacity = 0;
    };

    static void place(Heap& heap, unsigned index, const Entry& entry);
    static void sift_up(Heap& heap, unsigned index, const Entry& entry);
    static void sift_down(Heap& heap, unsigned index, const Entry& entry);
    static void remove_at(Heap& heap, unsigned index);

    Heap heaps_[3];
};

}  // namespace ringside::engine
