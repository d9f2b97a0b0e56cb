#include "resource/updates.h"

#include "memory/user_memory.h"
#include "resource/fixed_files.h"

namespace ringside::engine {
namespace {

int update_slot(Ring& ring, uint32_t index, const Input& input) {
    const bool skip = input.fd == IORING_REGISTER_FILES_SKIP;
    if ((skip || input.fd == no_file) && input.tag != 0) return -EINVAL;
    if (skip) return 0;
    // The old file goes even when the new one is no good.
    empty_slot(ring, index);
    return input.fd == no_file ? 0 : fill_slot(ring, index, input.fd, input.tag);
}

}  // namespace

int read_input(uint64_t fds, uint64_t tags, uint32_t at, Input& input) {
    if (tags != 0 && read_user(input.tag, tags + at * sizeof(input.tag)) < 0) return -EFAULT;
    if (fds != 0 && read_user(input.fd, fds + at * sizeof(input.fd)) < 0) return -EFAULT;
    return 0;
}

int update_files(Ring& ring, uint32_t offset, uint64_t fds, uint64_t tags, uint32_t count) {
    return update_slots(ring.files.count, offset, count, fds, [&](uint32_t nth) {
        Input input;
        const int result = read_input(fds, tags, nth, input);
        return result < 0 ? result : update_slot(ring, offset + nth, input);
    });
}

}  // namespace ringside::engine
