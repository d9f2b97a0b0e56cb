// IORING_OP_FILES_UPDATE and IORING_OP_FIXED_FD_INSTALL: between fixed files and the program's descriptors.
#include <errno.h>
#include <fcntl.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/ops.h"
#include "resource/fixed_files.h"
#include "resource/updates.h"

namespace ringside::engine {
namespace {

struct FilesUpdate {
    uint64_t fds;
    uint32_t offset;
    uint32_t count;
};

struct Install {
    bool close_on_exec;
};

// Installs one file of the program's in an empty slot, and writes the slot's index over the descriptor in the
// program's array.
int install_anywhere(Ring& ring, uint64_t address) {
    int32_t fd;
    if (read_user(fd, address) < 0) return -EFAULT;
    const int index = install_copy(ring, fd, IORING_FILE_INDEX_ALLOC);
    if (index < 0) return index;
    if (write_user(address, index) == 0) return 0;
    empty_slot(ring, static_cast<uint32_t>(index));
    return -EFAULT;
}

int install_all(Ring& ring, const FilesUpdate& update) {
    if (ring.files.count == 0) return -ENXIO;
    for (uint32_t done = 0; done < update.count; ++done) {
        const int result = install_anywhere(ring, update.fds + done * sizeof(int32_t));
        if (result < 0) return done != 0 ? static_cast<int>(done) : result;
    }
    return static_cast<int>(update.count);
}

}  // namespace

int files_update_prep(Request& request, const io_uring_sqe& sqe) {
    if (request.has(IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT)) return -EINVAL;
    if (sqe.len == 0) return -EINVAL;
    request.as<FilesUpdate>() = {sqe.addr, static_cast<uint32_t>(sqe.off), sqe.len};
    return 0;
}

Outcome files_update_issue(Request& request) {
    const auto& update = request.as<FilesUpdate>();
    Ring& ring = *request.ring;
    if (update.offset == IORING_FILE_INDEX_ALLOC) return request.done(install_all(ring, update));
    return request.done(update_files(ring, update.offset, update.fds, 0, update.count));
}

int fixed_fd_install_prep(Request& request, const io_uring_sqe& sqe) {
    if (!request.has(IOSQE_FIXED_FILE)) return -EBADF;
    if (sqe.install_fd_flags & ~IORING_FIXED_FD_NO_CLOEXEC) return -EINVAL;
    request.as<Install>().close_on_exec = !(sqe.install_fd_flags & IORING_FIXED_FD_NO_CLOEXEC);
    // The new descriptor belongs to the program. Credentials of a personality have no part in it.
    return sqe.personality != 0 ? -EPERM : 0;
}

Outcome fixed_fd_install_issue(Request& request) {
    const bool close_on_exec = request.as<Install>().close_on_exec;
    return request.done(abi::syscall(__NR_fcntl, request.fd, close_on_exec ? F_DUPFD_CLOEXEC : F_DUPFD, 0));
}

}  // namespace ringside::engine
