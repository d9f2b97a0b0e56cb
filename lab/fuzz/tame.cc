#include "fuzz/tame.h"

#include <unistd.h>

#include <cstring>

#include "fuzz/arena.h"
#include "fuzz/confinement.h"

namespace ringside::fuzz {
namespace {

constexpr int usual_fds = 61;

void tame_words(std::span<std::byte> bytes) {
    for (size_t at = 0; at + sizeof(uint64_t) <= bytes.size(); at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes.data() + at, sizeof(word));
        word = arena::tame(word);
        memcpy(bytes.data() + at, &word, sizeof(word));
    }
}

// The descriptors of the engine may be polled, which takes nothing from it.
bool keeps_fd(const io_uring_sqe& sqe) {
    const bool engines = sqe.fd >= engines_first_fd && sqe.fd < descriptor_limit;
    return engines && sqe.opcode == IORING_OP_POLL_ADD;
}

}  // namespace

int tame_fd(int fd) {
    // 0 is what fields have that are not used.
    if (fd <= 0) return fd;
    return fd > STDERR_FILENO && fd < engines_first_fd ? fd : 3 + fd % usual_fds;
}

void tame_entry(std::span<std::byte> entry) {
    io_uring_sqe sqe;
    memcpy(&sqe, entry.data(), sizeof(sqe));
    if (!keeps_fd(sqe)) sqe.fd = tame_fd(sqe.fd);
    if (sqe.opcode == IORING_OP_SPLICE || sqe.opcode == IORING_OP_TEE) sqe.splice_fd_in = tame_fd(sqe.splice_fd_in);
    sqe.off = arena::tame(sqe.off);
    sqe.addr = arena::tame(sqe.addr);
    sqe.addr3 = arena::tame(sqe.addr3);
    sqe.__pad2[0] = arena::tame(sqe.__pad2[0]);
    memcpy(entry.data(), &sqe, sizeof(sqe));
    tame_words(entry.subspan(sizeof(sqe)));
}

void tame_descriptors(std::span<std::byte> bytes) {
    for (size_t at = 0; at + sizeof(int) <= bytes.size(); at += sizeof(int)) {
        int fd;
        memcpy(&fd, bytes.data() + at, sizeof(fd));
        fd = tame_fd(fd);
        memcpy(bytes.data() + at, &fd, sizeof(fd));
    }
}

}  // namespace ringside::fuzz
