// Stage 6: the result is known. The CQE is posted, what the request held is let go, its chain moves on.
#include <errno.h>
#include <stdlib.h>

#include "path/path.h"
#include "state/fds.h"

namespace ringside::engine {
namespace {

constexpr uint32_t held_something = request_hashed | request_pinned | request_has_memory;

void release_held(Request& request) {
    Ring& ring = *request.ring;
    ring.requests.table.remove(request);
    if (request.has(request_pinned)) close_fd(request.fd);
    if (request.has(request_has_memory)) free(request.memory);
}

}  // namespace

void finish(Request& request) {
    Ring& ring = *request.ring;
    if (__builtin_expect(!request.has(IOSQE_CQE_SKIP_SUCCESS | request_no_cqe), 1)) {
        post(ring, request.user_data, request.res, request.cqe_flags,
             request.has(request_big_cqe) ? request.extra : nullptr);
    }
    if (__builtin_expect(request.has(held_something), 0)) release_held(request);
    if (__builtin_expect(request.has(IOSQE_IO_LINK | IOSQE_IO_HARDLINK), 0)) advance_chain(request);
    ring.requests.give_back(request);
}

void finish(Request& request, long result) {
    request.done(result);
    finish(request);
}

bool post_more(Request& request, int32_t result, uint32_t flags) {
    return post_unless_full(*request.ring, request.user_data, result, flags | IORING_CQE_F_MORE);
}

}  // namespace ringside::engine
