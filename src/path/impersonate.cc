// A step of a request with the credentials of the personality that it names.
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "abi/syscall.h"
#include "os/credentials.h"
#include "path/path.h"

namespace ringside::engine {

namespace {

// libc does the same when a thread does not take on the identity that all are to have.
void return_or_end(const Credentials& other, const Credentials& own) {
    if (change(other, own) == 0) return;
    // A policy may have refused both ways.
    Credentials* now = read_credentials();
    const bool returned = now != nullptr && same(*now, own);
    free(now);
    if (!returned) abort();
}

}  // namespace

Outcome impersonate(Request& request, Outcome (*step)(Request&)) {
    Credentials* own = read_credentials();
    if (own == nullptr) return request.done(-ENOMEM);
    if (same(*own, *request.credentials)) {
        free(own);
        return step(request);
    }
    // Nobody may go on with credentials that are not its own.
    if (!can_return(*own, *request.credentials)) {
        free(own);
        return request.done(-EPERM);
    }
    // The kernel guards a process against its debuggers from the moment that one of its threads changes its identity.
    const long dumpable = abi::syscall(__NR_prctl, PR_GET_DUMPABLE);
    const int changed = change(*own, *request.credentials);
    const Outcome outcome = changed < 0 ? request.done(changed) : step(request);
    return_or_end(*request.credentials, *own);
    if (dumpable == 1) abi::syscall(__NR_prctl, PR_SET_DUMPABLE, dumpable);
    free(own);
    return outcome;
}

}  // namespace ringside::engine
