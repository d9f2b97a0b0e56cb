#include "preload/serve.h"

#include <errno.h>
#include <atomic>

#include "liburing/io_uring.h"
#include "preload/filter.h"
#include "preload/next.h"
#include "preload/rings.h"
#include "preload/trap.h"
#include "provider/provider.h"

namespace ringside::preload {
namespace {

enum class Server { undecided, kernel, engine };
std::atomic<Server> server{Server::undecided};

// How the server came to be chosen, for announce(): filled by decide(), before `server` is.
provider::Choice choice = {};
bool inherited_trap = false;
int trap_error = 0;

// The thread that decides. Other threads wait for its decision. Only one thread may install the trap: a second one
// would take our handler for the program's. If a call of the deciding thread is trapped meanwhile, the engine serves
// it.
std::atomic<long> decider{0};

Server await_decision() {
    Server known = server.load(std::memory_order_acquire);
    while (known == Server::undecided) {
        abi::syscall(__NR_sched_yield);
        known = server.load(std::memory_order_acquire);
    }
    return known;
}

Server decide() {
    const long self = abi::syscall(__NR_gettid);
    long nobody = 0;
    if (!decider.compare_exchange_strong(nobody, self)) return nobody == self ? Server::engine : await_decision();
    resolve_next();
    // Under a filter of an ancestor's, a probe of the kernel would be trapped and come back here.
    inherited_trap = is_filter_installed();
    if (inherited_trap) provider::set_wish(provider::Wish::engine);
    choice = provider::choose();
    if (choice.kind == provider::Kind::engine) trap_error = set_trap();
    const Server chosen = choice.kind == provider::Kind::engine ? Server::engine : Server::kernel;
    server.store(chosen, std::memory_order_release);
    return chosen;
}

__attribute__((constructor)) void load() { engine_serves(); }

}  // namespace

bool engine_serves() {
    const Server known = server.load(std::memory_order_acquire);
    return (known == Server::undecided ? decide() : known) == Server::engine;
}

long serve(const Call& call) {
    const long* a = call.arguments;
    const auto number_at = [a](int index) { return static_cast<unsigned>(a[index]); };
    switch (call.number) {
        case __NR_io_uring_setup: {
            const int fd =
                engine::setup(number_at(0), reinterpret_cast<io_uring_params*>(a[1]), engine::Face::mappable);
            if (fd >= 0) note_ring(fd);
            return fd;
        }
        case __NR_io_uring_enter:
            return engine::enter(number_at(0), number_at(1), number_at(2), number_at(3),
                                 reinterpret_cast<const void*>(a[4]), static_cast<size_t>(a[5]));
        case __NR_io_uring_register:
            return engine::register_call(number_at(0), number_at(1), reinterpret_cast<void*>(a[2]), number_at(3));
        default:
            return -ENOSYS;
    }
}

void announce() {
    if (!provider::announcement_due()) return;
    provider::Choice told = choice;
    if (inherited_trap) told.reason = "a process that started this one chose it";
    provider::announce(told, trap_error != 0 ? "; calls that do not go through libc are not served" : "");
}

}  // namespace ringside::preload
