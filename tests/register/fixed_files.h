// Registered files as tests fill them: each call answers as io_uring_register(2) does.
#pragma once

#include <sys/ioctl.h>
#include <unistd.h>

#include <vector>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {

inline int register_files(RawRing& ring, std::vector<int> fds) {
    return ring.register_call(IORING_REGISTER_FILES, fds.data(), static_cast<unsigned>(fds.size()));
}

inline int unregister_files(RawRing& ring) { return ring.register_call(IORING_UNREGISTER_FILES, nullptr, 0); }

inline int register_sparse(RawRing& ring, unsigned slots) {
    io_uring_rsrc_register table = {};
    table.nr = slots;
    table.flags = IORING_RSRC_REGISTER_SPARSE;
    return ring.register_call(IORING_REGISTER_FILES2, &table, sizeof(table));
}

inline int register_tagged(RawRing& ring, std::vector<int> fds, std::vector<uint64_t> tags) {
    io_uring_rsrc_register table = {};
    table.nr = static_cast<unsigned>(fds.size());
    table.data = address_of(fds.data());
    table.tags = address_of(tags.data());
    return ring.register_call(IORING_REGISTER_FILES2, &table, sizeof(table));
}

inline int update_files(RawRing& ring, unsigned offset, std::vector<int> fds) {
    io_uring_files_update update = {};
    update.offset = offset;
    update.fds = address_of(fds.data());
    return ring.register_call(IORING_REGISTER_FILES_UPDATE, &update, static_cast<unsigned>(fds.size()));
}

inline int update_tagged(RawRing& ring, unsigned offset, std::vector<int> fds, std::vector<uint64_t> tags) {
    io_uring_rsrc_update2 update = {};
    update.offset = offset;
    update.data = address_of(fds.data());
    update.tags = address_of(tags.data());
    update.nr = static_cast<unsigned>(fds.size());
    return ring.register_call(IORING_REGISTER_FILES_UPDATE2, &update, sizeof(update));
}

inline int set_allocation_range(RawRing& ring, unsigned offset, unsigned length) {
    io_uring_file_index_range range = {};
    range.off = offset;
    range.len = length;
    return ring.register_call(IORING_REGISTER_FILE_ALLOC_RANGE, &range, 0);
}

namespace sqe {

// The same entry on a slot instead of a descriptor.
inline Sqe fixed(Sqe entry) { return entry.flag(IOSQE_FIXED_FILE); }

inline Sqe files_update(int* fds, unsigned count, unsigned offset) {
    return transfer(IORING_OP_FILES_UPDATE, -1, fds, count, offset);
}
inline Sqe fixed_fd_install(int slot, unsigned install_flags = 0) {
    return fixed(Sqe(IORING_OP_FIXED_FD_INSTALL, slot).set(&Sqe::install_fd_flags, install_flags));
}
inline Sqe close_direct(unsigned slot) { return Sqe(IORING_OP_CLOSE, 0).set(&Sqe::file_index, slot + 1); }
inline Sqe open_direct(const char* path, uint32_t open_flags, unsigned file_index) {
    return openat(-100, path, open_flags).set(&Sqe::file_index, file_index);
}

}  // namespace sqe

// The first byte that a slot's file gives, or what else the read gives.
inline int first_byte(RawRing& ring, unsigned slot) {
    char byte = 0;
    const Cqe cqe = ring.run(sqe::fixed(sqe::read(static_cast<int>(slot), &byte, 1)));
    return cqe.res == 1 ? byte : cqe.res;
}

// Whether every copy of a pipe's write end is closed, which its read end tells.
inline bool is_hung_up(const Pipe& pipe) {
    char byte;
    return read(pipe.read_end, &byte, 1) == 0;
}

// How much lies in a pipe or a socket.
inline int bytes_to_read(int fd) {
    int count = -1;
    EXPECT_EQ(ioctl(fd, FIONREAD, &count), 0);
    return count;
}

}  // namespace ringside::test
