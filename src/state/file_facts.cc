#include "state/file_facts.h"

#include <fcntl.h>
#include <stdlib.h>

#include "abi/syscall.h"
#include "os/fds.h"

namespace ringside::engine {
namespace {

bool allocate(KnownFiles& files) {
    files.facts = static_cast<FileFacts*>(malloc(files_known_at_once * sizeof(FileFacts)));
    if (files.facts == nullptr) return false;
    for (unsigned i = 0; i < files_known_at_once; ++i) files.facts[i] = FileFacts{};
    return true;
}

}  // namespace

FileFacts* look_at_file(KnownFiles& files, int fd, uint32_t batch) {
    if (files.facts == nullptr && !allocate(files)) return nullptr;
    FileFacts& facts = files.facts[static_cast<unsigned>(fd) % files_known_at_once];
    if (facts.fd != fd) facts = FileFacts{};
    facts.fd = fd;
    facts.looked_in = batch;
    facts.writes_wait = facts.is_refused = false;
    const long flags = abi::syscall(__NR_fcntl, fd, F_GETFL);
    // On a pipe the flag means something else.
    struct stat status;
    facts.direct = flags > 0 && (flags & O_DIRECT) && file_status(fd, status) == 0 && is_kind_on_disk(status.st_mode);
    if (facts.direct) {
        facts.device = status.st_dev;
        facts.inode = status.st_ino;
    }
    return &facts;
}

void forget_facts(KnownFiles& files) {
    free(files.facts);
    files.facts = nullptr;
}

}  // namespace ringside::engine
