// More operations on files and paths. What holds for all operations stands in operations.hpp; the man page of the
// system call of that name has the errors.
#pragma once

#include <fcntl.h>
#include <sys/uio.h>

#include <array>
#include <span>

#include "ringside/operations.hpp"

namespace ringside {

// The two ends of a pipe.
struct PipeEnds {
    Descriptor read_end;
    Descriptor write_end;
};

class [[nodiscard]] PipeOperation : public detail::SettledRequest<PipeOperation> {
  public:
    explicit PipeOperation(int flags) noexcept { io_uring_prep_pipe(&sqe_, nullptr, flags); }

    void settle() noexcept { sqe_.addr = reinterpret_cast<__u64>(fds_.data()); }
    Result<PipeEnds> await_resume() noexcept {
        if (result_ < 0) return Errno{-result_};
        return PipeEnds{Descriptor(fds_[0]), Descriptor(fds_[1])};
    }

  private:
    std::array<int, 2> fds_{-1, -1};
};

namespace async {

// --- Several buffers
// -------------------------------------------------------------------------------------------------------

// Reads into several buffers, one after the other, from `offset` in bytes. Yields how many bytes; 0 at the end of the
// file. `flags` are RWF_.... The iovecs have to live as long as the buffers. preadv2(2).
inline Operation<size_t> readv(FdRef fd, std::span<const iovec> buffers, __u64 offset = current_position,
                               int flags = 0) noexcept {
    return Operation<size_t>([&](io_uring_sqe* sqe) {
        io_uring_prep_readv2(sqe, fd.get(), buffers.data(), static_cast<unsigned>(buffers.size()), offset, flags);
    });
}

// Writes several buffers, one after the other, to `offset` in bytes. Yields how many bytes. `flags` are RWF_.... The
// iovecs have to live as long as the buffers. pwritev2(2).
inline Operation<size_t> writev(FdRef fd, std::span<const iovec> buffers, __u64 offset = current_position,
                                int flags = 0) noexcept {
    return Operation<size_t>([&](io_uring_sqe* sqe) {
        io_uring_prep_writev2(sqe, fd.get(), buffers.data(), static_cast<unsigned>(buffers.size()), offset, flags);
    });
}

// --- Between files
// ---------------------------------------------------------------------------------------------------------

// Moves up to `size` bytes from one file to another, one of which is a pipe, at offsets in bytes; a pipe's is
// current_position. `flags` are SPLICE_F_.... Yields how many bytes; 0 at the end. splice(2).
inline Operation<size_t> splice(FdRef in, __u64 in_offset, FdRef out, __u64 out_offset, size_t size,
                                unsigned flags = 0) noexcept {
    return Operation<size_t>([&](io_uring_sqe* sqe) {
        io_uring_prep_splice(sqe, in.get(), static_cast<int64_t>(in_offset), out.get(),
                             static_cast<int64_t>(out_offset), detail::transfer_length(size), flags);
    });
}

// Copies up to `size` bytes from one pipe to another; they stay in the first. `flags` are SPLICE_F_.... Yields how many
// bytes; 0 if nobody writes to the first any more. tee(2).
inline Operation<size_t> tee(FdRef in, FdRef out, size_t size, unsigned flags = 0) noexcept {
    return Operation<size_t>(
        [&](io_uring_sqe* sqe) { io_uring_prep_tee(sqe, in.get(), out.get(), detail::transfer_length(size), flags); });
}

// Makes a pipe; `flags` are O_DIRECT and such, to which O_CLOEXEC is added. pipe2(2). Linux 6.16; EINVAL before.
inline PipeOperation pipe(int flags = 0) noexcept { return PipeOperation(flags | O_CLOEXEC); }

// --- The space that a file has
// ---------------------------------------------------------------------------------------------

// Gives a file space from `offset` on for `size` bytes, or takes it away; `mode` is FALLOC_FL_.... fallocate(2).
inline Operation<void> fallocate(FdRef fd, int mode, __u64 offset, __u64 size) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) { io_uring_prep_fallocate(sqe, fd.get(), mode, offset, size); });
}

// Makes a file that long, in bytes. ftruncate(2). Linux 6.9; EINVAL before.
inline Operation<void> ftruncate(FdRef fd, __u64 size) noexcept {
    return Operation<void>(
        [&](io_uring_sqe* sqe) { io_uring_prep_ftruncate(sqe, fd.get(), static_cast<int64_t>(size)); });
}

// Writes `size` bytes from `offset` on to the disk, all that follows if it is 0, as `flags`, SYNC_FILE_RANGE_..., say.
// The file's metadata is not written: fsync() is for safety. sync_file_range(2).
inline Operation<void> sync_file_range(FdRef fd, __u64 offset, unsigned size, int flags) noexcept {
    return Operation<void>(
        [&](io_uring_sqe* sqe) { io_uring_prep_sync_file_range(sqe, fd.get(), size, offset, flags); });
}

// Announces how `size` bytes from `offset` on will be read, all that follows if it is 0; `advice` is POSIX_FADV_....
// posix_fadvise(2).
inline Operation<void> fadvise(FdRef fd, __u64 offset, unsigned size, int advice) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) { io_uring_prep_fadvise(sqe, fd.get(), offset, size, advice); });
}

// The same for memory; `advice` is MADV_..., and the memory begins at a page. madvise(2).
inline Operation<void> madvise(std::span<std::byte> memory, int advice) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) {
        io_uring_prep_madvise(sqe, memory.data(), static_cast<unsigned>(memory.size()), advice);
    });
}

// --- Paths. One that does not begin with / starts at the directory before it, AT_FDCWD being the process's own.
// ------------

// Opens a file as `how` tells, to whose flags O_CLOEXEC should belong. openat2(2).
inline Operation<Descriptor> openat2(FdRef directory, const char* path, const open_how& how) noexcept {
    return Operation<Descriptor>([&](io_uring_sqe* sqe) { io_uring_prep_openat2(sqe, directory.get(), path, &how); });
}

// Gives a file another path, and takes the place of one that has it; `flags` are RENAME_.... renameat2(2).
inline Operation<void> renameat(FdRef from_directory, const char* from, FdRef to_directory, const char* to,
                                unsigned flags = 0) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) {
        io_uring_prep_renameat(sqe, from_directory.get(), from, to_directory.get(), to, flags);
    });
}

// Removes a file, or with AT_REMOVEDIR as `flags` an empty directory. unlinkat(2).
inline Operation<void> unlinkat(FdRef directory, const char* path, int flags = 0) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) { io_uring_prep_unlinkat(sqe, directory.get(), path, flags); });
}

// Makes a directory. mkdirat(2).
inline Operation<void> mkdirat(FdRef directory, const char* path, mode_t mode) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) { io_uring_prep_mkdirat(sqe, directory.get(), path, mode); });
}

// Makes `path` a symbolic link that says `target`. symlinkat(2).
inline Operation<void> symlinkat(const char* target, FdRef directory, const char* path) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) { io_uring_prep_symlinkat(sqe, target, directory.get(), path); });
}

// Gives a file a further path; `flags` are AT_SYMLINK_FOLLOW or AT_EMPTY_PATH. linkat(2).
inline Operation<void> linkat(FdRef from_directory, const char* from, FdRef to_directory, const char* to,
                              int flags = 0) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) {
        io_uring_prep_linkat(sqe, from_directory.get(), from, to_directory.get(), to, flags);
    });
}

// --- Extended attributes
// ---------------------------------------------------------------------------------------------------

// Reads an attribute. Yields its length in bytes; into an empty buffer it tells that alone. ERANGE if the buffer is too
// small, ENODATA if there is no such attribute. getxattr(2).
inline Operation<size_t> getxattr(const char* path, const char* name, std::span<std::byte> value) noexcept {
    return Operation<size_t>([&](io_uring_sqe* sqe) {
        io_uring_prep_getxattr(sqe, name, reinterpret_cast<char*>(value.data()), path,
                               static_cast<unsigned>(value.size()));
    });
}
inline Operation<size_t> fgetxattr(FdRef fd, const char* name, std::span<std::byte> value) noexcept {
    return Operation<size_t>([&](io_uring_sqe* sqe) {
        io_uring_prep_fgetxattr(sqe, fd.get(), name, reinterpret_cast<char*>(value.data()),
                                static_cast<unsigned>(value.size()));
    });
}

// Sets an attribute; `flags` are XATTR_CREATE or XATTR_REPLACE. setxattr(2).
inline Operation<void> setxattr(const char* path, const char* name, std::span<const std::byte> value,
                                int flags = 0) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) {
        io_uring_prep_setxattr(sqe, name, reinterpret_cast<const char*>(value.data()), path, flags,
                               static_cast<unsigned>(value.size()));
    });
}
inline Operation<void> fsetxattr(FdRef fd, const char* name, std::span<const std::byte> value, int flags = 0) noexcept {
    return Operation<void>([&](io_uring_sqe* sqe) {
        io_uring_prep_fsetxattr(sqe, fd.get(), name, reinterpret_cast<const char*>(value.data()), flags,
                                static_cast<unsigned>(value.size()));
    });
}

}  // namespace async

}  // namespace ringside
