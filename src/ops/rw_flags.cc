// What stands against a transfer before a byte of it moves: the mode of its file, RWF_ flags, the kind of its ring.
//
// preadv2 and pwritev2 look at most of that too, but in another order, not at all for a transfer of nothing, and with
// RWF_NOWAIT of ours among the flags. So the engine looks here once something is unusual: an error, a flag that the
// system call does not judge, no bytes to transfer.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include "abi/syscall.h"
#include "ops/rw.h"
#include "os/fds.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

constexpr int rwf_atomic = 0x40, rwf_dontcache = 0x80, rwf_nosignal = 0x100;  // Linux 6.11, 6.14, 6.18
constexpr int known_flags = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND | RWF_NOAPPEND | rwf_atomic |
                            rwf_dontcache | rwf_nosignal;

}  // namespace

// Reading one byte to where none can be leaves no trace.
bool knows_flag(int fd, int flag, int64_t offset) {
    iovec nowhere = {nullptr, 1};
    const long result = abi::syscall(__NR_preadv2, fd, &nowhere, 1, offset, 0, flag);
    if (result != -EBADF) return result != -EOPNOTSUPP;
    // It is open for writing alone.
    struct statfs system;
    return abi::syscall(__NR_fstatfs, fd, &system) < 0 || system.f_type != TMPFS_MAGIC;
}

namespace {

int check_flags(int fd, int flags, bool writes, long file_flags) {
    if (flags & ~known_flags) return -EOPNOTSUPP;
    if ((flags & RWF_APPEND) && (flags & RWF_NOAPPEND)) return -EINVAL;
    const bool on_disk = is_on_disk(fd);
    if ((flags & RWF_NOWAIT) && on_disk && !knows_flag(fd, RWF_NOWAIT)) return -EOPNOTSUPP;
    if ((flags & rwf_atomic) && (!writes || !(file_flags & O_DIRECT))) return -EOPNOTSUPP;
    if ((flags & rwf_dontcache) && (!on_disk || !knows_flag(fd, rwf_dontcache))) return -EOPNOTSUPP;
    return 0;
}

}  // namespace

bool transfers_by_iterator(const Request& request) {
    iovec nowhere = {nullptr, 1};
    const bool writes = request.as<Transfer>().writes;
    const long call = writes ? __NR_pwritev2 : __NR_preadv2;
    // The two flags contradict each other, which is found out before anything is transferred; but without iterators
    // the system calls know no flags at all.
    return abi::syscall(call, request.fd, &nowhere, 1, -1, 0, RWF_APPEND | RWF_NOAPPEND) != -EOPNOTSUPP;
}

int check_file_and_flags(const Request& request) {
    const auto& transfer = request.as<Transfer>();
    const long file_flags = abi::syscall(__NR_fcntl, request.fd, F_GETFL);
    if (!has_mode(file_flags, transfer.writes)) return -EBADF;
    if (transfer.flags != 0) {
        const int refused = check_flags(request.fd, transfer.flags, transfer.writes, file_flags);
        if (refused < 0) return refused;
    }
    // A ring that polls for completions reads and writes only devices that can be polled, without the page cache; and
    // such polling is for no other ring.
    if (request.ring->setup_flags & IORING_SETUP_IOPOLL) {
        if (!(file_flags & O_DIRECT) || !is_on_disk(request.fd)) return -EOPNOTSUPP;
    } else if (transfer.flags & RWF_HIPRI) {
        return -EINVAL;
    }
    // No file of ours has protection information.
    return transfer.has_attribute ? -EINVAL : 0;
}

}  // namespace ringside::engine
