// libc's syscall(). Calls whose functions are interposed by name go the same way (by_number.h); all others pass
// untouched.
//
// The function is variadic, but on x86-64 and arm64 a caller hands its arguments over as to one of seven longs.
// Arguments that it does not pass are whatever their registers hold, which the kernel would not look at either.
#include "preload/by_number.h"
#include "preload/next.h"

namespace ringside::preload {

extern "C" {

long interposed_syscall(long number, long a, long b, long c, long d, long e, long f) RINGSIDE_INTERPOSE("syscall");
long interposed_syscall(long number, long a, long b, long c, long d, long e, long f) {
    if (const AnswerByNumber answer = answer_by_number(number)) [[unlikely]]
        return answer({number, {a, b, c, d, e, f}});
    return next.syscall(number, a, b, c, d, e, f);
}

}  // extern "C"
}  // namespace ringside::preload
