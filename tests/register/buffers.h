// Registered and provided buffers as tests make them: each call answers as io_uring_register(2) does.
#pragma once

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <string>
#include <vector>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {

// --- Registered buffers ---------------------------------------------------------------------------------------------

inline iovec vector_of(AlignedBuffer& buffer) { return {buffer.data(), buffer.size()}; }

inline int register_buffers(RawRing& ring, std::vector<iovec> buffers) {
    return ring.register_call(IORING_REGISTER_BUFFERS, buffers.data(), static_cast<unsigned>(buffers.size()));
}

inline int unregister_buffers(RawRing& ring) { return ring.register_call(IORING_UNREGISTER_BUFFERS, nullptr, 0); }

inline int register_sparse_buffers(RawRing& ring, unsigned slots) {
    io_uring_rsrc_register table = {};
    table.nr = slots;
    table.flags = IORING_RSRC_REGISTER_SPARSE;
    return ring.register_call(IORING_REGISTER_BUFFERS2, &table, sizeof(table));
}

inline int register_tagged_buffers(RawRing& ring, std::vector<iovec> buffers, std::vector<uint64_t> tags) {
    io_uring_rsrc_register table = {};
    table.nr = static_cast<unsigned>(buffers.size());
    table.data = address_of(buffers.data());
    table.tags = address_of(tags.data());
    return ring.register_call(IORING_REGISTER_BUFFERS2, &table, sizeof(table));
}

// An empty `tags` stands for none.
inline int update_buffers(RawRing& ring, unsigned offset, std::vector<iovec> buffers, std::vector<uint64_t> tags = {}) {
    io_uring_rsrc_update2 update = {};
    update.offset = offset;
    update.data = address_of(buffers.data());
    update.tags = tags.empty() ? 0 : address_of(tags.data());
    update.nr = static_cast<unsigned>(buffers.size());
    return ring.register_call(IORING_REGISTER_BUFFERS_UPDATE, &update, sizeof(update));
}

inline int clone_buffers(RawRing& to, const RawRing& from, io_uring_clone_buffers wanted = {}) {
    wanted.src_fd = static_cast<uint32_t>(from.fd());
    return to.register_call(IORING_REGISTER_CLONE_BUFFERS, &wanted, 1);
}

// --- Provided buffers -----------------------------------------------------------------------------------------------

// The id in a completion's flags, or -1 if there is none.
inline int buffer_id(const Cqe& cqe) {
    return cqe.flags & IORING_CQE_F_BUFFER ? static_cast<int>(cqe.flags >> IORING_CQE_BUFFER_SHIFT) : -1;
}

// The flags of a completion that gives this buffer back.
inline uint32_t with_buffer(unsigned id, uint32_t more_flags = 0) {
    return IORING_CQE_F_BUFFER | id << IORING_CQE_BUFFER_SHIFT | more_flags;
}

// Memory for `count` buffers of a group, and what was put into them.
class Buffers {
  public:
    Buffers(unsigned count, size_t size) : size_(size), bytes_(count * size, '.') {}
    char* at(unsigned id) { return bytes_.data() + id * size_; }
    uint32_t size() const { return static_cast<uint32_t>(size_); }
    std::string text(unsigned id, size_t length) { return std::string(at(id), length); }

  private:
    size_t size_;
    std::vector<char> bytes_;
};

inline io_uring_buf_reg description_of_ring(void* memory, unsigned entries, unsigned group, unsigned flags = 0) {
    io_uring_buf_reg description = {};
    description.ring_addr = address_of(memory);
    description.ring_entries = entries;
    description.bgid = static_cast<uint16_t>(group);
    description.flags = static_cast<uint16_t>(flags);
    return description;
}

inline int register_ring(RawRing& ring, io_uring_buf_reg description) {
    return ring.register_call(IORING_REGISTER_PBUF_RING, &description, 1);
}

inline int unregister_ring(RawRing& ring, unsigned group) {
    io_uring_buf_reg description = description_of_ring(nullptr, 0, group);
    return ring.register_call(IORING_UNREGISTER_PBUF_RING, &description, 1);
}

// The head that the ring tells, or -errno.
inline int head_of_ring(RawRing& ring, unsigned group) {
    io_uring_buf_status status = {};
    status.buf_group = group;
    const int result = ring.register_call(IORING_REGISTER_PBUF_STATUS, &status, 1);
    return result < 0 ? result : static_cast<int>(status.head);
}

// A buffer ring in memory of the program's, which ends with the object (unless the test has ended it): the memory is
// not to go away while a request may still look for a buffer there.
class BufferRing {
  public:
    BufferRing(RawRing& ring, unsigned entries, unsigned group, unsigned flags = 0, unsigned min_left = 0)
        : ring_(ring), memory_(entries * sizeof(io_uring_buf)), entries_(entries), group_(group) {
        io_uring_buf_reg description = description_of_ring(memory_.data(), entries, group, flags);
        description.min_left = min_left;
        EXPECT_THAT(register_ring(ring, description), Gives(0));
    }
    ~BufferRing() { unregister_ring(ring_, group_); }
    BufferRing(const BufferRing&) = delete;
    BufferRing& operator=(const BufferRing&) = delete;

    io_uring_buf_ring* shared() { return reinterpret_cast<io_uring_buf_ring*>(memory_.data()); }
    io_uring_buf& entry(unsigned at) { return shared()->bufs[at & (entries_ - 1)]; }

    // Provides one more buffer.
    void add(void* address, uint32_t length, unsigned id) {
        io_uring_buf& next = entry(shared()->tail);
        next.addr = address_of(address);
        next.len = length;
        next.bid = static_cast<uint16_t>(id);
        __atomic_store_n(&shared()->tail, static_cast<uint16_t>(shared()->tail + 1), __ATOMIC_RELEASE);
    }
    void add(Buffers& buffers, unsigned id) { add(buffers.at(id), buffers.size(), id); }

  private:
    RawRing& ring_;
    AlignedBuffer memory_;
    unsigned entries_;
    unsigned group_;
};

// --- Entries --------------------------------------------------------------------------------------------------------

namespace sqe {

inline Sqe provide_buffers(void* address, uint32_t length, int count, unsigned group, uint64_t first_id = 0) {
    return transfer(IORING_OP_PROVIDE_BUFFERS, count, address, length, first_id).set(&Sqe::buf_group, group);
}
inline Sqe provide(Buffers& buffers, int count, unsigned group, unsigned first_id = 0) {
    return provide_buffers(buffers.at(first_id), buffers.size(), count, group, first_id);
}
inline Sqe remove_buffers(int count, unsigned group) {
    return Sqe(IORING_OP_REMOVE_BUFFERS, count).set(&Sqe::buf_group, group);
}
inline Sqe selecting(Sqe entry, unsigned group) { return entry.flag(IOSQE_BUFFER_SELECT).set(&Sqe::buf_group, group); }
inline Sqe read_selecting(int fd, unsigned group, uint32_t length = 0, uint64_t offset = 0) {
    return selecting(read(fd, nullptr, length, offset), group);
}
inline Sqe read_multishot(int fd, unsigned group, uint64_t offset = file_position) {
    return selecting(transfer(IORING_OP_READ_MULTISHOT, fd, nullptr, 0, offset), group);
}

inline Sqe in_buffer(uint8_t opcode, int fd, unsigned index, const void* address, uint32_t length, uint64_t offset) {
    return transfer(opcode, fd, address, length, offset).set(&Sqe::buf_index, index);
}
inline Sqe read_fixed(int fd, unsigned index, const void* address, uint32_t length, uint64_t offset = 0) {
    return in_buffer(IORING_OP_READ_FIXED, fd, index, address, length, offset);
}
inline Sqe write_fixed(int fd, unsigned index, const void* address, uint32_t length, uint64_t offset = 0) {
    return in_buffer(IORING_OP_WRITE_FIXED, fd, index, address, length, offset);
}
inline Sqe readv_fixed(int fd, unsigned index, const iovec* vectors, uint32_t count, uint64_t offset = 0) {
    return in_buffer(IORING_OP_READV_FIXED, fd, index, vectors, count, offset);
}
inline Sqe writev_fixed(int fd, unsigned index, const iovec* vectors, uint32_t count, uint64_t offset = 0) {
    return in_buffer(IORING_OP_WRITEV_FIXED, fd, index, vectors, count, offset);
}

}  // namespace sqe
}  // namespace ringside::test
