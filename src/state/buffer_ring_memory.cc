#include "state/buffer_ring_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "abi/syscall.h"
#include "state/fds.h"
#include "state/registry.h"
#include "state/ring.h"
#include "state/user_memory.h"

namespace ringside::engine {
namespace {

constexpr size_t page = 4096;

uint64_t offset_of(unsigned id) { return IORING_OFF_PBUF_RING | uint64_t{id} << IORING_OFF_PBUF_SHIFT; }

size_t size_for(const io_uring_buf_reg& wanted) {
    const size_t size = wanted.ring_entries * sizeof(io_uring_buf);
    return (size + page - 1) / page * page;
}

void* mapping(long result) {
    const bool failed = result < 0 && result >= -4095;
    return failed ? nullptr : reinterpret_cast<void*>(result);
}

void* map_pages(size_t size, int flags, int fd, uint64_t offset) {
    return mapping(abi::syscall(__NR_mmap, nullptr, size, PROT_READ | PROT_WRITE, flags, fd, offset));
}

// A program that maps its rings itself does so through the ring's descriptor, a file that holds them at the offsets of
// the ABI. It grows as far as is needed.
void* map_into_file(const Ring& ring, uint64_t offset, size_t size) {
    const int fd = duplicate_descriptor_of(ring);
    if (fd < 0) return nullptr;
    struct stat status;
    long result = fstat(fd, &status);
    const auto end = static_cast<off_t>(offset + size);
    if (result == 0 && status.st_size < end) result = abi::syscall(__NR_ftruncate, fd, end);
    void* address = result == 0 ? map_pages(size, MAP_SHARED | MAP_POPULATE, fd, offset) : nullptr;
    close_fd(fd);
    return address;
}

// The next buffer ring at this offset begins with empty pages.
void release_file_pages(const Ring& ring, uint64_t offset, size_t size) {
    const int fd = duplicate_descriptor_of(ring);
    if (fd < 0) return;
    abi::syscall(__NR_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, size);
    close_fd(fd);
}

int map_own(Ring& ring, const io_uring_buf_reg& wanted, BufferRingMemory& memory) {
    void* address = ring.face == Face::mappable
                        ? map_into_file(ring, offset_of(wanted.bgid), memory.size)
                        : map_pages(memory.size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (address == nullptr) return -ENOMEM;
    memory.shared = static_cast<io_uring_buf_ring*>(address);
    memory.owned = true;
    return 0;
}

int adopt(const io_uring_buf_reg& wanted, BufferRingMemory& memory) {
    if (wanted.ring_addr == 0) return -EFAULT;
    if (wanted.ring_addr % page != 0) return -EINVAL;
    const int result = make_present(wanted.ring_addr, memory.size);
    if (result < 0) return result;
    memory.shared = user_pointer<io_uring_buf_ring>(wanted.ring_addr);
    return 0;
}

}  // namespace

int open_buffer_ring_memory(Ring& ring, const io_uring_buf_reg& wanted, BufferRingMemory& memory) {
    memory = {nullptr, size_for(wanted), false};
    return wanted.flags & IOU_PBUF_RING_MMAP ? map_own(ring, wanted, memory) : adopt(wanted, memory);
}

void close_buffer_ring_memory(Ring& ring, unsigned id, BufferRingMemory& memory) {
    if (memory.owned) {
        abi::syscall(__NR_munmap, memory.shared, memory.size);
        if (ring.face == Face::mappable && !ring.closing) release_file_pages(ring, offset_of(id), memory.size);
    }
    memory = {};
}

}  // namespace ringside::engine
