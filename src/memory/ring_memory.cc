#include "memory/ring_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <atomic>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "os/fds.h"

namespace ringside::engine {
namespace {

constexpr size_t page = 4096;
constexpr size_t most_sqes_size = size_t{32768} * 128;

size_t round_up(size_t size, size_t step) { return (size + step - 1) / step * step; }

constexpr int no_file = -1;

// The kernel may map a new ring where another thread's ring has been. It orders the two by itself. The language, and
// with it the thread sanitizer, knows that from this.
std::atomic<unsigned> unmapped{0};

void* map_file(int fd, uint64_t offset, size_t size) {
    // As in the kernel, a child of fork shares the memory with its parent.
    const int kind = fd == no_file ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED;
    if (fd == no_file) offset = 0;
    const long address =
        abi::syscall(__NR_mmap, nullptr, size, PROT_READ | PROT_WRITE, kind | MAP_POPULATE, fd, offset);
    unmapped.load(std::memory_order_acquire);
    return address < 0 && address >= -4095 ? nullptr : reinterpret_cast<void*>(address);
}

// A mapping of a file grows or shrinks where it stands in the file. Null when it cannot.
void* remap(void* address, size_t old_size, size_t new_size) {
    const long moved = abi::syscall(__NR_mremap, address, old_size, new_size, MREMAP_MAYMOVE);
    return moved < 0 && moved >= -4095 ? nullptr : reinterpret_cast<void*>(moved);
}

struct Piece {
    void* address;
    size_t from, to;
};

// What grows first, since shrinking, and so going back, cannot fail.
bool resize_all(Piece (&pieces)[3]) {
    for (Piece& piece : pieces) {
        if (piece.to <= piece.from) continue;
        void* moved = remap(piece.address, piece.from, piece.to);
        if (moved == nullptr) {
            for (Piece* back = pieces; back != &piece; ++back) {
                if (back->to > back->from) remap(back->address, back->to, back->from);
            }
            return false;
        }
        piece.address = moved;
    }
    for (const Piece& piece : pieces) {
        if (piece.to < piece.from) remap(piece.address, piece.from, piece.to);
    }
    return true;
}

void unmap(void* address, size_t size) {
    if (address == nullptr) return;
    unmapped.fetch_add(1, std::memory_order_release);
    abi::syscall(__NR_munmap, address, size);
}

void write_constants(SharedHeader& header, const io_uring_params& params) {
    header.sq_mask = params.sq_entries - 1;
    header.cq_mask = params.cq_entries - 1;
    header.sq_entries = params.sq_entries;
    header.cq_entries = params.cq_entries;
}

void point_into(RingMemory& memory, const RingLayout& layout, const io_uring_params& params) {
    auto* base = reinterpret_cast<unsigned char*>(memory.header);
    memory.cq = memory.header;
    memory.cqes = base + cqes_offset;
    if (!(params.flags & IORING_SETUP_NO_SQARRAY)) {
        memory.array = reinterpret_cast<const std::atomic<uint32_t>*>(base + layout.array_offset);
    }
    memory.rings_size = layout.rings_size;
    memory.sqes_size = layout.sqes_size;
    write_constants(*memory.header, params);
}

bool map_regions(int fd, const RingLayout& layout, bool with_mirror, RingMemory& memory) {
    memory.owned = true;
    memory.rings_size = layout.rings_size;
    memory.sqes_size = layout.sqes_size;
    memory.header = static_cast<SharedHeader*>(map_file(fd, IORING_OFF_SQ_RING, layout.rings_size));
    memory.sqes = static_cast<unsigned char*>(map_file(fd, IORING_OFF_SQES, layout.sqes_size));
    if (with_mirror) {
        memory.mirror_mapping = map_file(fd, IORING_OFF_CQ_RING, layout.rings_size);
        memory.mirror = static_cast<SharedHeader*>(memory.mirror_mapping);
    }
    return memory.header != nullptr && memory.sqes != nullptr && (memory.mirror != nullptr || !with_mirror);
}

// What points into a mapping follows where that has moved to.
template <typename T>
void follow(T*& pointer, const void* from, size_t size, void* to) {
    const auto offset = reinterpret_cast<uintptr_t>(pointer) - reinterpret_cast<uintptr_t>(from);
    if (offset < size) pointer = reinterpret_cast<T*>(static_cast<unsigned char*>(to) + offset);
}

// The ring stays as it was, but some of it may have been moved.
void follow_all(RingMemory& memory, const void* rings, const void* mirror) {
    follow(memory.cq, rings, memory.rings_size, memory.header);
    follow(memory.cqes, rings, memory.rings_size, memory.header);
    follow(memory.array, rings, memory.rings_size, memory.header);
    follow(memory.cq, mirror, memory.rings_size, memory.mirror_mapping);
    follow(memory.cqes, mirror, memory.rings_size, memory.mirror_mapping);
    follow(memory.mirror, mirror, memory.rings_size, memory.mirror_mapping);
}

// Which of the two CQ rings the program uses, as far as it is known (path/post.cc).
enum class MirrorUse : uint8_t { unknown, used, unused };

void renew_mirror(RingMemory& memory, const RingLayout& layout, const io_uring_params& params, MirrorUse use) {
    memset(memory.mirror_mapping, 0, layout.rings_size);
    auto* mirror = static_cast<SharedHeader*>(memory.mirror_mapping);
    write_constants(*mirror, params);
    memory.mirror = use == MirrorUse::unknown ? mirror : nullptr;
    if (use != MirrorUse::used) return;
    memory.cq = mirror;
    memory.cqes = reinterpret_cast<unsigned char*>(mirror) + cqes_offset;
}

// Shared memory without a file cannot grow where it is mapped: it is made anew.
int replace_private_memory(const io_uring_params& params, RingMemory& memory) {
    RingMemory fresh;
    const int result = create_private_memory(params, fresh);
    if (result < 0) return result;
    destroy_memory(memory);
    memory = fresh;
    return 0;
}

constexpr uint32_t most_sq_entries = 32768;
constexpr uint32_t most_cq_entries = 2 * most_sq_entries;

uint32_t round_up_to_power_of_two(uint32_t value) { return value <= 1 ? 1 : 1u << (32 - __builtin_clz(value - 1)); }

}  // namespace

RingLayout layout_of(const io_uring_params& params) {
    RingLayout layout = {};
    size_t rings = cqes_offset + sizeof(io_uring_cqe) * params.cq_entries;
    // The kernel doubles the header too when CQEs are double-sized.
    if (params.flags & IORING_SETUP_CQE32) rings *= 2;
    rings = round_up(rings, 64);
    if (!(params.flags & IORING_SETUP_NO_SQARRAY)) {
        layout.array_offset = static_cast<uint32_t>(rings);
        rings += sizeof(uint32_t) * params.sq_entries;
    }
    layout.rings_size = round_up(rings, page);
    const size_t sqe = params.flags & IORING_SETUP_SQE128 ? 2 * sizeof(io_uring_sqe) : sizeof(io_uring_sqe);
    layout.sqes_size = round_up(sqe * params.sq_entries, page);
    return layout;
}

void describe(const RingLayout& layout, io_uring_params& params) {
    const uint64_t sq_address = params.sq_off.user_addr, cq_address = params.cq_off.user_addr;
    params.sq_off = {};
    params.sq_off.head = offsetof(SharedHeader, sq_head);
    params.sq_off.tail = offsetof(SharedHeader, sq_tail);
    params.sq_off.ring_mask = offsetof(SharedHeader, sq_mask);
    params.sq_off.ring_entries = offsetof(SharedHeader, sq_entries);
    params.sq_off.flags = offsetof(SharedHeader, sq_flags);
    params.sq_off.dropped = offsetof(SharedHeader, sq_dropped);
    params.sq_off.array = layout.array_offset;
    params.cq_off = {};
    params.cq_off.head = offsetof(SharedHeader, cq_head);
    params.cq_off.tail = offsetof(SharedHeader, cq_tail);
    params.cq_off.ring_mask = offsetof(SharedHeader, cq_mask);
    params.cq_off.ring_entries = offsetof(SharedHeader, cq_entries);
    params.cq_off.overflow = offsetof(SharedHeader, cq_overflow);
    params.cq_off.flags = offsetof(SharedHeader, cq_flags);
    params.cq_off.cqes = cqes_offset;
    if (params.flags & IORING_SETUP_NO_MMAP) {
        params.sq_off.user_addr = sq_address;
        params.cq_off.user_addr = cq_address;
    }
}

int create_private_memory(const io_uring_params& params, RingMemory& memory) {
    const RingLayout layout = layout_of(params);
    if (!map_regions(no_file, layout, false, memory)) {
        destroy_memory(memory);
        return -ENOMEM;
    }
    point_into(memory, layout, params);
    return 0;
}

int create_memory(const io_uring_params& params, RingMemory& memory) {
    const RingLayout layout = layout_of(params);
    constexpr uint64_t file_size = IORING_OFF_SQES + most_sqes_size;
    const int fd = static_cast<int>(abi::syscall(__NR_memfd_create, "io_uring", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (fd < 0) return fd;
    // Room for the most SQEs there can be: the file is sparse, and the rings may be resized when we have it no more.
    long result = grow_file(fd, file_size);
    // A program that shrank the file would make us fault on our own mapping.
    if (result == 0) result = abi::syscall(__NR_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK);
    if (result == 0 && !map_regions(fd, layout, true, memory)) result = -ENOMEM;
    if (result < 0) {
        destroy_memory(memory);
        close_fd(fd);
        return static_cast<int>(result);
    }
    point_into(memory, layout, params);
    write_constants(*memory.mirror, params);
    return fd;
}

int adopt_memory(const io_uring_params& params, RingMemory& memory) {
    const RingLayout layout = layout_of(params);
    const uint64_t rings = params.cq_off.user_addr, sqes = params.sq_off.user_addr;
    if (rings == 0 || sqes == 0) return -EFAULT;
    if (rings % page != 0 || sqes % page != 0) return -EINVAL;
    // Writing zeroes through the kernel finds out whether the memory is there; the ring starts out empty that way too.
    static const unsigned char zeroes[page] = {};
    for (size_t at = 0; at < layout.rings_size; at += page) {
        if (write_user(rings + at, zeroes, page) < 0) return -EFAULT;
    }
    unsigned char probe;
    for (size_t at = 0; at < layout.sqes_size; at += page) {
        // The program may have prepared entries already, so what is there stays.
        if (read_user(probe, sqes + at) < 0 || write_user(sqes + at, probe) < 0) return -EFAULT;
    }
    memory.header = user_pointer<SharedHeader>(rings);
    memory.sqes = user_pointer<unsigned char>(sqes);
    memory.owned = false;
    point_into(memory, layout, params);
    return 0;
}

int resize_memory(const io_uring_params& params, RingMemory& memory) {
    if (memory.mirror_mapping == nullptr) return replace_private_memory(params, memory);
    const RingLayout layout = layout_of(params);
    Piece pieces[3] = {{memory.header, memory.rings_size, layout.rings_size},
                       {memory.sqes, memory.sqes_size, layout.sqes_size},
                       {memory.mirror_mapping, memory.rings_size, layout.rings_size}};
    const MirrorUse use = memory.mirror != nullptr     ? MirrorUse::unknown
                          : memory.cq != memory.header ? MirrorUse::used
                                                       : MirrorUse::unused;
    const void* const rings_before = memory.header;
    const void* const mirror_before = memory.mirror_mapping;
    const bool resized = resize_all(pieces);
    memory.header = static_cast<SharedHeader*>(pieces[0].address);
    memory.sqes = static_cast<unsigned char*>(pieces[1].address);
    memory.mirror_mapping = pieces[2].address;
    if (!resized) {
        follow_all(memory, rings_before, mirror_before);
        return -ENOMEM;
    }

    memset(pieces[0].address, 0, layout.rings_size);
    memset(pieces[1].address, 0, layout.sqes_size);
    point_into(memory, layout, params);
    renew_mirror(memory, layout, params, use);
    return 0;
}

void destroy_memory(RingMemory& memory) {
    if (memory.owned) {
        unmap(memory.header, memory.rings_size);
        unmap(memory.mirror_mapping, memory.rings_size);
        unmap(memory.sqes, memory.sqes_size);
    }
    memory = {};
}

int size_queues(unsigned entries, io_uring_params& params) {
    const bool clamp = params.flags & IORING_SETUP_CLAMP;
    if (entries == 0) return -EINVAL;
    if (entries > most_sq_entries) {
        if (!clamp) return -EINVAL;
        entries = most_sq_entries;
    }
    params.sq_entries = round_up_to_power_of_two(entries);
    if (!(params.flags & IORING_SETUP_CQSIZE)) {
        params.cq_entries = 2 * params.sq_entries;
        return 0;
    }
    if (params.cq_entries == 0) return -EINVAL;
    if (params.cq_entries > most_cq_entries) {
        if (!clamp) return -EINVAL;
        params.cq_entries = most_cq_entries;
    }
    params.cq_entries = round_up_to_power_of_two(params.cq_entries);
    if (params.cq_entries < params.sq_entries) return -EINVAL;
    // A completion of two slots has to fit.
    return (params.flags & IORING_SETUP_CQE_MIXED) && params.cq_entries < 2 ? -EOVERFLOW : 0;
}

}  // namespace ringside::engine
