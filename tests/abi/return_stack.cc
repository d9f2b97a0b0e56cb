// What follows a system call on processors whose return stack the kernel leaves in disorder (src/abi/return_stack.h).
#include <gtest/gtest.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include "abi/syscall.h"

#if defined(__x86_64__)

namespace {

namespace calls = ringside::abi;

// Both ways, whatever processor this is.
class ReturnStack : public testing::TestWithParam<bool> {
  protected:
    void SetUp() override { ringside_mends_return_stack = GetParam(); }
    void TearDown() override { ringside_mends_return_stack = before_; }

  private:
    const bool before_ = ringside_mends_return_stack;
};

INSTANTIATE_TEST_SUITE_P(, ReturnStack, testing::Bool(),
                         [](const auto& way) { return way.param ? "mended" : "left_as_it_is"; });

// A call of the kernel's under so many functions, each of which has something to say when it is gone back to.
[[gnu::noinline]] long under(unsigned functions) {
    return functions == 0 ? calls::syscall(__NR_getpid) : under(functions - 1) + 1;
}

TEST_P(ReturnStack, calls_return_from_any_depth) {
    for (unsigned depth = 0; depth <= 100; ++depth) EXPECT_EQ(getpid() + depth, under(depth));
}

// The bytes below the stack's end that a function may use which calls no other.
TEST_P(ReturnStack, what_lies_below_the_stack_is_kept) {
    uint64_t lowest = 0, highest = 0;
    long pid = 0;
    asm volatile(
        "movq $0x1234567, -128(%%rsp)\n\t"
        "movq $0x7654321, -8(%%rsp)\n\t"
        "syscall\n\t" RINGSIDE_MEND_RETURN_STACK("%%")
        "movq -128(%%rsp), %1\n\t"
        "movq -8(%%rsp), %2"
        : "=a"(pid), "=&r"(lowest), "=&r"(highest)
        : "a"(__NR_getpid)
        : "rcx", "r11", "memory");
    EXPECT_EQ(getpid(), pid);
    EXPECT_EQ(0x1234567u, lowest);
    EXPECT_EQ(0x7654321u, highest);
}

long step_through_a_call();

struct Steps {
    unsigned in_stub, found;
} steps;

_Unwind_Reason_Code look_for_caller(_Unwind_Context* frame, void* found) {
    void* const function = _Unwind_FindEnclosingFunction(reinterpret_cast<void*>(_Unwind_GetIP(frame) - 1));
    if (function != reinterpret_cast<void*>(step_through_a_call)) return _URC_NO_REASON;
    *static_cast<bool*>(found) = true;
    return _URC_END_OF_STACK;
}

void note_step(int, siginfo_t*, void* context) {
    const auto at = static_cast<uintptr_t>(static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
    const uintptr_t begin = reinterpret_cast<uintptr_t>(ringside_mend_return_stack);
    constexpr uintptr_t size = 128;
    if (at < begin || at >= begin + size) return;
    ++steps.in_stub;
    bool found = false;
    _Unwind_Backtrace(look_for_caller, &found);
    steps.found += found;
}

// The trap flag has the processor stop after every instruction until it is taken back.
[[gnu::noinline]] long step_through_a_call() {
    asm volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::
                     : "memory", "cc");
    const long pid = calls::syscall(__NR_getpid);
    asm volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\tandl $~0x100, (%%rsp)\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::
                     : "memory", "cc");
    return pid;
}

// A debugger or a profiler may look at the stack at any moment.
TEST_P(ReturnStack, the_stack_can_be_walked_at_every_step) {
    struct sigaction action = {}, former;
    action.sa_sigaction = note_step;
    action.sa_flags = SA_SIGINFO;
    ASSERT_EQ(0, sigaction(SIGTRAP, &action, &former));
    steps = {};
    EXPECT_EQ(getpid(), step_through_a_call());
    ASSERT_EQ(0, sigaction(SIGTRAP, &former, nullptr));
    EXPECT_EQ(GetParam() ? 19u : 0u, steps.in_stub);
    EXPECT_EQ(steps.in_stub, steps.found);
}

}  // namespace

#endif
