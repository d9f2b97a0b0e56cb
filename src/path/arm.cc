// Stage 5a: the operation would block until its file is ready, so it waits for that with no thread and no system call,
// and is issued again when it is.
#include <errno.h>

#include "path/path.h"
#include "service/poller.h"

namespace ringside::engine {

void arm(Request& request) {
    if (request.has(request_nowait)) return finish(request, -EAGAIN);
    // A request that was only now tried on the program's descriptor is known by that; one that holds its file already may
    // be the last to do so.
    const int number = request.fd;
    if (pin_file(request) == -EBADF) return finish(request, -EBADF);
    if (arm_poll(request, number)) {
        request.place = Place::armed;
        request.ring->requests.table.insert(request);
    } else {
        punt(request);
    }
}

bool retry_armed(Request& request) {
    const uint32_t waited_for = request.wait_events;
    if (issue_again(request)) return true;
    if (request.wait_events == waited_for) return false;
    // It waits for something else now: that has to be registered.
    disarm_poll(request);
    arm(request);
    return true;
}

}  // namespace ringside::engine
