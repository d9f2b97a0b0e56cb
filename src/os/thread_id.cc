#include "os/thread_id.h"

#include "abi/syscall.h"

namespace ringside::engine {
namespace {

thread_local int known_id = 0;

}  // namespace

int this_thread_id() {
    if (__builtin_expect(known_id == 0, 0)) known_id = static_cast<int>(abi::syscall(__NR_gettid));
    return known_id;
}

void forget_thread_id() { known_id = 0; }

}  // namespace ringside::engine
