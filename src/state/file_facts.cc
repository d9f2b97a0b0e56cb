#include "state/file_facts.h"

#include <fcntl.h>
#include <stdlib.h>

#include "abi/syscall.h"
#include "state/fds.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

// Files whose facts are kept at a time, by the low bits of their descriptors' numbers.
constexpr unsigned places = 256;
constexpr uint32_t batches_until_stale = 256;

bool allocate(KnownFiles& files) {
    files.facts = static_cast<FileFacts*>(malloc(places * sizeof(FileFacts)));
    if (files.facts == nullptr) return false;
    for (unsigned i = 0; i < places; ++i) files.facts[i] = FileFacts{};
    return true;
}

__attribute__((noinline)) void look(FileFacts& facts, int fd, uint32_t batch) {
    if (facts.fd != fd) facts = FileFacts{};
    facts.fd = fd;
    facts.looked_in = batch;
    facts.writes_wait = false;
    const long flags = abi::syscall(__NR_fcntl, fd, F_GETFL);
    // On a pipe the flag means something else.
    facts.direct = flags > 0 && (flags & O_DIRECT) && is_on_disk(fd);
}

}  // namespace

FileFacts* facts_of(Ring& ring, int fd) {
    KnownFiles& files = ring.known_files;
    if (__builtin_expect(files.facts == nullptr, 0) && !allocate(files)) return nullptr;
    FileFacts& facts = files.facts[static_cast<unsigned>(fd) % places];
    const bool stale = facts.fd != fd || ring.batch - facts.looked_in >= batches_until_stale;
    if (__builtin_expect(stale, 0)) look(facts, fd, ring.batch);
    return &facts;
}

void forget_facts(Ring& ring) {
    free(ring.known_files.facts);
    ring.known_files.facts = nullptr;
}

}  // namespace ringside::engine
