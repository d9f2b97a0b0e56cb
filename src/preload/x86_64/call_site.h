// The code around a trapped system call, and whether there is room for a jump.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace ringside::preload {

constexpr size_t jump_size = 5;
constexpr size_t syscall_size = 2;

struct CallSite {
    uintptr_t next;  // behind the system call
    size_t
        load_length;  // of the instructions before it: the one that loads the call's number, and possibly a few others

    uintptr_t start() const { return next - syscall_size - load_length; }
    uintptr_t behind_jump() const { return start() + jump_size; }
    // A short load has no room for a jump. The last bytes of the jump are then those of the system call.
    bool is_short() const { return load_length < jump_size; }
};

// Whether the code before `next` is one that can be rewritten: in a private mapping of a file, which can be read and
// executed and not written, and of one of the two forms (see rewrite.h).
bool recognize(uintptr_t next, CallSite& site);

}  // namespace ringside::preload
