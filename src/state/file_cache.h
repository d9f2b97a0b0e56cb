// Which files are wholly in memory, so that reading them takes a plain call and no time but its own. A read with
// RWF_NOWAIT never waits either, but costs a fifth more.
//
// Nothing can promise that a page is still there a moment later, so this is asked again and again, and each batch first
// reads with RWF_NOWAIT: a file that has left memory is noticed there, and until then costs a read of the disk.
//
// Guarded by the ring's lock.
#pragma once

#include "state/file_facts.h"

namespace ringside::engine {

// Whether this batch may read the file with the plain call.
inline bool is_in_memory(const KnownFiles& files, int fd, uint32_t batch) {
    if (files.facts == nullptr) return false;
    const FileFacts& facts = files.facts[static_cast<unsigned>(fd) % files_known_at_once];
    return facts.cached_in == batch && facts.fd == fd;
}

void look_whether_cached(FileFacts& facts, uint32_t batch);

// A read with RWF_NOWAIT did not have to wait: a batch that reads a file more than once has it looked at, and one that
// was found to be in memory before is believed to be there still.
inline void note_read_at_once(FileFacts& facts, uint32_t batch) {
    if (facts.read_in != batch) {
        facts.read_in = batch;
        facts.reads = 0;
    }
    const uint32_t enough = facts.cached_until_ns != 0 ? 1 : 2;
    if (++facts.reads == enough) look_whether_cached(facts, batch);
}

}  // namespace ringside::engine
