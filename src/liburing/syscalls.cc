// The system calls, bare, for programs that do without the queue functions.
#include <errno.h>
#include <signal.h>

#include "liburing/owner.h"

using namespace ringside;
using namespace ringside::liburing;

namespace {

// A registered index is no descriptor. It belongs to the provider that runs this process's rings.
provider::Kind owner_of(unsigned fd, bool is_index) {
    return is_index ? provider::choose().kind : owner_of_fd(static_cast<int>(fd));
}

}  // namespace

int io_uring_setup(unsigned entries, io_uring_params* p) {
    return provider::setup(provider::choose().kind, entries, p, engine::Face::mappable);
}

int io_uring_enter2(unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags, void* arg, size_t sz) {
    const provider::Kind kind = owner_of(fd, (flags & IORING_ENTER_REGISTERED_RING) != 0);
    return provider::enter(kind, static_cast<int>(fd), to_submit, min_complete, flags, arg, sz);
}

int io_uring_enter(unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags, sigset_t* sig) {
    return io_uring_enter2(fd, to_submit, min_complete, flags, sig, _NSIG / 8);
}

int io_uring_register(unsigned fd, unsigned opcode, const void* arg, unsigned nr_args) {
    const provider::Kind kind = owner_of(fd, (opcode & IORING_REGISTER_USE_REGISTERED_RING) != 0);
    return provider::register_call(kind, fd, opcode, const_cast<void*>(arg), nr_args);
}
