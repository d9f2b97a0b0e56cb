// Registering files and buffers.
#include <errno.h>
#include <sys/resource.h>

#include "abi/syscall.h"
#include "liburing/owner.h"

using namespace ringside;
using namespace ringside::liburing;

namespace {

int register_table(io_uring& ring, unsigned opcode, unsigned nr, unsigned flags, const void* data, const __u64* tags) {
    io_uring_rsrc_register table = {};
    table.nr = nr;
    table.flags = flags;
    table.data = uring_ptr_to_u64(data);
    table.tags = uring_ptr_to_u64(tags);
    return register_call(ring, opcode, &table, sizeof(table));
}

int update_table(io_uring& ring, unsigned opcode, unsigned offset, const void* data, const __u64* tags, unsigned nr) {
    io_uring_rsrc_update2 update = {};
    update.offset = offset;
    update.data = uring_ptr_to_u64(data);
    update.tags = uring_ptr_to_u64(tags);
    update.nr = nr;
    return register_call(ring, opcode, &update, sizeof(update));
}

// Raises the soft limit of open files, which counts registered ones too, by `nr`. Returns false where that cannot help.
bool raise_file_limit(unsigned nr) {
    rlimit limit;
    if (abi::syscall(__NR_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit) != 0) return false;
    if (limit.rlim_cur >= limit.rlim_max) return false;
    limit.rlim_cur = limit.rlim_max - limit.rlim_cur > nr ? limit.rlim_cur + nr : limit.rlim_max;
    return abi::syscall(__NR_prlimit64, 0, RLIMIT_NOFILE, &limit, nullptr) == 0;
}

// Registers files, and once more with a higher limit if that was in the way.
template <typename Register>
int register_under_limit(unsigned nr, Register register_files) {
    const int result = register_files();
    return result == -EMFILE && raise_file_limit(nr) ? register_files() : result;
}

int clone(io_uring& dst, io_uring& src, unsigned dst_off, unsigned src_off, unsigned nr, unsigned flags) {
    struct io_uring_clone_buffers what = {};
    what.src_fd = static_cast<__u32>(src.ring_fd);
    what.flags = flags;
    what.src_off = src_off;
    what.dst_off = dst_off;
    what.nr = nr;
    if (has(src, internal_registered_ring) && has(src, internal_registered_register)) {
        what.src_fd = static_cast<__u32>(src.enter_ring_fd);
        what.flags |= IORING_REGISTER_SRC_REGISTERED;
    }
    return register_call(dst, IORING_REGISTER_CLONE_BUFFERS, &what, 1);
}

}  // namespace

int io_uring_register_buffers(io_uring* ring, const iovec* iovecs, unsigned nr_iovecs) {
    return register_call(*ring, IORING_REGISTER_BUFFERS, iovecs, nr_iovecs);
}

int io_uring_register_buffers_tags(io_uring* ring, const iovec* iovecs, const __u64* tags, unsigned nr) {
    return register_table(*ring, IORING_REGISTER_BUFFERS2, nr, 0, iovecs, tags);
}

int io_uring_register_buffers_sparse(io_uring* ring, unsigned nr) {
    return register_table(*ring, IORING_REGISTER_BUFFERS2, nr, IORING_RSRC_REGISTER_SPARSE, nullptr, nullptr);
}

int io_uring_register_buffers_update_tag(io_uring* ring, unsigned off, const iovec* iovecs, const __u64* tags,
                                         unsigned nr) {
    return update_table(*ring, IORING_REGISTER_BUFFERS_UPDATE, off, iovecs, tags, nr);
}

int io_uring_unregister_buffers(io_uring* ring) { return register_call(*ring, IORING_UNREGISTER_BUFFERS, nullptr, 0); }

int io_uring_clone_buffers(io_uring* dst, io_uring* src) { return clone(*dst, *src, 0, 0, 0, 0); }

int __io_uring_clone_buffers(io_uring* dst, io_uring* src, unsigned flags) { return clone(*dst, *src, 0, 0, 0, flags); }

int io_uring_clone_buffers_offset(io_uring* dst, io_uring* src, unsigned dst_off, unsigned src_off, unsigned nr,
                                  unsigned flags) {
    return clone(*dst, *src, dst_off, src_off, nr, flags);
}

int __io_uring_clone_buffers_offset(io_uring* dst, io_uring* src, unsigned dst_off, unsigned src_off, unsigned nr,
                                    unsigned flags) {
    return clone(*dst, *src, dst_off, src_off, nr, flags);
}

int io_uring_register_files(io_uring* ring, const int* files, unsigned nr_files) {
    return register_under_limit(nr_files, [=] { return register_call(*ring, IORING_REGISTER_FILES, files, nr_files); });
}

int io_uring_register_files_tags(io_uring* ring, const int* files, const __u64* tags, unsigned nr) {
    return register_under_limit(nr, [=] { return register_table(*ring, IORING_REGISTER_FILES2, nr, 0, files, tags); });
}

int io_uring_register_files_sparse(io_uring* ring, unsigned nr) {
    return register_under_limit(nr, [=] {
        return register_table(*ring, IORING_REGISTER_FILES2, nr, IORING_RSRC_REGISTER_SPARSE, nullptr, nullptr);
    });
}

int io_uring_register_files_update(io_uring* ring, unsigned off, const int* files, unsigned nr_files) {
    io_uring_files_update update = {};
    update.offset = off;
    update.fds = uring_ptr_to_u64(files);
    return register_call(*ring, IORING_REGISTER_FILES_UPDATE, &update, nr_files);
}

int io_uring_register_files_update_tag(io_uring* ring, unsigned off, const int* files, const __u64* tags,
                                       unsigned nr_files) {
    return update_table(*ring, IORING_REGISTER_FILES_UPDATE2, off, files, tags, nr_files);
}

int io_uring_unregister_files(io_uring* ring) { return register_call(*ring, IORING_UNREGISTER_FILES, nullptr, 0); }

int io_uring_register_file_alloc_range(io_uring* ring, unsigned off, unsigned len) {
    io_uring_file_index_range range = {};
    range.off = off;
    range.len = len;
    return register_call(*ring, IORING_REGISTER_FILE_ALLOC_RANGE, &range, 0);
}
