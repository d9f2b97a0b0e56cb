#include "preload/translated_poll.h"

#include <sys/mman.h>

#include "preload/rings.h"

namespace ringside::preload {

TranslatedPoll::TranslatedPoll(nfds_t count) {
    if (count <= small) return;
    mapped_ = count * sizeof(pollfd);
    void* memory = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    entries_ = memory == MAP_FAILED ? nullptr : static_cast<pollfd*>(memory);
}

TranslatedPoll::~TranslatedPoll() {
    if (entries_ != nullptr && entries_ != on_stack_) munmap(entries_, mapped_);
}

bool TranslatedPoll::needed(const pollfd* entries, nfds_t count) {
    // More entries than a process can have descriptors are an error for the kernel to name.
    constexpr nfds_t most = 1U << 20;
    if (!may_have_rings() || entries == nullptr || count > most) return false;
    for (nfds_t i = 0; i < count; ++i) {
        if (entries[i].fd >= 0 && find_own_ring(entries[i].fd) != nullptr) return true;
    }
    return false;
}

void TranslatedPoll::load(const pollfd* program, nfds_t count) {
    for (nfds_t i = 0; i < count; ++i) entries_[i] = {pollable(program[i].fd), program[i].events, 0};
}

void TranslatedPoll::store_answers(pollfd* program, nfds_t count) const {
    for (nfds_t i = 0; i < count; ++i) program[i].revents = entries_[i].revents;
}

int pollable(int fd) {
    engine::Ring* ring = own_ring(fd);
    return ring != nullptr ? engine::readiness_fd(*ring) : fd;
}

}  // namespace ringside::preload
