// The simulated files and sockets, and what requests do to them. Not to be included by itself.
#pragma once

#include <sys/stat.h>

#include "ringside/testing/simulation.hpp"

namespace ringside::testing::detail {

inline const char* opcode_name(unsigned opcode) noexcept;
inline std::string name_of(const Op& op);
inline bool is_input(unsigned opcode) noexcept;
inline bool is_transfer(unsigned opcode) noexcept;
inline bool is_multishot(const io_uring_sqe& sqe) noexcept;
inline bool waits_for_all(const io_uring_sqe& sqe) noexcept;
inline std::vector<iovec> parts_of(const io_uring_sqe& sqe);
inline size_t size_of(const std::vector<iovec>& parts) noexcept;

// --- Descriptors
// -----------------------------------------------------------------------------------------------------------

inline int World::add(FilePointer file) {
    files_[next_fd_] = std::move(file);
    return next_fd_++;
}

inline FilePointer World::find(int fd) const {
    const auto found = files_.find(fd);
    return found == files_.end() ? nullptr : found->second;
}

inline std::pair<int, int> World::pair() {
    auto one = std::make_shared<File>(File::Kind::stream), two = std::make_shared<File>(File::Kind::stream);
    one->peer = two;
    two->peer = one;
    const int first = add(std::move(one));
    return {first, add(std::move(two))};
}

inline FilePointer World::listener(unsigned port, bool make) {
    for (const auto& [fd, file] : files_) {
        if (file->kind == File::Kind::listener && file->port == port) return file;
    }
    if (!make) return nullptr;
    auto made = std::make_shared<File>(File::Kind::listener);
    made->port = port;
    return made;
}

// A connection to a listener, or -ECONNREFUSED.
inline int World::connect(unsigned port) {
    const FilePointer to = listener(port, false);
    if (to == nullptr) return -ECONNREFUSED;
    auto mine = std::make_shared<File>(File::Kind::stream), theirs = std::make_shared<File>(File::Kind::stream);
    mine->peer = theirs;
    theirs->peer = mine;
    to->waiting.push_back(std::move(theirs));
    return add(std::move(mine));
}

// --- Readiness
// -------------------------------------------------------------------------------------------------------------

inline size_t World::space(const File& file) const {
    const FilePointer reader = file.peer.lock();
    if (reader == nullptr) return 0;
    return faults_.capacity - std::min(faults_.capacity, reader->bytes.size());
}

inline unsigned World::events(const File& file) const {
    unsigned events = 0;
    if (file.kind == File::Kind::regular) return POLLIN | POLLOUT;
    if (!file.bytes.empty() || file.end || !file.waiting.empty()) events |= POLLIN;
    if (file.kind == File::Kind::stream && file.writes && (file.gone || space(file) > 0)) events |= POLLOUT;
    if (file.gone) events |= POLLHUP;
    return events;
}

inline bool World::ready(const Op& op) const {
    if (op.file == nullptr || op.notified) return true;
    const bool pollable = op.file->kind == File::Kind::stream || op.file->kind == File::Kind::listener;
    if (op.sqe.opcode == IORING_OP_POLL_ADD) {
        return (events(*op.file) & (op.sqe.poll32_events | POLLHUP | POLLERR)) != 0;
    }
    if (!pollable) return true;
    if (op.sqe.opcode == IORING_OP_ACCEPT) return !op.file->waiting.empty();
    if (is_input(op.sqe.opcode)) return !op.file->bytes.empty() || op.file->end;
    if (is_transfer(op.sqe.opcode)) return !op.file->writes || op.file->gone || space(*op.file) > 0;
    return true;
}

// --- Transfers
// -------------------------------------------------------------------------------------------------------------

inline World::Done World::transfer(Op& op) {
    const bool in = is_input(op.sqe.opcode);
    if (op.notified) return {0, IORING_CQE_F_NOTIF};
    if (op.file == nullptr || !(in ? op.file->reads : op.file->writes)) return {in ? -EBADF : -EPIPE};
    if (op.file->kind != File::Kind::stream && op.file->kind != File::Kind::regular) return {-ENOTCONN};
    if (!in && op.file->kind == File::Kind::stream && op.file->gone)
        return {op.done != 0 ? static_cast<int>(op.done) : -EPIPE};
    std::vector<iovec> parts = parts_of(op.sqe);
    unsigned flags = 0;
    if ((op.sqe.flags & IOSQE_BUFFER_SELECT) != 0) {
        if (op.file->kind == File::Kind::stream && op.file->bytes.empty()) return {0};
        parts.resize(1);
        if (const int error = take_buffer(op, parts[0], flags); error != 0) return {error};
    }
    size_t most = size_of(parts) - op.done;
    if (faults_.short_transfers && most > 1 && decisions_.rarely(30) != 0) {
        most = 1 + decisions_.one_of(static_cast<unsigned>(std::min<size_t>(most - 1, 4096)));
    }
    const int moved = move(op, parts, most);
    if (!waits_for_all(op.sqe) && op.sqe.opcode != IORING_OP_SEND_ZC) return {moved, flags};
    op.done += static_cast<unsigned>(moved);
    if (waits_for_all(op.sqe) && moved != 0 && op.done < size_of(parts)) return {would_wait};
    if (op.sqe.opcode != IORING_OP_SEND_ZC) return {static_cast<int>(op.done)};
    op.notified = true;
    return {static_cast<int>(op.done), 0, true};
}

// Up to `most` bytes between the file and the parts of memory, of which op.done are done.
inline int World::move(Op& op, const std::vector<iovec>& parts, size_t most) {
    const bool in = is_input(op.sqe.opcode);
    File& file = *op.file;
    const FilePointer peer = file.peer.lock();
    const bool stream = file.kind == File::Kind::stream;
    std::string& bytes = stream && !in ? peer->bytes : file.bytes;
    const bool own_position = op.sqe.off == async::current_position || op.sqe.opcode == IORING_OP_RECV || stream;
    std::uint64_t position = stream ? 0 : own_position ? file.position : op.sqe.off;
    if (in) most = std::min<size_t>(most, bytes.size() - std::min<size_t>(bytes.size(), position));
    else if (stream) most = std::min(most, space(file));
    size_t moved = 0, skip = op.done;
    for (const iovec& part : parts) {
        const size_t skipped = std::min(skip, part.iov_len);
        skip -= skipped;
        const size_t size = std::min(part.iov_len - skipped, most - moved);
        char* const memory = static_cast<char*>(part.iov_base) + skipped;
        if (in) {
            std::memcpy(memory, bytes.data() + position + moved, size);
        } else if (stream) {
            bytes.append(memory, size);
        } else {
            if (bytes.size() < position + moved + size) bytes.resize(position + moved + size);
            std::memcpy(bytes.data() + position + moved, memory, size);
        }
        moved += size;
    }
    if (stream && in) bytes.erase(0, moved);
    if (!stream && own_position) file.position += moved;
    return static_cast<int>(moved);
}

inline int World::register_buffers(const io_uring_buf_reg& registration) noexcept {
    auto* const ring = reinterpret_cast<io_uring_buf_ring*>(registration.ring_addr);
    return pools_.try_emplace(registration.bgid, PoolRing{ring, registration.ring_entries}).second ? 0 : -EEXIST;
}

inline int World::take_buffer(const Op& op, iovec& part, unsigned& flags) {
    const auto found = pools_.find(op.sqe.buf_group);
    if (found == pools_.end()) return -ENOBUFS;
    PoolRing& pool = found->second;
    if (pool.head == pool.ring->tail || (faults_.errors && decisions_.rarely(5) != 0)) return -ENOBUFS;
    const io_uring_buf& buffer = pool.ring->bufs[pool.head++ & (pool.count - 1)];
    part = {reinterpret_cast<void*>(buffer.addr), buffer.len};
    flags = IORING_CQE_F_BUFFER | static_cast<unsigned>(buffer.bid) << IORING_CQE_BUFFER_SHIFT;
    return 0;
}

// --- Everything else
// -------------------------------------------------------------------------------------------------------

inline World::Done World::perform(Op& op) {
    if (is_transfer(op.sqe.opcode)) return transfer(op);
    switch (op.sqe.opcode) {
        case IORING_OP_TIMEOUT:
            return {-ETIME};
        case IORING_OP_POLL_ADD:
            if (op.file == nullptr) return {-EBADF};
            return {static_cast<int>(events(*op.file) & (op.sqe.poll32_events | POLLHUP | POLLERR))};
        case IORING_OP_ACCEPT: {
            if (op.file == nullptr) return {-EBADF};
            if (op.file->kind != File::Kind::listener) return {-EINVAL};
            FilePointer connection = std::move(op.file->waiting.front());
            op.file->waiting.pop_front();
            return {add(std::move(connection))};
        }
        default:
            return {carry_out(op)};
    }
}

inline int World::carry_out(Op& op) {
    const io_uring_sqe& sqe = op.sqe;
    const auto* const path = reinterpret_cast<const char*>(sqe.addr);
    switch (sqe.opcode) {
        case IORING_OP_NOP:
        case IORING_OP_FADVISE:
        case IORING_OP_MADVISE:
            return 0;
        case IORING_OP_CLOSE:
            return files_.erase(sqe.fd) != 0 ? 0 : -EBADF;
        case IORING_OP_OPENAT:
            return open(op);
        case IORING_OP_STATX:
            return status(op);
        case IORING_OP_UNLINKAT:
            return paths_.erase(path) != 0 ? 0 : -ENOENT;
        case IORING_OP_RENAMEAT: {
            const auto found = paths_.find(path);
            if (found == paths_.end()) return -ENOENT;
            const FilePointer file = found->second;
            paths_.erase(found);
            paths_[reinterpret_cast<const char*>(sqe.addr2)] = file;
            return 0;
        }
        case IORING_OP_SOCKET:
            return add(std::make_shared<File>(File::Kind::unbound));
        case IORING_OP_PIPE:
            return make_pipe(op);
        default:
            break;
    }
    if (op.file == nullptr) return -EBADF;
    switch (sqe.opcode) {
        case IORING_OP_FSYNC:
        case IORING_OP_SYNC_FILE_RANGE:
            return 0;
        case IORING_OP_FTRUNCATE:
            op.file->bytes.resize(sqe.off);
            return 0;
        case IORING_OP_FALLOCATE:
            op.file->bytes.resize(std::max<size_t>(op.file->bytes.size(), sqe.off + sqe.addr));
            return 0;
        case IORING_OP_SHUTDOWN:
            return shut_down(op);
        case IORING_OP_CONNECT:
            return connect(op);
        case IORING_OP_BIND:
            op.file->port = ntohs(reinterpret_cast<const sockaddr_in*>(sqe.addr)->sin_port);
            if (op.file->port == 0) op.file->port = next_port_++;
            return listener(op.file->port, false) == nullptr ? 0 : -EADDRINUSE;
        case IORING_OP_LISTEN:
            op.file->kind = File::Kind::listener;
            return 0;
        default:
            fail("operation " + std::to_string(sqe.opcode) + " is not simulated");
            return -EOPNOTSUPP;
    }
}

inline int World::open(const Op& op) {
    const auto* const path = reinterpret_cast<const char*>(op.sqe.addr);
    const int flags = static_cast<int>(op.sqe.open_flags);
    const auto found = paths_.find(path);
    if (found == paths_.end() && (flags & O_CREAT) == 0) return -ENOENT;
    if (found != paths_.end() && (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0) return -EEXIST;
    FilePointer& file = paths_[path];
    if (file == nullptr) file = std::make_shared<File>(File::Kind::regular);
    if ((flags & O_TRUNC) != 0) file->bytes.clear();
    file->position = 0;
    return add(file);
}

inline int World::status(const Op& op) {
    const auto* const path = reinterpret_cast<const char*>(op.sqe.addr);
    const auto found = paths_.find(path);
    const FilePointer file = found != paths_.end() ? found->second : *path == '\0' ? op.file : nullptr;
    if (file == nullptr) return -ENOENT;
    auto& status = *reinterpret_cast<struct ::statx*>(op.sqe.off);
    status.stx_mask = STATX_SIZE | STATX_TYPE | STATX_MODE;
    status.stx_size = file->bytes.size();
    status.stx_mode = file->kind == File::Kind::regular ? S_IFREG | 0600 : S_IFSOCK | 0600;
    return 0;
}

inline int World::make_pipe(const Op& op) {
    auto* const fds = reinterpret_cast<int*>(op.sqe.addr);
    std::tie(fds[0], fds[1]) = pair();
    find(fds[0])->writes = false;
    find(fds[1])->reads = false;
    return 0;
}

inline int World::shut_down(const Op& op) {
    if (op.file->kind != File::Kind::stream) return -ENOTCONN;
    if (op.sqe.len != SHUT_WR) op.file->end = true;
    const FilePointer peer = op.file->peer.lock();
    if (op.sqe.len == SHUT_RD) return 0;
    op.file->writes = false;
    if (peer != nullptr) peer->end = true;
    return 0;
}

inline int World::connect(Op& op) {
    if (op.file->kind != File::Kind::unbound) return -EISCONN;
    const FilePointer to = listener(ntohs(reinterpret_cast<const sockaddr_in*>(op.sqe.addr)->sin_port), false);
    if (to == nullptr) return -ECONNREFUSED;
    auto theirs = std::make_shared<File>(File::Kind::stream);
    theirs->peer = op.file;
    op.file->peer = theirs;
    op.file->kind = File::Kind::stream;
    to->waiting.push_back(std::move(theirs));
    return 0;
}

}  // namespace ringside::testing::detail
