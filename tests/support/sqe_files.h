// Entries of operations on names, space, attributes, pipes, futexes and children; see sqe.h.
#pragma once

#include <linux/futex.h>
#include <linux/openat2.h>
#include <signal.h>

#include "support/sqe.h"

namespace ringside::test::sqe {

inline Sqe openat2(int directory, const char* path, const void* how, uint32_t size = sizeof(open_how)) {
    return transfer(IORING_OP_OPENAT2, directory, path, size, address_of(how));
}

// --- Names ----------------------------------------------------------------------------------------------------------

inline Sqe renameat(int from_directory, const char* from, int to_directory, const char* to, uint32_t flags = 0) {
    return transfer(IORING_OP_RENAMEAT, from_directory, from, static_cast<uint32_t>(to_directory), address_of(to))
        .set(&Sqe::rename_flags, flags);
}
inline Sqe unlinkat(int directory, const char* path, uint32_t flags = 0) {
    return transfer(IORING_OP_UNLINKAT, directory, path, 0, 0).set(&Sqe::unlink_flags, flags);
}
inline Sqe mkdirat(int directory, const char* path, uint32_t mode) {
    return transfer(IORING_OP_MKDIRAT, directory, path, mode, 0);
}
inline Sqe symlinkat(const char* target, int directory, const char* path) {
    return transfer(IORING_OP_SYMLINKAT, directory, target, 0, address_of(path));
}
inline Sqe linkat(int from_directory, const char* from, int to_directory, const char* to, uint32_t flags = 0) {
    return transfer(IORING_OP_LINKAT, from_directory, from, static_cast<uint32_t>(to_directory), address_of(to))
        .set(&Sqe::hardlink_flags, flags);
}

// --- Space ----------------------------------------------------------------------------------------------------------

inline Sqe sync_file_range(int fd, uint64_t offset, uint32_t length, uint32_t flags) {
    return transfer(IORING_OP_SYNC_FILE_RANGE, fd, nullptr, length, offset).set(&Sqe::sync_range_flags, flags);
}
inline Sqe fallocate(int fd, int mode, uint64_t offset, uint64_t length) {
    return Sqe(IORING_OP_FALLOCATE, fd).set(&Sqe::len, mode).set(&Sqe::off, offset).set(&Sqe::addr, length);
}
inline Sqe ftruncate(int fd, uint64_t length) { return Sqe(IORING_OP_FTRUNCATE, fd).set(&Sqe::off, length); }
inline Sqe fadvise(int fd, uint64_t offset, uint32_t length, uint32_t advice) {
    return transfer(IORING_OP_FADVISE, fd, nullptr, length, offset).set(&Sqe::fadvise_advice, advice);
}
inline Sqe madvise(const void* address, uint32_t length, uint32_t advice) {
    return transfer(IORING_OP_MADVISE, -1, address, length, 0).set(&Sqe::fadvise_advice, advice);
}

// --- Attributes -----------------------------------------------------------------------------------------------------

inline Sqe attribute(uint8_t opcode, int fd, const char* name, const void* value, uint32_t size, uint32_t flags = 0) {
    return transfer(opcode, fd, name, size, address_of(value)).set(&Sqe::xattr_flags, flags);
}
inline Sqe fsetxattr(int fd, const char* name, const void* value, uint32_t size, uint32_t flags = 0) {
    return attribute(IORING_OP_FSETXATTR, fd, name, value, size, flags);
}
inline Sqe setxattr(const char* path, const char* name, const void* value, uint32_t size, uint32_t flags = 0) {
    return attribute(IORING_OP_SETXATTR, 0, name, value, size, flags).set(&Sqe::addr3, address_of(path));
}
inline Sqe fgetxattr(int fd, const char* name, void* value, uint32_t size) {
    return attribute(IORING_OP_FGETXATTR, fd, name, value, size);
}
inline Sqe getxattr(const char* path, const char* name, void* value, uint32_t size) {
    return attribute(IORING_OP_GETXATTR, 0, name, value, size).set(&Sqe::addr3, address_of(path));
}

// --- Pipes ----------------------------------------------------------------------------------------------------------

inline Sqe splice(int in, uint64_t offset_in, int out, uint64_t offset_out, uint32_t length, uint32_t flags = 0) {
    return Sqe(IORING_OP_SPLICE, out)
        .set(&Sqe::splice_fd_in, in)
        .set(&Sqe::splice_off_in, offset_in)
        .set(&Sqe::off, offset_out)
        .set(&Sqe::len, length)
        .set(&Sqe::splice_flags, flags);
}
inline Sqe tee(int in, int out, uint32_t length, uint32_t flags = 0) {
    return Sqe(IORING_OP_TEE, out).set(&Sqe::splice_fd_in, in).set(&Sqe::len, length).set(&Sqe::splice_flags, flags);
}
inline Sqe pipe(int* ends, uint32_t flags = 0, uint32_t slot = 0) {
    return transfer(IORING_OP_PIPE, 0, ends, 0, 0).set(&Sqe::pipe_flags, flags).set(&Sqe::file_index, slot);
}

// --- Futexes --------------------------------------------------------------------------------------------------------

// Kinds of futexes, as futex_waitv(2) and its relatives name them.
inline constexpr uint32_t futex_32 = 2;
inline constexpr uint32_t futex_private = 128;
inline constexpr uint64_t every_waiter = FUTEX_BITSET_MATCH_ANY;

inline Sqe futex(uint8_t opcode, const void* word, uint64_t value, uint64_t mask, uint32_t kind) {
    return transfer(opcode, static_cast<int>(kind), word, 0, value).set(&Sqe::addr3, mask);
}
inline Sqe futex_wait(const void* word, uint64_t value, uint64_t mask = every_waiter, uint32_t kind = futex_32) {
    return futex(IORING_OP_FUTEX_WAIT, word, value, mask, kind);
}
inline Sqe futex_wake(const void* word, uint64_t count, uint64_t mask = every_waiter, uint32_t kind = futex_32) {
    return futex(IORING_OP_FUTEX_WAKE, word, count, mask, kind);
}
inline Sqe futex_waitv(const ::futex_waitv* futexes, uint32_t count) {
    return transfer(IORING_OP_FUTEX_WAITV, 0, futexes, count, 0);
}

// --- Children -------------------------------------------------------------------------------------------------------

inline Sqe waitid(int which, int id, void* info, int options) {
    return Sqe(IORING_OP_WAITID, id)
        .set(&Sqe::len, which)
        .set(&Sqe::addr2, address_of(info))
        .set(&Sqe::file_index, options);
}

}  // namespace ringside::test::sqe
