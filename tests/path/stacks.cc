// What a program passes by pointer lies on a stack, as a rule: its thread's, another thread's, or one of its own
// making.
#include <errno.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <thread>

#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

__kernel_timespec soon() { return {0, 1000}; }

void expire(RawRing& ring) {
    const __kernel_timespec time = soon();
    EXPECT_THAT(ring.run(sqe::timeout(&time)), Gives(-ETIME));
}

TEST(Stack, of_the_first_thread) {
    RawRing ring;
    expire(ring);
}

TEST(Stack, of_another_thread) {
    RawRing ring;
    std::thread([&] { expire(ring); }).join();
}

TEST(Stack, of_a_thread_that_waits) {
    RawRing ring;
    const __kernel_timespec time = soon();
    std::thread([&] { EXPECT_THAT(ring.run(sqe::timeout(&time)), Gives(-ETIME)); }).join();
}

// As coroutines have them.
class OwnStack {
  public:
    static constexpr size_t size = 256 << 10;

    // Runs `work` on memory that ends where a page begins that may not be touched.
    void run(void (*work)()) {
        ucontext_t context;
        getcontext(&context);
        context.uc_stack.ss_sp = memory_;
        context.uc_stack.ss_size = size;
        context.uc_link = &back_;
        makecontext(&context, work, 0);
        swapcontext(&back_, &context);
    }
    OwnStack() {
        memory_ = mmap(nullptr, size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        mprotect(static_cast<char*>(memory_) + size, 4096, PROT_NONE);
    }
    ~OwnStack() { munmap(memory_, size + 4096); }
    OwnStack(const OwnStack&) = delete;
    OwnStack& operator=(const OwnStack&) = delete;
    void* end() const { return static_cast<char*>(memory_) + size; }

  private:
    void* memory_;
    ucontext_t back_;
};

RawRing* shared_ring;
OwnStack* shared_stack;

TEST(Stack, of_the_programs_own_making) {
    RawRing ring;
    OwnStack stack;
    shared_ring = &ring;
    shared_stack = &stack;
    stack.run([] { expire(*shared_ring); });
    // Behind its end there is nothing.
    stack.run([] {
        EXPECT_THAT(shared_ring->run(sqe::timeout(static_cast<__kernel_timespec*>(shared_stack->end()))),
                    Gives(-EFAULT));
    });
}

TEST(Stack, has_an_end) {
    RawRing ring;
    pthread_attr_t attributes;
    void* start = nullptr;
    size_t size = 0;
    std::thread([&] {
        pthread_getattr_np(pthread_self(), &attributes);
        pthread_attr_getstack(&attributes, &start, &size);
        pthread_attr_destroy(&attributes);
        // The page below a thread's stack guards it.
        EXPECT_THAT(ring.run(sqe::timeout(reinterpret_cast<__kernel_timespec*>(static_cast<char*>(start) - 64))),
                    Gives(-EFAULT));
    }).join();
}

}  // namespace
}  // namespace ringside::test
