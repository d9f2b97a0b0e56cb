// libc's syscall(): io_uring's three calls go to the provider, every other one passes untouched.
//
// The function is variadic, but on x86-64 and arm64 a caller hands its arguments over as to one of seven longs.
// Arguments that it does not pass are whatever their registers hold, which the kernel would not look at either.
#include "preload/next.h"
#include "preload/rings.h"
#include "preload/serve.h"

namespace ringside::preload {
namespace {

long io_uring_call(const Call& call) {
    const bool by_engine = engine_serves();
    if (call.number == __NR_io_uring_setup) announce();
    const long* a = call.arguments;
    return by_engine ? answer_as_libc(serve(call)) : next.syscall(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

}  // namespace

extern "C" {

long interposed_syscall(long number, long a, long b, long c, long d, long e, long f) RINGSIDE_INTERPOSE("syscall");
long interposed_syscall(long number, long a, long b, long c, long d, long e, long f) {
    if (is_io_uring(number)) [[unlikely]]
        return io_uring_call({number, {a, b, c, d, e, f}});
    return next.syscall(number, a, b, c, d, e, f);
}

}  // extern "C"
}  // namespace ringside::preload
