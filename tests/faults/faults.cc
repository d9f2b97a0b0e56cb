// Every system call that the engine makes for itself fails once, in turn: the program gets an error that says so, or
// what it wanted by another way. Nothing is lost and nothing hangs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "faults/trial.h"
#include "support/process.h"

namespace ringside::test {
namespace {

struct OwnCall {
    const char* name;
    long number;
    int error;  // one that it may well meet
};

// What the engine does for itself, and what may go wrong with it. A call that is missing here and in the list below
// fails the tests: whoever adds one says what is to happen when it fails.
constexpr OwnCall own_calls[] = {
    {"epoll_create1", __NR_epoll_create1, EMFILE},
    {"epoll_ctl", __NR_epoll_ctl, ENOSPC},
    {"epoll_pwait2", __NR_epoll_pwait2, EINTR},
    {"eventfd2", __NR_eventfd2, EMFILE},
    {"fcntl", __NR_fcntl, EMFILE},
    {"fstat", __NR_fstat, ENOMEM},
    {"ftruncate", __NR_ftruncate, EINTR},
    {"io_setup", __NR_io_setup, EAGAIN},
    {"io_submit", __NR_io_submit, EAGAIN},
    {"memfd_create", __NR_memfd_create, EMFILE},
    {"mmap", __NR_mmap, ENOMEM},
    {"mremap", __NR_mremap, ENOMEM},
    {"pidfd_open", __NR_pidfd_open, EMFILE},
    {"ppoll", __NR_ppoll, EINTR},
    {"prlimit64", __NR_prlimit64, EPERM},
    {"clone3", __NR_clone3, EAGAIN},
};

// Since Linux 6.7, and not in every C library yet.
constexpr long call_futex_wait = 455;

// Operations themselves, whose errors are the program's; and what cannot fail, called as it is here.
constexpr long other_calls[] = {
    __NR_accept4,
    __NR_pread64,
    __NR_pwrite64,
    __NR_futex_waitv,
    __NR_getsockopt,
    __NR_madvise,
    __NR_ioctl,
    __NR_fsync,
    __NR_preadv2,
    __NR_pwritev2,
    __NR_recvfrom,
    __NR_recvmsg,
    __NR_splice,
    __NR_waitid,
    __NR_openat,
    __NR_openat2,
    call_futex_wait,
    __NR_close,
    __NR_munmap,
    __NR_getpid,
    __NR_gettid,
    __NR_tgkill,
    __NR_read,
    __NR_write,
    __NR_sched_yield,
    __NR_io_destroy,
    __NR_futex,
    __NR_process_vm_readv,
    __NR_process_vm_writev,
    __NR_fallocate,
};

// Memory that children write to.
Sightings& fresh_sightings() {
    static void* const memory =
        mmap(nullptr, sizeof(Sightings), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return *new (memory) Sightings{};
}

// How much the test has found wrong so far.
int complaints() { return testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count(); }

// Runs the scenario in a child. What it has against the result it says itself.
int run(const Scenario& scenario, const Fault& fault, Sightings& sightings) {
    return ending_of_child([&] {
        // A process that hangs is killed.
        alarm(30);
        const int before = complaints();
        Trial trial(fault, sightings);
        try {
            scenario.run(trial);
        } catch (const std::exception& error) {
            ADD_FAILURE() << error.what();
        }
        EXPECT_TRUE(trial.begun());
        fflush(stdout);
        return complaints() == before ? 0 : 1;
    });
}

class Faults : public testing::TestWithParam<Scenario> {};

INSTANTIATE_TEST_SUITE_P(Engine, Faults, testing::ValuesIn(scenarios),
                         [](const testing::TestParamInfo<Scenario>& scenario) { return scenario.param.name; });

TEST_P(Faults, of_each_call_in_turn_are_told_or_made_good) {
    ASSERT_EQ(provider_under_test(), provider::Kind::engine) << "RINGSIDE_PROVIDER=engine, please";
    Sightings& seen = fresh_sightings();
    ASSERT_EQ(run(GetParam(), {}, seen), 0);
    std::array<unsigned, most_numbers> calls;
    std::copy(seen.calls.begin(), seen.calls.end(), calls.begin());
    for (const OwnCall& own : own_calls) {
        // Under load a call may be made oftener than the last time; a few more would only be more of the same.
        const unsigned most = std::min(std::exchange(calls[own.number], 0), 12U);
        for (unsigned nth = 1; nth <= most; ++nth) {
            SCOPED_TRACE(testing::Message() << own.name << ", call " << nth << " of " << most);
            EXPECT_EQ(run(GetParam(), {own.number, nth, own.error}, fresh_sightings()), 0);
        }
    }
    for (const long number : other_calls) calls[number] = 0;
    for (long number = 0; number < most_numbers; ++number) {
        EXPECT_EQ(calls[number], 0u) << "system call " << number << " is in neither list";
    }
}

}  // namespace
}  // namespace ringside::test
