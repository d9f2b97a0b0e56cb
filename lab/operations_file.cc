// Operations on open files.
#include <fcntl.h>
#include <sys/mman.h>

#include "liburing/io_uring.h"
#include "operations.h"

namespace ringside::lab {
namespace {

using enum ResourceKind;

bool fsync(Draft& draft) {
    draft.set(Field::op_flags, draft.random.percent(40) ? IORING_FSYNC_DATASYNC : 0);
    if (draft.random.percent(30)) draft.set(Field::len, 4096);
    return draft.use_resource({file, file, memfd, directory, null, epoll, path_only}, Access::shared);
}

bool close(Draft& draft) {
    if (draft.random.percent(60) && draft.use_opened(Access::exclusive)) {
        for (Opened& opened : draft.builder.opened) {
            if (opened.user_data == draft[Field::fd].number) opened.closed = true;
        }
        return true;
    }
    if (draft.random.percent(30)) {
        draft.set(Field::fd, draft.random.one_of<uint64_t>({190, static_cast<uint64_t>(-1)}));
        return true;
    }
    return draft.use_resource({file, memfd, directory, null, zero, epoll, path_only}, Access::exclusive);
}

bool sync_file_range(Draft& draft) {
    draft.set(Field::off, draft.random.one_of<uint64_t>({0, 1, 4096}));
    draft.set(Field::len, draft.random.one_of<uint64_t>({0, 100, 4096}));
    draft.set(Field::op_flags, draft.random.below(8));
    return draft.use_resource({file, file, memfd, directory, null}, Access::shared);
}

bool fallocate(Draft& draft) {
    // The length goes in addr, the mode in len.
    draft.set(Field::off, draft.random.one_of<uint64_t>({0, 10, 4096, 8192}));
    draft.set(Field::addr, draft.random.one_of<uint64_t>({0, 1, 4096, 20000}));
    draft.set(Field::len,
              draft.random.one_of<uint64_t>({0, 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                             FALLOC_FL_ZERO_RANGE, FALLOC_FL_PUNCH_HOLE}));
    return draft.use_resource({file, file, memfd, directory, null}, Access::exclusive);
}

bool ftruncate(Draft& draft) {
    draft.set(Field::off, draft.random.one_of<uint64_t>({0, 1, 100, 4096, 20000}));
    return draft.use_resource({file, file, memfd, directory, null}, Access::exclusive);
}

bool fadvise(Draft& draft) {
    draft.set(Field::len, draft.random.one_of<uint64_t>({0, 100, 4096}));
    draft.set(Field::op_flags, draft.random.below(7));
    return draft.use_resource({file, file, memfd, directory, null}, Access::shared);
}

bool madvise(Draft& draft) {
    Memory page;
    page.label = "page";
    page.size = 4096;
    page.fill = 3;
    draft[Field::addr] = draft.builder.memory(page).value_or(number(0));
    draft.set(Field::len, draft.random.one_of<uint64_t>({0, 100, 4096}));
    draft.set(Field::op_flags, draft.random.one_of<uint64_t>(
                                   {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_DONTNEED, 77}));
    return true;
}

constexpr Operation table[] = {
    {.opcode = IORING_OP_FSYNC, .weight = 5, .fill = fsync},
    {.opcode = IORING_OP_CLOSE, .weight = 6, .fill = close},
    {.opcode = IORING_OP_SYNC_FILE_RANGE, .weight = 2, .fill = sync_file_range},
    {.opcode = IORING_OP_FALLOCATE,
     .weight = 3,
     .fill = fallocate,
     .untouchable_fields = bit(Field::off) | bit(Field::addr) | bit(Field::len)},
    {.opcode = IORING_OP_FTRUNCATE, .weight = 3, .fill = ftruncate},
    {.opcode = IORING_OP_FADVISE, .weight = 2, .fill = fadvise},
    {.opcode = IORING_OP_MADVISE,
     .weight = 2,
     .fill = madvise,
     .untouchable_fields = bit(Field::len) | bit(Field::off)},
};

}  // namespace

std::span<const Operation> file_operations() { return table; }

}  // namespace ringside::lab
