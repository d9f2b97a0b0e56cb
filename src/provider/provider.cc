#include "provider/provider.h"

#include <errno.h>
#include <unistd.h>

#include "abi/syscall.h"
#include "provider/kernel.h"

namespace ringside::provider {

namespace {

// Why this provider was taken: by the process's choice, or by that of the caller.
Choice choice_of(Kind kind) {
    const Choice choice = choose();
    return choice.kind == kind ? choice : Choice{kind, choice.wish, 0, "the program asked for it"};
}

}  // namespace

int setup(Kind kind, unsigned entries, io_uring_params* params, engine::Face face) {
    if (announcement_due()) announce(choice_of(kind), "");
    return kind == Kind::kernel ? kernel::setup(entries, params) : engine::setup(entries, params, face);
}

int enter(Kind kind, int fd, unsigned to_submit, unsigned min_complete, unsigned flags, const void* arg,
          size_t arg_size) {
    const auto number = static_cast<unsigned>(fd);
    return kind == Kind::kernel ? kernel::enter(number, to_submit, min_complete, flags, arg, arg_size)
                                : engine::enter(number, to_submit, min_complete, flags, arg, arg_size);
}

int register_call(Kind kind, unsigned fd, unsigned opcode, void* arg, unsigned nr_args) {
    return kind == Kind::kernel ? kernel::register_call(fd, opcode, arg, nr_args)
                                : engine::register_call(fd, opcode, arg, nr_args);
}

int close(Kind kind, int fd) {
    return kind == Kind::kernel ? static_cast<int>(abi::syscall(__NR_close, fd)) : engine::close(fd);
}

Kind kind_of(int fd) { return engine::find(fd) != nullptr ? Kind::engine : Kind::kernel; }

const char* name(Kind kind) { return kind == Kind::kernel ? "kernel" : "engine"; }

engine::CarryingCosts measure_costs() { return engine::measure_carrying(); }

}  // namespace ringside::provider
