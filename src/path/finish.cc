// Stage 6: the result is known. Posts the CQE, releases what the request held, and moves its chain on.
#include <errno.h>
#include <stdlib.h>

#include "os/fds.h"
#include "path/path.h"
#include "resource/fixed_files.h"
#include "resource/provided_buffers.h"
#include "resource/registered_buffers.h"
#include "service/crew.h"
#include "service/keeper.h"

namespace ringside::engine {
namespace {

constexpr uint64_t held_something = request_hashed | request_pinned | request_pinned_too | request_has_memory |
                                    request_holds_slot | request_second_kept | request_holds_buffer |
                                    request_impersonates | request_has_crew;

// A file on disk, on which the program may have record locks, is pinned only for a crew (pin_file).
void close_pinned(const Request& request) {
    request.has(request_has_crew) ? let_go_of_descriptor(request.fd) : close_fd(request.fd);
}

void release_held(Request& request) {
    Ring& ring = *request.ring;
    ring.requests.table.remove(request);
    if (request.has(request_pinned)) close_pinned(request);
    if (request.has(request_pinned_too)) let_go_of_descriptor(request.second_fd);
    if (request.has(request_second_kept)) let_go(ring, *request.second_kept());
    let_go(request);
    let_go_of_buffer(request);
    if (request.has(request_impersonates)) let_go(*request.credentials);
    leave_crew(request);
    if (request.has(request_has_memory)) free(request.memory);
}

void move_into_slot(Request& request) {
    if (request.res < 0) return;
    const int moved = install_direct(*request.ring, request.res, request.direct_slot, true);
    const bool forgiven = operation_of(request).flags & op_forgives_slot;
    forgiven ? request.ended(moved) : request.done(moved);
}

// Reports that the buffer of a zero-copy send is free again. It is free at once, because the engine's send copies it.
void post_notification(Request& request) {
    post(*request.ring, request.user_data, static_cast<int32_t>(request.notification()), IORING_CQE_F_NOTIF);
}

constexpr uint64_t more_than_a_cqe = IOSQE_CQE_SKIP_SUCCESS | request_no_cqe | request_big_cqe | request_direct |
                                     request_notifies | request_at_work | held_something | IOSQE_IO_LINK |
                                     IOSQE_IO_HARDLINK;

// Notes that a worker posts this CQE. On a ring with IORING_SETUP_DEFER_TASKRUN the submitter posts what workers have
// done.
void note_poster(const Request& request) {
    Ring& ring = *request.ring;
    const bool deferred = ring.setup_flags & IORING_SETUP_DEFER_TASKRUN;
    if (request.has(request_at_work) && !deferred) ring.notification.by_worker = true;
}

// Whether the result -EBADF comes from the lookup of the request's file, not from the operation.
bool lacks_file(const Request& request) {
    return request.res == -EBADF && (operation_of(request).flags & op_file) && !is_file(request.fd);
}

__attribute__((noinline)) void finish_in_full(Request& request) {
    if (request.has(request_direct)) move_into_slot(request);
    if (request.has(request_holds_buffer)) request.cqe_flags |= consume_buffer(request, request.res);
    if (!request.has(IOSQE_CQE_SKIP_SUCCESS | request_no_cqe)) {
        note_poster(request);
        const bool found_room = post(*request.ring, request.user_data, request.res, request.cqe_flags,
                                     request.has(request_big_cqe) ? request.second_half() : nullptr);
        // If the CQ is full, the kernel's worker leaves the CQE to the submitter, and with it the rest of the chain.
        if (!found_room) request.clear(request_at_work);
    }
    if (request.has(request_notifies) && !request.has(request_no_cqe)) post_notification(request);
    const bool links = request.has(IOSQE_IO_LINK | IOSQE_IO_HARDLINK);
    if (links && lacks_file(request)) request.set(request_untried);
    if (request.has(held_something)) release_held(request);
    if (links) advance_chain(request);
}

}  // namespace

void finish(Request& request) {
    Ring& ring = *request.ring;
    const bool was_all =
        !request.has(more_than_a_cqe) && post_at_once(ring, request.user_data, request.res, request.cqe_flags);
    if (__builtin_expect(!was_all, 0)) finish_in_full(request);
    ring.requests.give_back(request);
}

void finish(Request& request, long result) {
    request.set(request_untried);
    finish_attempted(request, result);
}

void finish_attempted(Request& request, long result) {
    request.done(result);
    // The kernel's io-wq does not end a request whose attempt brought no result: the submitter does.
    request.clear(request_at_work);
    // A notification CQE follows nevertheless, so announce it.
    if (request.has(request_notifies)) request.cqe_flags = IORING_CQE_F_MORE;
    finish(request);
}

void finish_unheard(Request& request) {
    const bool has_descriptor = (operation_of(request).flags & op_opens) && request.has(request_has_result);
    if (has_descriptor && request.res >= 0 && !request.has(request_direct)) let_go_of_descriptor(request.res);
    // Without a descriptor there is nothing to put into a slot, whatever the result says so far.
    if (!has_descriptor) request.clear(request_direct);
    request.set(request_no_cqe);
    finish(request);
}

bool post_more(Request& request, int32_t result, uint32_t flags) {
    return post_unless_full(*request.ring, request.user_data, result, flags | IORING_CQE_F_MORE);
}

}  // namespace ringside::engine
