// Neighbouring reads of a file in one vectored call, and writes of one for a worker (path/join.cc holds them back for
// it).
#include <linux/fs.h>
#include <sys/uio.h>

#include "abi/syscall.h"
#include "memory/user_memory.h"
#include "ops/ops.h"
#include "ops/rw.h"
#include "resource/registered_buffers.h"
#include "state/ring.h"

namespace ringside::engine {
namespace {

// Gives each its part of what was read, as far as that goes in full. Short of it, a request finds out by itself whether
// the file ends there, the rest is not in memory, or its buffer is bad.
Share divide(Request& first, unsigned count, long got) {
    unsigned done = 0;
    for (Request* at = &first; done < count; at = at->next, ++done) {
        const long length = at->as<Transfer>().length;
        if (got < length) break;
        got -= length;
        at->done(length);
    }
    return {done, Outcome::done};
}

}  // namespace

Share read_together(Request& first, unsigned count) {
    iovec vectors[most_together];
    unsigned filled = 0;
    for (Request* at = &first; filled < count && filled < most_together; at = at->next, ++filled) {
        const auto& transfer = at->as<Transfer>();
        vectors[filled] = {user_pointer(transfer.address), size_t{transfer.length}};
    }
    const int64_t offset = first.as<Transfer>().offset;
    return divide(first, filled, abi::syscall(__NR_preadv2, first.fd, vectors, filled, offset, 0, RWF_NOWAIT));
}

// The buffers of all of them have to be good ones.
Share read_fixed_together(Request& first, unsigned count) {
    unsigned good = 0;
    for (Request* at = &first; good < count; at = at->next, ++good) {
        const auto& transfer = at->as<Transfer>();
        if (import_buffer(*at, transfer.address, transfer.length) != 0) break;
    }
    return good < 2 ? Share{} : read_together(first, good);
}

// Only where it is known that they would not go at once.
Share write_together(Request& first, unsigned count) {
    if (!writes_would_wait(first)) return {};
    Request* at = &first;
    for (unsigned i = 0; i < count; ++i, at = at->next) at->set(request_bounded);
    return {count, Outcome::punt};
}

}  // namespace ringside::engine
