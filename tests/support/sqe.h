// Submission queue entries by their raw fields, as the ABI names them. These are the tests' own fillers: liburing's
// prep functions are themselves under test elsewhere.
#pragma once

#include <stdint.h>
#include <sys/uio.h>

#include "liburing/io_uring.h"

namespace ringside::test {

inline uint64_t address_of(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

// An io_uring_sqe whose fields can be set in passing: sqe::nop().data(7).flag(IOSQE_ASYNC).set(&Sqe::ioprio, 1).
struct Sqe : io_uring_sqe {
    Sqe() : io_uring_sqe{} {}
    explicit Sqe(uint8_t operation, int file = -1) : io_uring_sqe{} {
        opcode = operation;
        fd = file;
    }

    Sqe& data(uint64_t value) {
        user_data = value;
        return *this;
    }
    Sqe& flag(unsigned more) {
        flags = static_cast<uint8_t>(flags | more);
        return *this;
    }
    template <typename Field, typename Value>
    Sqe& set(Field io_uring_sqe::* field, Value value) {
        this->*field = static_cast<Field>(value);
        return *this;
    }
};
static_assert(sizeof(Sqe) == sizeof(io_uring_sqe));

namespace sqe {

// The offset that stands for the file position.
inline constexpr uint64_t file_position = ~uint64_t{0};

inline Sqe nop(unsigned nop_flags = 0) { return Sqe(IORING_OP_NOP).set(&Sqe::nop_flags, nop_flags); }

inline Sqe transfer(uint8_t opcode, int fd, const void* address, uint32_t length, uint64_t offset) {
    return Sqe(opcode, fd).set(&Sqe::addr, address_of(address)).set(&Sqe::len, length).set(&Sqe::off, offset);
}
inline Sqe read(int fd, void* buffer, uint32_t length, uint64_t offset = 0) {
    return transfer(IORING_OP_READ, fd, buffer, length, offset);
}
inline Sqe write(int fd, const void* buffer, uint32_t length, uint64_t offset = 0) {
    return transfer(IORING_OP_WRITE, fd, buffer, length, offset);
}
inline Sqe readv(int fd, const iovec* vectors, uint32_t count, uint64_t offset = 0) {
    return transfer(IORING_OP_READV, fd, vectors, count, offset);
}
inline Sqe writev(int fd, const iovec* vectors, uint32_t count, uint64_t offset = 0) {
    return transfer(IORING_OP_WRITEV, fd, vectors, count, offset);
}

inline Sqe fsync(int fd, uint32_t fsync_flags = 0, uint64_t offset = 0, uint32_t length = 0) {
    return transfer(IORING_OP_FSYNC, fd, nullptr, length, offset).set(&Sqe::fsync_flags, fsync_flags);
}
inline Sqe openat(int directory, const char* path, uint32_t open_flags, uint32_t mode = 0) {
    return transfer(IORING_OP_OPENAT, directory, path, mode, 0).set(&Sqe::open_flags, open_flags);
}
inline Sqe close(int fd) { return Sqe(IORING_OP_CLOSE, fd); }
inline Sqe statx(int directory, const char* path, uint32_t statx_flags, uint32_t mask, void* result) {
    return transfer(IORING_OP_STATX, directory, path, mask, address_of(result)).set(&Sqe::statx_flags, statx_flags);
}

inline Sqe poll_add(int fd, uint32_t events, uint32_t poll_flags = 0) {
    return Sqe(IORING_OP_POLL_ADD, fd).set(&Sqe::poll32_events, events).set(&Sqe::len, poll_flags);
}
inline Sqe poll_remove(uint64_t target) { return Sqe(IORING_OP_POLL_REMOVE).set(&Sqe::addr, target); }
inline Sqe poll_update(uint64_t target, uint32_t poll_flags, uint32_t events, uint64_t new_user_data = 0) {
    return poll_remove(target)
        .set(&Sqe::len, poll_flags)
        .set(&Sqe::poll32_events, events)
        .set(&Sqe::off, new_user_data);
}

inline Sqe timeout(const __kernel_timespec* time, uint64_t count = 0, uint32_t timeout_flags = 0) {
    return transfer(IORING_OP_TIMEOUT, -1, time, 1, count).set(&Sqe::timeout_flags, timeout_flags);
}
inline Sqe timeout_remove(uint64_t target) { return Sqe(IORING_OP_TIMEOUT_REMOVE).set(&Sqe::addr, target); }
inline Sqe timeout_update(uint64_t target, const __kernel_timespec* time, uint32_t more_flags = 0) {
    return timeout_remove(target)
        .set(&Sqe::addr2, address_of(time))
        .set(&Sqe::timeout_flags, IORING_TIMEOUT_UPDATE | more_flags);
}

inline Sqe cancel(uint64_t target, uint32_t cancel_flags = 0) {
    return Sqe(IORING_OP_ASYNC_CANCEL).set(&Sqe::addr, target).set(&Sqe::cancel_flags, cancel_flags);
}
inline Sqe cancel_fd(int fd, uint32_t more_flags = 0) {
    return Sqe(IORING_OP_ASYNC_CANCEL, fd).set(&Sqe::cancel_flags, IORING_ASYNC_CANCEL_FD | more_flags);
}

}  // namespace sqe
}  // namespace ringside::test
