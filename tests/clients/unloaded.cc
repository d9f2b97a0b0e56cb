// A library that is closed by dlclose(3) while requests of its rings are in flight.
//
// Its threads ran on in code that was not there any more.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include "liburing.h"
#include "support/eventually.h"
#include "support/process.h"

namespace ringside::test {
namespace {

template <typename Function>
Function* function_of(void* library, const char* name) {
    return reinterpret_cast<Function*>(dlsym(library, name));
}

TEST(UnloadedLibrary, completes_what_is_in_flight) {
    const auto body = [] {
        setenv("RINGSIDE_PROVIDER", "engine", 1);
        void* library = dlopen(RINGSIDE_LIB "/liburing.so.2", RTLD_NOW | RTLD_LOCAL);
        if (library == nullptr) return 1;
        io_uring ring;
        if (function_of<decltype(io_uring_queue_init)>(library, "io_uring_queue_init")(8, &ring, 0) != 0) return 2;
        int ends[2];
        char byte;
        if (pipe(ends) != 0) return 3;
        io_uring_sqe* sqe = function_of<decltype(io_uring_get_sqe)>(library, "io_uring_get_sqe")(&ring);
        io_uring_prep_read(sqe, ends[0], &byte, 1, 0);
        if (function_of<decltype(io_uring_submit)>(library, "io_uring_submit")(&ring) != 1) return 4;
        if (dlclose(library) != 0) return 5;
        if (write(ends[1], "x", 1) != 1) return 6;
        return eventually([&] { return __atomic_load_n(ring.cq.ktail, __ATOMIC_ACQUIRE) == 1; }) ? 0 : 7;
    };
    EXPECT_EQ(ending_of_child(body), 0);
}

}  // namespace
}  // namespace ringside::test
