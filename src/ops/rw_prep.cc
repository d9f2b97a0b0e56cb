// What the requests that read and write keep of their entries.
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/ops.h"
#include "ops/rw.h"
#include "ops/user_data.h"
#include "ops/vectors.h"
#include "service/path_face.h"

namespace ringside::engine {
namespace {

// Classes of ioprio_set(2), in the upper three bits of the value.
constexpr unsigned ioprio_none = 0, ioprio_realtime = 1, ioprio_best_effort = 2, ioprio_idle = 3;

int check_ioprio(uint16_t ioprio) {
    if (ioprio == 0) return 0;
    const unsigned level = ioprio & 7;
    switch (ioprio >> 13) {
        case ioprio_none:
            return level != 0 ? -EINVAL : 0;
        case ioprio_realtime:
            return abi::syscall(__NR_geteuid) == 0 ? 0 : -EPERM;
        case ioprio_best_effort:
        case ioprio_idle:
            return 0;
        default:
            return -EINVAL;
    }
}

// Protection information is the one attribute there is. The kernel looks at it before it finds that a file has none.
int check_attribute(const io_uring_sqe& sqe) {
    if (sqe.attr_type_mask != IORING_RW_ATTR_FLAG_PI) return -EINVAL;
    io_uring_attr_pi information;
    if (read_user(information, sqe.attr_ptr) < 0) return -EFAULT;
    if (information.rsvd != 0) return -EINVAL;
    return is_user_range(information.addr, information.len) ? 0 : -EFAULT;
}

// Memory that the program names in the entry itself.
int prepare(Request& request, const io_uring_sqe& sqe, bool vectored, bool writes) {
    const int result = prepare_transfer(request, sqe, vectored, writes);
    if (result < 0) return result;
    if (request.has(IOSQE_BUFFER_SELECT)) return prepare_selection(request);
    if (!vectored) return is_user_range(sqe.addr, sqe.len) ? 0 : -EFAULT;
    if (sqe.len > most_iovecs) return -EINVAL;
    return starts_later(request) ? keep_iovecs(request) : 0;
}

}  // namespace

int keep_iovecs(Request& request) {
    auto& transfer = request.as<Transfer>();
    if (!transfer.vectored || transfer.kept) return 0;
    const size_t size = transfer.length * sizeof(iovec);
    void* copy = malloc(size + 1);
    if (copy == nullptr) return -ENOMEM;
    auto* vectors = static_cast<iovec*>(copy);
    int result = copy_iovecs(vectors, transfer.address, transfer.length);
    // Ranges in a registered buffer are checked when the buffer is known.
    if (result == 0 && !request.has(request_takes_buffer)) result = check_ranges(vectors, transfer.length);
    if (result < 0) {
        free(copy);
        return result;
    }
    request.keep(copy);
    transfer.kept = true;
    transfer.address = reinterpret_cast<uintptr_t>(copy);
    return 0;
}

int prepare_transfer(Request& request, const io_uring_sqe& sqe, bool vectored, bool writes) {
    const int ioprio = check_ioprio(sqe.ioprio);
    if (ioprio < 0) return ioprio;
    auto& transfer = request.as<Transfer>();
    transfer.address = sqe.addr;
    transfer.offset = static_cast<int64_t>(sqe.off);
    transfer.length = sqe.len;
    transfer.done = 0;
    transfer.flags = sqe.rw_flags;
    transfer.vectored = vectored;
    transfer.writes = writes;
    transfer.kept = false;
    transfer.has_attribute = sqe.attr_type_mask != 0;
    if (sqe.rw_flags & RWF_NOWAIT) request.set(request_nowait);
    return __builtin_expect(transfer.has_attribute, 0) ? check_attribute(sqe) : 0;
}

int read_prep(Request& request, const io_uring_sqe& sqe) { return prepare(request, sqe, false, false); }
int write_prep(Request& request, const io_uring_sqe& sqe) { return prepare(request, sqe, false, true); }
int readv_prep(Request& request, const io_uring_sqe& sqe) { return prepare(request, sqe, true, false); }
int writev_prep(Request& request, const io_uring_sqe& sqe) { return prepare(request, sqe, true, true); }

}  // namespace ringside::engine
