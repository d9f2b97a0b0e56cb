// What a ring knows of the file behind its descriptors (service/ring_file.h).
#pragma once

#include <stdint.h>
#include <atomic>

namespace ringside::engine {

struct Ring;

struct RingFile {
    uint64_t device = 0;
    uint64_t inode = 0;          // 0: the descriptor is an epoll set (service/readiness.h)
    std::atomic<int> watch{-1};  // inotify's number for the file, -1: it is not watched
    bool ends_unseen = false;    // the program closes it by an instruction of its own
    bool attended = false;       // the helper thread runs, which waits for the file's end
    Ring* next_ended = nullptr;  // of the rings that wait to be taken apart (entry/gone.cc)
};

}  // namespace ringside::engine
