#include "resource/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "abi/syscall.h"
#include "os/fds.h"
#include "process/registry.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

void* map_pages(size_t size, int flags, int fd, uint64_t offset) {
    const long result = abi::syscall(__NR_mmap, nullptr, size, PROT_READ | PROT_WRITE, flags, fd, offset);
    const bool failed = result < 0 && result >= -4095;
    return failed ? nullptr : reinterpret_cast<void*>(result);
}

void* map_into_file(const Ring& ring, uint64_t offset, size_t size) {
    const int fd = duplicate_descriptor_of(ring);
    if (fd < 0) return nullptr;
    struct stat status;
    long result = file_status(fd, status);
    const auto end = static_cast<off_t>(offset + size);
    if (result == 0 && status.st_size < end) result = grow_file(fd, static_cast<uint64_t>(end));
    // A program that shrank the file would make us fault on our own mapping.
    if (result == 0) result = abi::syscall(__NR_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK);
    void* address = result == 0 ? map_pages(size, MAP_SHARED | MAP_POPULATE, fd, offset) : nullptr;
    close_fd(fd);
    return address;
}

// What comes to this offset next begins with empty pages.
void release_file_pages(const Ring& ring, uint64_t offset, size_t size) {
    const int fd = duplicate_descriptor_of(ring);
    if (fd < 0) return;
    abi::syscall(__NR_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size);
    close_fd(fd);
}

}  // namespace

void* make_shared_memory(const Ring& ring, uint64_t offset, size_t size) {
    return ring.face == Face::mappable ? map_into_file(ring, offset, size)
                                       : map_pages(size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

void free_shared_memory(const Ring& ring, uint64_t offset, void* memory, size_t size) {
    abi::syscall(__NR_munmap, memory, size);
    if (ring.face == Face::mappable && !ring.closing) release_file_pages(ring, offset, size);
}

}  // namespace ringside::engine
