// What a trapped system call looks like in the program's code, and whether there is room for a jump.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace ringside::preload {

constexpr size_t jump_size = 5;
constexpr size_t syscall_size = 2;

struct CallSite {
    uintptr_t next;      // behind the system call
    size_t load_length;  // of what is before it: the instruction that loads the call's number, and maybe a few others

    uintptr_t start() const { return next - syscall_size - load_length; }
    uintptr_t behind_jump() const { return start() + jump_size; }
    // A jump in the place of a short load ends in the bytes of the system call behind it.
    bool is_short() const { return load_length < jump_size; }
};

// Whether the code before `next` is one that can be rewritten: in a private mapping of a file, which can be read and
// executed and not written, and of one of the two forms (see rewrite.h).
bool recognize(uintptr_t next, CallSite& site);

}  // namespace ringside::preload
