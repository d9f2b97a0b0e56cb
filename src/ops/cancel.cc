// IORING_OP_ASYNC_CANCEL
#include "ops/cancel.h"

#include <errno.h>
#include <fcntl.h>

#include "abi/syscall.h"
#include "ops/ops.h"
#include "os/fds.h"
#include "service/cancel.h"
#include "service/keeper.h"
#include "service/path_face.h"
#include "state/operation.h"

namespace ringside::engine {
namespace {

// The file whose requests are to be cancelled. One system call identifies it. Comparing it with a request whose file
// is in the engine's own table takes no further system call, unless the two may be the same file.
class FileSought {
  public:
    explicit FileSought(int fd) : fd_(fd) {}

    bool is_of(const Request& request) {
        // The flags of a request that a worker has are the worker's.
        const bool works = request.place == Place::worker;
        if (works ? request.works_elsewhere : holds_file_elsewhere(request)) return is(kept(*request.fixed_file));
        // Many requests may use one slot, so its file is compared once.
        if (works || !request.has(request_holds_slot)) return same_file(fd_, request.fd);
        if (request.fixed_file != looked_at_) {
            looked_at_ = request.fixed_file;
            was_same_ = same_file(fd_, request.fd);
        }
        return was_same_;
    }

  private:
    // A file in that table is identified by what was noted when it was handed over.
    bool is(const KeptFile& file) {
        if (!is_known_) file_status(fd_, status_);
        is_known_ = true;
        if (status_.st_ino != file.inode || status_.st_dev != file.device) return false;
        if (is_kept_file(file, fd_, status_)) return true;
        // A duplicate of the number that it was handed over by.
        struct stat original;
        return file_status(file.sqe_number, original) == 0 && is_kept_file(file, file.sqe_number, original) &&
               same_file(fd_, file.sqe_number);
    }

    int fd_;
    bool is_known_ = false;
    struct stat status_ = {};
    const FixedFile* looked_at_ = nullptr;
    bool was_same_ = false;
};

// Whether the request has ended and only its CQE is still to be posted. A request that was cancelled while it waited
// for its file has not ended in this sense: a cancellation still finds it.
bool is_over(const Request& request) {
    const bool has_ended = request.place == Place::task_work && request.has(request_has_result);
    return (has_ended && !request.has(request_cancelled)) ||
           (request.place == Place::timer && request.ring->timers.is_due(request));
}

bool matches(const Cancel& cancel, FileSought* file, const Request& request) {
    // A request at the disk cannot be taken back, so it is not found.
    if (request.place == Place::device) return false;
    // A link timeout goes with its request and with nothing else.
    if (request.opcode == IORING_OP_LINK_TIMEOUT) return false;
    // A request released by a drain is on its way to the workers. Only a cancellation that runs in a worker finds it.
    const bool is_let_go = request.place == Place::task_work && request.has(request_ordered);
    if (is_let_go && !request.has(request_has_result | request_has_news) && !cancel.at_work) return false;
    if (cancel.spares_workers && (request.place == Place::worker || request.has(request_blocks))) return false;
    if (cancel.flags & IORING_ASYNC_CANCEL_ANY) return true;
    const bool by_other = cancel.flags & (IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_OP);
    if ((cancel.flags & IORING_ASYNC_CANCEL_OP) && request.opcode != cancel.opcode) return false;
    const bool by_user_data = !by_other || (cancel.flags & IORING_ASYNC_CANCEL_USERDATA);
    if ((by_user_data && request.user_data != cancel.user_data) || is_over(request)) return false;
    return file == nullptr || ((operation_of(request).flags & op_file) && file->is_of(request));
}

bool has_not_begun(const Request& request) {
    const bool is_in_line = request.place == Place::task_work && !request.has(request_cancelled | request_has_news);
    return request.place == Place::worker || is_in_line;
}

// Searches the table from a bucket on.
Request* find_match(Ring& ring, const Cancel& cancel, FileSought* file, uint32_t sequence, unsigned& from) {
    const auto wanted = [&](const Request& request) {
        return request.cancel_sequence != sequence && matches(cancel, file, request);
    };
    const bool by_user_data =
        !(cancel.flags & (IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_OP));
    RequestTable& table = ring.requests.table;
    return by_user_data ? table.find(cancel.user_data, wanted) : table.find_any(wanted, from);
}

// Whether the cancellation matches itself: one that runs in a worker is itself among the workers' requests.
bool matches_itself(const Cancel& cancel, const Request& request) {
    if (!request.has(request_at_work) || (request.ring->setup_flags & IORING_SETUP_SQPOLL)) return false;
    if (cancel.flags & IORING_ASYNC_CANCEL_ANY) return true;
    if ((cancel.flags & IORING_ASYNC_CANCEL_OP) && cancel.opcode != request.opcode) return false;
    const bool by_other = cancel.flags & (IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_OP);
    const bool by_user_data = !by_other || (cancel.flags & IORING_ASYNC_CANCEL_USERDATA);
    return !by_user_data || request.user_data == cancel.user_data;
}

// Sets `fd` to a descriptor of the file whose requests are to be cancelled.
bool find_file(Ring& ring, Cancel& cancel) {
    if (!(cancel.flags & IORING_ASYNC_CANCEL_FD_FIXED)) {
        return is_file(cancel.fd);
    }
    const FixedFile* file = ring.files.find(static_cast<uint32_t>(cancel.fd));
    if (file != nullptr) cancel.fd = file->fd;
    return file != nullptr;
}

}  // namespace

long cancel_matches(Ring& ring, Cancel cancel) {
    const bool by_file = cancel.flags & IORING_ASYNC_CANCEL_FD;
    if (by_file && !find_file(ring, cancel)) return -EBADF;
    FileSought file(by_file ? cancel.fd : -1);
    const bool all = cancel.flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
    const uint32_t sequence = ++ring.cancel_sequence;
    long count = 0;
    bool any_child = false, any_futex = false;
    unsigned from = 0;
    while (Request* target = find_match(ring, cancel, by_file ? &file : nullptr, sequence, from)) {
        target->cancel_sequence = sequence;
        const bool of_workers = has_not_begun(*target);
        const int result = cancel_request(*target);
        if (!all) return result;
        // As in the kernel, a request that a worker executes is cancelled but not counted. If the cancellation itself
        // runs in a worker, a request that waits for a worker is not counted either.
        if (result == 0 && !(of_workers && cancel.finds_itself)) ++count;
        // Also as in the kernel, all WAITID requests are cancelled together and count as one; so are all futex waits.
        if (result > 0) (target->opcode == IORING_OP_WAITID ? any_child : any_futex) = true;
    }
    return all ? count + any_child + any_futex : -ENOENT;
}

int async_cancel_prep(Request& request, const io_uring_sqe& sqe) {
    if (request.has(IOSQE_BUFFER_SELECT)) return -EINVAL;
    auto& cancel = request.as<Cancel>();
    cancel = {sqe.addr, sqe.cancel_flags, sqe.fd, 0, false, false, false};
    if (cancel.flags & ~known_cancel_flags) return -EINVAL;
    if ((cancel.flags & IORING_ASYNC_CANCEL_ANY) &&
        (cancel.flags & (IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_OP))) {
        return -EINVAL;
    }
    if (cancel.flags & IORING_ASYNC_CANCEL_OP) {
        cancel.opcode = static_cast<uint8_t>(sqe.len);
    }
    return 0;
}

Outcome async_cancel_issue(Request& request) {
    auto& cancel = request.as<Cancel>();
    if (request.has(IOSQE_FIXED_FILE)) cancel.flags |= IORING_ASYNC_CANCEL_FD_FIXED;
    cancel.at_work = request.has(request_at_work);
    cancel.finds_itself = matches_itself(cancel, request);
    const long result = cancel_matches(*request.ring, cancel);
    return request.done(result == -ENOENT && cancel.finds_itself ? -EALREADY : result);
}

}  // namespace ringside::engine
