// What was found out about the files behind descriptor numbers, so that not every request has to ask again.
//
// A number may come to stand for another file at any time, so a fact is a guess: acting on one that does not hold any
// more may cost time, but must never give a wrong result. Facts are looked up anew every few batches, and thrown away
// by whoever finds one to be wrong.
//
// Guarded by the ring's lock.
#pragma once

#include <stdint.h>
#include <sys/stat.h>

namespace ringside::engine {

struct FileFacts {
    int32_t fd = -1;         // whose they are; -1 for nobody's
    uint32_t looked_in = 0;  // the batch (Ring::batch) in which they were found out
    bool direct = false;     // on a disk, and opened with O_DIRECT
    dev_t device = 0;
    ino_t inode = 0;
    bool writes_wait = false;  // on a disk, and writes with RWF_NOWAIT are not known there
    bool is_refused = false;   // by io_submit(2): reads are not carried (path/carry.cc)

    // Whether all of the file is in memory (state/file_cache.cc).
    uint32_t read_in = 0;    // the last batch that read it
    uint32_t reads = 0;      // how often that did so
    uint32_t cached_in = 0;  // the batch in which it is known to be in memory
    int64_t cached_until_ns = 0;
    int64_t next_look_ns = 0;
};

struct KnownFiles {
    FileFacts* facts = nullptr;
};

// Files whose facts are kept at a time, by the low bits of their descriptors' numbers.
inline constexpr unsigned files_known_at_once = 256;
inline constexpr uint32_t batches_until_stale = 256;

// Finds out what is not known yet, or not any more.
FileFacts* look_at_file(KnownFiles& files, int fd, uint32_t batch);

// What is known, in this batch, of the file behind a descriptor. Null when memory is out.
inline FileFacts* facts_of(KnownFiles& files, int fd, uint32_t batch) {
    FileFacts* facts = files.facts != nullptr ? files.facts + static_cast<unsigned>(fd) % files_known_at_once : nullptr;
    const bool known = facts != nullptr && facts->fd == fd && batch - facts->looked_in < batches_until_stale;
    return __builtin_expect(known, 1) ? facts : look_at_file(files, fd, batch);
}

void forget_facts(KnownFiles& files);

}  // namespace ringside::engine
