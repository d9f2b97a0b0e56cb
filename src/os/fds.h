// The engine's own file descriptors. They live at high numbers, out of the way of the program, which expects open(2) to
// return the lowest free one.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

namespace ringside::engine {

// A second descriptor of the same open file, close-on-exec, at a high number. Returns it, or -errno.
int duplicate_high(int fd);

// Moves a descriptor of our own to a high number; where that fails it stays where it is. Returns the number in force;
// passes a negative `fd` (an error) through.
int move_high(int fd);

// fstat(2). Returns 0 or -errno.
int file_status(int fd, struct stat& status);

// Whether a descriptor stands for a file: not where it is none, nor where it only stands for a path (O_PATH).
bool is_file(int fd);

// Whether an open file with these flags (F_GETFL, or an error of that) can be written, or read.
bool has_mode(long file_flags, bool writes);

// The kind of file that a descriptor stands for: S_IFREG and so on; 0 if it is closed.
mode_t kind_of(int fd);

// A file, a directory or a disk: one that is never waited for by polling.
inline bool is_kind_on_disk(mode_t mode) { return S_ISREG(mode) || S_ISBLK(mode) || S_ISDIR(mode); }
bool is_on_disk(int fd);

// Whether two descriptors are the same open file: 1 or 0, or -errno where the kernel does not tell.
int compare_files(int a, int b);

// The same, but if the kernel does not tell, goes by the inode.
bool same_file(int a, int b);

// Makes a sparse file of our own this large. A limit to the size of files is meant for others: within what the process
// may allow itself it does not stop us. Returns 0, or -errno: -EFBIG where the limit is final.
int grow_file(int fd, uint64_t size);

// close(2) without errno and without going through anything a preloaded library interposes.
void close_fd(int fd);

// Closes `fd` if it is one (>= 0) and marks it as none.
void drop_fd(int& fd);

}  // namespace ringside::engine
