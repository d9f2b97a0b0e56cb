// io_uring_register(2): finds the ring and hands over to the row of the opcode.
#include <errno.h>
#include <fcntl.h>

#include "abi/syscall.h"
#include "entry/engine.h"
#include "entry/entry.h"
#include "path/path.h"
#include "register/register.h"
#include "state/registry.h"

namespace ringside::engine {
namespace {

// What the arguments must be, a pointer and a count.
enum class Argument : uint8_t {
    any,           // the function looks for itself
    nothing,       // neither
    address,       // a pointer (else -EFAULT) and any count
    address_only,  // a pointer and no count
    one,           // a pointer to one
    two,           // a pointer to two
    some,          // a pointer and a count
};

struct Row {
    Argument argument;
    Registration function;
};

int not_yet(Ring&, uint64_t, unsigned) { return -EINVAL; }

constexpr Row rows[] = {
#define REG(name, argument, function) {Argument::argument, function},
#define NOT_YET(name) REG(name, any, not_yet)
#include "register/register.def"
#undef NOT_YET
#undef REG
};

// Each row stands at its opcode's place: the n-th row's name is that of opcode n.
enum Position : unsigned {
#define REG(name, ...) position_##name,
#define NOT_YET(name) position_##name,
#include "register/register.def"
#undef NOT_YET
#undef REG
    row_count
};
#define REG(name, ...) static_assert(unsigned{position_##name} == unsigned{IORING_##name});
#define NOT_YET(name) REG(name)
#include "register/register.def"
#undef NOT_YET
#undef REG

int check_argument(Argument wanted, uint64_t address, unsigned count) {
    const bool given = address != 0;
    bool good = true;
    switch (wanted) {
        case Argument::any: break;
        case Argument::nothing: good = !given && count == 0; break;
        case Argument::address: return given ? 0 : -EFAULT;
        case Argument::address_only: good = given && count == 0; break;
        case Argument::one: good = given && count == 1; break;
        case Argument::two: good = given && count == 2; break;
        case Argument::some: good = given && count != 0; break;
    }
    return good ? 0 : -EINVAL;
}

int register_locked(Ring& ring, unsigned opcode, uint64_t address, unsigned count) {
    if (ring.submitter != 0 && wrong_submitter(ring)) return -EEXIST;
    const Row& row = rows[opcode];
    const int checked = check_argument(row.argument, address, count);
    if (checked < 0) return checked;
    const int result = row.function(ring, address, count);
    // Completions of tags, among others.
    publish(ring);
    return result;
}

}  // namespace

int register_call(unsigned fd, unsigned opcode, void* arg, unsigned nr_args) {
    if (opcode >= row_count) return -EINVAL;
    const int number = static_cast<int>(fd);
    Ring* ring = ring_of(number);
    if (ring == nullptr) return abi::syscall(__NR_fcntl, number, F_GETFD) < 0 ? -EBADF : -EOPNOTSUPP;
    Guard guard(ring->lock);
    if (!ring->open || ring->inherited) return -EBADF;
    return register_locked(*ring, opcode, reinterpret_cast<uintptr_t>(arg), nr_args);
}

}  // namespace ringside::engine
