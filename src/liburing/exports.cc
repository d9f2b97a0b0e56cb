// Functions that are inline in the headers and exported all the same, for programs that were compiled against headers
// in which they were not. The assembler name gives them the name that the inline function has in C++; this file must
// not call that one, or the compiler might emit both.
#include "liburing/api.h"

extern "C" {

__attribute__((visibility("default"))) io_uring_sqe* ringside_exported_get_sqe(io_uring* ring) asm("io_uring_get_sqe");

io_uring_sqe* ringside_exported_get_sqe(io_uring* ring) { return _io_uring_get_sqe(ring); }
}
