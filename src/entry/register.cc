// io_uring_register(2): finds the ring and calls the function in the opcode's row.
#include <errno.h>

#include "entry/engine.h"
#include "entry/entry.h"
#include "os/own_process.h"
#include "path/path.h"
#include "process/inside.h"
#include "process/registered_rings.h"
#include "process/registry.h"
#include "register/register.h"

namespace ringside::engine {
namespace {

// What an opcode requires of its two arguments, a pointer and a count.
enum class Argument : uint8_t {
    any,           // the function checks them itself
    nothing,       // neither
    address,       // a pointer (else -EFAULT) and any count
    address_only,  // a pointer and no count
    one,           // a pointer to one
    two,           // a pointer to two
    single,        // count 1, any pointer
    count_only,    // no pointer, and any count
    some,          // a pointer and a count
};

struct Row {
    Argument argument;
    Registration function;
    bool locked;  // called under the ring's lock
};

int not_yet(Ring&, uint64_t, unsigned) { return -EINVAL; }

constexpr Row rows[] = {
#define REG(name, argument, function) {Argument::argument, function, true},
#define REG_UNLOCKED(name, argument, function) {Argument::argument, function, false},
#define NOT_YET(name) REG(name, any, not_yet)
#include "register/register.def"
#undef NOT_YET
#undef REG_UNLOCKED
#undef REG
};

// Each row stands at its opcode's place: the n-th row's name is that of opcode n.
enum Position : unsigned {
#define REG(name, ...) position_##name,
#define REG_UNLOCKED(name, ...) position_##name,
#define NOT_YET(name) position_##name,
#include "register/register.def"
#undef NOT_YET
#undef REG_UNLOCKED
#undef REG
    position_end
};
static_assert(position_end == registration_count);
#define REG(name, ...) static_assert(unsigned{position_##name} == unsigned{IORING_##name});
#define REG_UNLOCKED(name, ...) REG(name)
#define NOT_YET(name) REG(name)
#include "register/register.def"
#undef NOT_YET
#undef REG_UNLOCKED
#undef REG

int check_argument(Argument wanted, uint64_t address, unsigned count) {
    const bool given = address != 0;
    bool good = true;
    switch (wanted) {
        case Argument::any:
            break;
        case Argument::nothing:
            good = !given && count == 0;
            break;
        case Argument::address:
            return given ? 0 : -EFAULT;
        case Argument::address_only:
            good = given && count == 0;
            break;
        case Argument::one:
            good = given && count == 1;
            break;
        case Argument::single:
            good = count == 1;
            break;
        case Argument::count_only:
            good = !given;
            break;
        case Argument::two:
            good = given && count == 2;
            break;
        case Argument::some:
            good = given && count != 0;
            break;
    }
    return good ? 0 : -EINVAL;
}

// Whether the calling thread may make the call, and whether the ring's restrictions allow it. Returns 0 or -errno.
int check_caller(const Ring& ring, unsigned opcode) {
    if (!ring.open || ring.closing || ring.inherited) return refuse_closed(ring);
    if (ring.submitter != 0 && wrong_submitter(ring)) return -EEXIST;
    return ring.restrictions.in_force && !ring.restrictions.registrations.has(opcode) ? -EACCES : 0;
}

int register_by(const FoundRing& found, unsigned opcode, uint64_t address, unsigned count) {
    Ring& ring = *found.ring;
    const Row& row = rows[opcode];
    if (find_interrupted(ring) != nullptr) return -EDEADLK;
    Inside inside(ring);
    {
        Guard guard(ring.lock);
        if (!found.is_same()) return -EBADF;
        int result = check_caller(ring, opcode);
        if (result == 0) result = check_argument(row.argument, address, count);
        if (result < 0) return result;
        if (row.locked) {
            result = row.function(ring, address, count);
            // The function may have posted CQEs, for example for resource tags.
            publish(ring);
            return result;
        }
    }
    return row.function(ring, address, count);
}

// The calls that take -1 in place of a ring's descriptor.
int register_blind(unsigned opcode, uint64_t address, unsigned count) {
    switch (opcode) {
        case IORING_REGISTER_SEND_MSG_RING:
            return send_message_ring(address, count);
        case IORING_REGISTER_QUERY:
            return query(address, count);
        default:
            return -EINVAL;
    }
}

int find_for_registration(unsigned fd, bool by_index, FoundRing& found) {
    if (!by_index) {
        // Drops the number from the registry if it is another file's by now.
        find_named(static_cast<int>(fd));
        return find_ring(static_cast<int>(fd), found);
    }
    const int result = find_registered_ring(fd, found.ring);
    // The registration holds the ring.
    if (result == 0) found.generation = found.ring->generation.load();
    return result;
}

}  // namespace

int register_call(unsigned fd, unsigned opcode, void* arg, unsigned nr_args) {
    come_in();
    const bool by_index = opcode & IORING_REGISTER_USE_REGISTERED_RING;
    opcode &= ~IORING_REGISTER_USE_REGISTERED_RING;
    if (opcode >= registration_count) return -EINVAL;
    const auto address = reinterpret_cast<uintptr_t>(arg);
    constexpr unsigned no_ring = ~0u;
    if (fd == no_ring) return register_blind(opcode, address, nr_args);
    FoundRing found;
    const int result = find_for_registration(fd, by_index, found);
    return result < 0 ? result : register_by(found, opcode, address, nr_args);
}

}  // namespace ringside::engine
