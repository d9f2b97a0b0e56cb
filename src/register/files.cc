// IORING_REGISTER_FILES and what belongs to it: the table of fixed files (resource/fixed_files.h).
#include "liburing/io_uring.h"

#include <errno.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "os/limits.h"
#include "register/register.h"
#include "resource/fixed_files.h"
#include "resource/updates.h"

namespace ringside::engine {
namespace {

constexpr uint32_t most_files = 1u << 20;

bool above_descriptor_limit(uint32_t count) { return count > limit_of(RLIMIT_NOFILE, RLIM_INFINITY); }

int fill_table(Ring& ring, uint64_t fds, uint64_t tags) {
    for (uint32_t index = 0; index < ring.files.count; ++index) {
        Input input;
        int result = read_input(fds, tags, index, input);
        if (result == 0 && input.fd == no_file) {
            if (input.tag != 0) return -EINVAL;
            continue;
        }
        if (result == 0) result = fill_slot(ring, index, input.fd, input.tag);
        if (result < 0) return result;
    }
    return 0;
}

int register_table(Ring& ring, uint64_t fds, uint64_t tags, uint32_t count) {
    if (ring.files.count != 0) return -EBUSY;
    if (count == 0) return -EINVAL;
    if (count > most_files || above_descriptor_limit(count)) return -EMFILE;
    int result = make_table(ring.files, count);
    if (result < 0) return result;
    result = fill_table(ring, fds, tags);
    if (result < 0) {
        forget_tags(ring.files);
        drop_table(ring);
        return result;
    }
    set_allocation_range(ring.files, 0, count);
    return 0;
}

}  // namespace

int register_files(Ring& ring, uint64_t fds, unsigned count) { return register_table(ring, fds, 0, count); }

int unregister_files(Ring& ring, uint64_t, unsigned) {
    if (ring.files.count == 0) return -ENXIO;
    drop_table(ring);
    return 0;
}

int register_files_update(Ring& ring, uint64_t address, unsigned count) {
    io_uring_files_update update;
    if (count == 0) return -EINVAL;
    if (read_user(update, address) < 0) return -EFAULT;
    if (update.resv != 0) return -EINVAL;
    return update_files(ring, update.offset, update.fds, 0, count);
}

int register_files2(Ring& ring, uint64_t address, unsigned size) {
    io_uring_rsrc_register wanted;
    const int result = read_table(wanted, address, size);
    return result < 0 ? result : register_table(ring, wanted.data, wanted.tags, wanted.nr);
}

int register_files_update2(Ring& ring, uint64_t address, unsigned size) {
    io_uring_rsrc_update2 update;
    const int result = read_table_update(update, address, size);
    return result < 0 ? result : update_files(ring, update.offset, update.data, update.tags, update.nr);
}

int register_file_alloc_range(Ring& ring, uint64_t address, unsigned) {
    io_uring_file_index_range range;
    if (read_user(range, address) < 0) return -EFAULT;
    uint32_t end;
    if (__builtin_add_overflow(range.off, range.len, &end)) return -EOVERFLOW;
    if (range.resv != 0 || end > ring.files.count) return -EINVAL;
    set_allocation_range(ring.files, range.off, end);
    return 0;
}

}  // namespace ringside::engine
