// IORING_OP_PIPE: a new pipe, as two descriptors or in two slots of the table of registered files.
#include <errno.h>
#include <fcntl.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/ops.h"
#include "os/fds.h"
#include "resource/fixed_files.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr uint32_t known_flags = O_CLOEXEC | O_NONBLOCK | O_DIRECT | O_EXCL;  // the last makes a notification pipe

struct NewPipe {
    uint64_t numbers;  // where the program wants the two descriptors, or slots
    uint32_t flags;
    uint32_t slot;  // as in the SQE: 0 for none
};

// The slot that a descriptor went to, by the result of install_direct().
int32_t slot_index(uint32_t slot, int32_t installed) {
    return slot == IORING_FILE_INDEX_ALLOC ? installed : static_cast<int32_t>(slot - 1);
}

// Moves both ends into slots: into the named slot and the next one, or into any two. Closes both descriptors. Returns
// 0, or -errno with neither slot filled.
int install(Ring& ring, const int32_t (&ends)[2], uint32_t slot, int32_t (&indices)[2]) {
    const int first = install_direct(ring, ends[0], slot, false);
    if (first < 0) {
        close_fd(ends[1]);
        return first;
    }
    indices[0] = slot_index(slot, first);
    if (slot != IORING_FILE_INDEX_ALLOC) ++slot;
    const int second = install_direct(ring, ends[1], slot, false);
    if (second < 0) {
        empty_slot(ring, static_cast<uint32_t>(indices[0]));
        return second;
    }
    indices[1] = slot_index(slot, second);
    return 0;
}

int make_direct(Ring& ring, const NewPipe& pipe) {
    if (pipe.flags & O_CLOEXEC) return -EINVAL;
    int32_t ends[2], indices[2];
    // On their way to the slots the descriptors are in the program's table for a moment.
    long result = abi::syscall(__NR_pipe2, ends, pipe.flags | O_CLOEXEC);
    if (result == 0) result = install(ring, ends, pipe.slot, indices);
    if (result < 0) return static_cast<int>(result);
    if (write_user(pipe.numbers, indices) == 0) return 0;
    for (const int32_t index : indices) empty_slot(ring, static_cast<uint32_t>(index));
    return -EFAULT;
}

}  // namespace

int pipe_prep(Request& request, const io_uring_sqe& sqe) {
    if (sqe.pipe_flags & ~known_flags) return -EINVAL;
    request.as<NewPipe>() = {sqe.addr, sqe.pipe_flags, sqe.file_index};
    return 0;
}

Outcome pipe_issue(Request& request) {
    const auto& pipe = request.as<NewPipe>();
    const long result = pipe.slot != 0 ? make_direct(*request.ring, pipe)
                                       : abi::syscall(__NR_pipe2, user_pointer(pipe.numbers), pipe.flags);
    // In the kernel a failure completes outside of io-wq.
    if (result < 0) request.clear(request_at_work);
    return request.done(result);
}

}  // namespace ringside::engine
