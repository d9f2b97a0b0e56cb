// A step of a request with the credentials that it carries or names.
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "abi/syscall.h"
#include "os/credentials.h"
#include "path/path.h"

namespace ringside::engine {

Outcome impersonate(Request& request, Outcome (*step)(Request&)) {
    Credentials* own = read_credentials();
    if (own == nullptr) return request.done(-ENOMEM);
    if (same(*own, *request.credentials)) {
        free(own);
        return step(request);
    }
    // The kernel guards a process against its debuggers from the moment that one of its threads changes its identity.
    const long dumpable = abi::syscall(__NR_prctl, PR_GET_DUMPABLE);
    const int changed = change(*own, *request.credentials);
    const Outcome outcome = changed < 0 ? request.done(changed) : step(request);
    change(*request.credentials, *own);
    if (dumpable == 1) abi::syscall(__NR_prctl, PR_SET_DUMPABLE, dumpable);
    free(own);
    return outcome;
}

}  // namespace ringside::engine
