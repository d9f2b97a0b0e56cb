// A request does nothing that its submitter may not.
//
// Threads of the engine used to outlive a sandbox that the program entered after its ring had worked. What goes to such
// threads was done outside of the sandbox: with Landlock in force, a rename, an unlink, a mkdir or an open that creates
// succeeded where the kernel's io_uring says -EACCES.
#include <errno.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <thread>

#include "path/sandboxes.h"
#include "support/eventually.h"
#include "support/process.h"
#include "support/raw_ring.h"
#include "support/sqe_files.h"

namespace ringside::test {
namespace {

constexpr uint64_t the_deed = 7;

// In what way a request comes to be done.
enum class Way {
    at_once,
    in_the_call_that_waits,
    by_a_worker,
    in_a_chain,
    in_a_chain_that_waits,
    drained,
    deferred,
    deferred_in_a_chain
};

const char* name_of(Way way) {
    switch (way) {
        case Way::at_once:
            return "at_once";
        case Way::in_the_call_that_waits:
            return "in_the_call_that_waits";
        case Way::by_a_worker:
            return "by_a_worker";
        case Way::in_a_chain:
            return "in_a_chain";
        case Way::in_a_chain_that_waits:
            return "in_a_chain_that_waits";
        case Way::drained:
            return "drained";
        case Way::deferred:
            return "deferred";
        case Way::deferred_in_a_chain:
            return "deferred_in_a_chain";
    }
    return "";
}

bool is_deferred(Way way) { return way == Way::deferred || way == Way::deferred_in_a_chain; }

unsigned setup_flags_for(Way way) {
    return is_deferred(way) ? IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN : 0;
}

int32_t result_among(const std::vector<Cqe>& completions) {
    for (const Cqe& cqe : completions) {
        if (cqe.user_data == the_deed) return cqe.res;
    }
    ADD_FAILURE() << "no completion";
    return 0;
}

// The chain goes on when the program is somewhere else: not in the thread that submitted it, on the engine.
int32_t result_of_waiting_chain(RawRing& ring, const Sqe& sqe) {
    const Pipe pipe;
    char byte;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).flag(IOSQE_IO_LINK), sqe), Gives(2));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    return result_among(ring.watch(2));
}

int32_t result_of(RawRing& ring, Sqe sqe, Way way) {
    sqe.data(the_deed);
    switch (way) {
        case Way::at_once:
        case Way::deferred:
            return ring.run(sqe).res;
        case Way::in_the_call_that_waits:
            // The submitter does it itself, on the engine.
            ring.push(sqe);
            EXPECT_THAT(ring.enter(1, 1, IORING_ENTER_GETEVENTS), Gives(1));
            return result_among(ring.reap());
        case Way::by_a_worker:
            return ring.run(sqe.flag(IOSQE_ASYNC)).res;
        case Way::in_a_chain:
        case Way::deferred_in_a_chain:
            EXPECT_THAT(ring.submit(sqe::nop().flag(IOSQE_IO_LINK), sqe), Gives(2));
            return result_among(ring.wait(2));
        case Way::drained:
            EXPECT_THAT(ring.submit(sqe::nop().flag(IOSQE_ASYNC), sqe.flag(IOSQE_IO_DRAIN)), Gives(2));
            return result_among(ring.wait(2));
        case Way::in_a_chain_that_waits:
            return result_of_waiting_chain(ring, sqe);
    }
    return 0;
}

// Whatever descriptor or size a call that succeeds gives.
long only_errors(long result) { return result < 0 ? result : 0; }

// From here on there are threads for what the ring may have to do.
void let_ring_work(RawRing& ring, const Deed& deed, const World& world) {
    world.go(false);
    ring.run(deed.ask(world).flag(IOSQE_ASYNC));
    ring.run(deed.ask(world));
}

// What the calling thread is told by the ring in one world, and by system calls in another, with what they did there.
void expect_same_as_calls(RawRing& ring, const Deed& deed, Way way, const World (&worlds)[2], bool in_jail) {
    worlds[0].go(in_jail);
    const long asked = only_errors(result_of(ring, deed.ask(worlds[0]), way));
    worlds[1].go(in_jail);
    EXPECT_THAT(asked, Gives(only_errors(deed.tell(worlds[1]))));
}

using Case = std::tuple<Sandbox, Deed, Way>;

class Confined : public testing::TestWithParam<Case> {
  protected:
    const Sandbox& sandbox() const { return std::get<0>(GetParam()); }
    const Deed& deed() const { return std::get<1>(GetParam()); }
    Way way() const { return std::get<2>(GetParam()); }

    // In the kernel, no filter of calls concerns io_uring's requests.
    bool kernel_lets_pass() const { return sandbox().is_of_calls && provider_under_test() == provider::Kind::kernel; }

    // The kernel's workers stay where their process was when it started them.
    bool kernel_keeps_directory() const {
        return sandbox().has_jail && provider_under_test() == provider::Kind::kernel;
    }
};

// Whether a child in which the test's expectations hold ends well. A child that cannot be confined says so.
constexpr int not_here = 77;

template <typename Body>
void in_child(Body body) {
    const int ending = ending_of_child([&] {
        const bool tried = body();
        return testing::Test::HasFailure() ? 1 : tried ? 0 : not_here;
    });
    if (ending == not_here) GTEST_SKIP() << "this sandbox cannot be entered here";
    EXPECT_EQ(ending, 0);
}

TEST_P(Confined, thread_has_nothing_done_that_it_may_not_do) {
    const World before(geteuid());
    const World worlds[2] = {World(sandbox().owner), World(sandbox().owner)};
    in_child([&] {
        RawRing ring(8, setup_flags_for(way()));
        let_ring_work(ring, deed(), before);
        if (!sandbox().enter()) return false;
        if (kernel_lets_pass()) {
            worlds[0].go(sandbox().has_jail);
            EXPECT_GE(result_of(ring, deed().ask(worlds[0]), way()), 0);
            return true;
        }
        if (kernel_keeps_directory()) {
            worlds[0].go(true);
            const long asked = only_errors(result_of(ring, deed().ask(worlds[0]), way()));
            before.go(false);
            const long told_before = only_errors(deed().tell(before));
            worlds[1].go(true);
            EXPECT_THAT(asked, testing::AnyOf(told_before, only_errors(deed().tell(worlds[1]))));
            return true;
        }
        expect_same_as_calls(ring, deed(), way(), worlds, sandbox().has_jail);
        return true;
    });
    if (!kernel_lets_pass() && !kernel_keeps_directory()) {
        EXPECT_EQ(worlds[0].content(), worlds[1].content());
    }
}

std::string name_of_case(const testing::TestParamInfo<Case>& info) {
    return std::string(std::get<0>(info.param).name) + "__" + std::get<1>(info.param).name + "__" +
           name_of(std::get<2>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Sandboxes, Confined,
                         testing::Combine(testing::ValuesIn(sandboxes), testing::ValuesIn(deeds),
                                          testing::Values(Way::at_once, Way::in_the_call_that_waits, Way::by_a_worker,
                                                          Way::in_a_chain, Way::in_a_chain_that_waits, Way::drained,
                                                          Way::deferred, Way::deferred_in_a_chain)),
                         name_of_case);

// --- Two threads with one ring --------------------------------------------------------------------------------------

class OneConfined : public Confined {};

TEST_P(OneConfined, of_two_threads_is_judged_for_itself_and_so_is_the_other) {
    const World before(geteuid());
    const World worlds[2] = {World(sandbox().owner), World(sandbox().owner)};
    const World free_worlds[2] = {World(geteuid()), World(geteuid())};
    in_child([&] {
        RawRing ring(8);
        let_ring_work(ring, deed(), before);
        bool entered = false;
        std::thread([&] {
            entered = sandbox().enter();
            if (entered && !kernel_lets_pass()) {
                expect_same_as_calls(ring, deed(), way(), worlds, sandbox().has_jail);
            }
        }).join();
        expect_same_as_calls(ring, deed(), way(), free_worlds, false);
        return entered;
    });
    if (!kernel_lets_pass()) {
        EXPECT_EQ(worlds[0].content(), worlds[1].content());
    }
    EXPECT_EQ(free_worlds[0].content(), free_worlds[1].content());
}

INSTANTIATE_TEST_SUITE_P(Sandboxes, OneConfined,
                         testing::Combine(testing::ValuesIn(sandboxes), testing::ValuesIn(deeds),
                                          testing::Values(Way::at_once, Way::by_a_worker, Way::in_a_chain_that_waits)),
                         name_of_case);

// --- IORING_SETUP_SQPOLL --------------------------------------------------------------------------------------------

class ConfinedAfterwards : public Confined {};

// The ring's own thread does what the thread may that set up the ring, as it was then.
TEST_P(ConfinedAfterwards, thread_has_what_it_could_do_when_it_set_up_a_polled_ring_done) {
    const World before(geteuid());
    const World worlds[2] = {World(sandbox().owner), World(sandbox().owner)};
    in_child([&] {
        RawRing ring(8, IORING_SETUP_SQPOLL);
        before.go(false);
        const auto run = [&ring](const Sqe& sqe) {
            ring.push(sqe);
            EXPECT_THAT(ring.enter(1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP), Gives(1));
            return result_among(ring.wait(1));
        };
        run(deed().ask(before).data(the_deed));
        worlds[1].go(false);
        const long told = only_errors(deed().tell(worlds[1]));
        worlds[0].go(false);
        if (!sandbox().enter()) return false;
        EXPECT_THAT(only_errors(run(deed().ask(worlds[0]).data(the_deed))), Gives(told));
        return true;
    });
    EXPECT_EQ(worlds[0].content(), worlds[1].content());
}

INSTANTIATE_TEST_SUITE_P(Sandboxes, ConfinedAfterwards,
                         testing::Combine(testing::ValuesIn(sandboxes), testing::ValuesIn(deeds),
                                          testing::Values(Way::at_once)),
                         name_of_case);

// --- The threads that a submitter makes ------------------------------------------------------------------------------

// A crew has one thread at first. If that one waits, the requests behind it must not wait with it.
TEST(SubmittersThreads, open_both_ends_of_a_fifo_in_one_batch) {
    RawRing ring;
    const TemporaryDirectory directory;
    const std::string path = directory.path_of("fifo");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    const auto open = [&](uint32_t flags) {
        return sqe::openat(AT_FDCWD, path.c_str(), flags | O_CLOEXEC).flag(IOSQE_ASYNC);
    };
    ASSERT_THAT(ring.submit(open(O_RDONLY), open(O_WRONLY)), Gives(2));
    const std::vector<Cqe> completions = ring.wait(2);
    ASSERT_EQ(completions.size(), 2u);
    for (const Cqe& cqe : completions) EXPECT_GE(Fd(cqe.res).get(), 0);
}

TEST(SubmittersThreads, open_the_other_end_of_a_fifo_later_in_a_chain) {
    RawRing ring;
    const TemporaryDirectory directory;
    const Pipe pipe;
    char byte;
    const std::string path = directory.path_of("fifo");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    const auto open = [&](uint32_t flags) {
        return sqe::openat(AT_FDCWD, path.c_str(), flags | O_CLOEXEC).flag(IOSQE_ASYNC);
    };
    const Sqe read = sqe::read(pipe.read_end, &byte, 1).flag(IOSQE_IO_LINK);
    ASSERT_THAT(ring.submit(open(O_RDONLY), read, open(O_WRONLY)), Gives(3));
    EXPECT_THAT(ring.linger(), testing::IsEmpty());
    ASSERT_EQ(write(pipe.write_end, "x", 1), 1);
    const std::vector<Cqe> completions = ring.watch(3);
    ASSERT_EQ(completions.size(), 3u);
    for (const Cqe& cqe : completions) EXPECT_GE(cqe.res, 0);
}

// No thread is made for what the submitter waits for, and a chain goes on in its order.
TEST(SubmittersThreads, are_not_needed_in_the_call_that_waits_for_all) {
    RawRing ring;
    const World world(geteuid());
    world.go(false);
    ring.push(sqe::mkdirat(AT_FDCWD, "new", 0700).data(1).flag(IOSQE_IO_LINK));
    ring.push(sqe::renameat(AT_FDCWD, "new", AT_FDCWD, "newer").data(2).flag(IOSQE_IO_LINK));
    ring.push(sqe::unlinkat(AT_FDCWD, "newer", AT_REMOVEDIR).data(3));
    ring.push(sqe::ftruncate(world.file(), 3).data(4));
    EXPECT_THAT(ring.enter(4, 4, IORING_ENTER_GETEVENTS), Gives(4));
    EXPECT_THAT(ring.reap(),
                testing::UnorderedElementsAre(Completes(1, 0), Completes(2, 0), Completes(3, 0), Completes(4, 0)));
}

// A ring that has nothing more to do with names keeps no thread for them, and no more descriptors.
TEST(SubmittersThreads, are_gone_when_their_batch_is_done) {
    EXPECT_EQ(ending_of_child([] {
                  RawRing ring;
                  const World world(geteuid());
                  const auto is_truncation = [](const Deed& deed) {
                      return std::string_view(deed.name) == "ftruncate";
                  };
                  const Deed& deed = *std::find_if(deeds.begin(), deeds.end(), is_truncation);
                  let_ring_work(ring, deed, world);
                  const size_t descriptors = count_fds();
                  let_ring_work(ring, deed, world);
                  EXPECT_TRUE(eventually([] { return count_threads_named("ringside-worker") == 0; }));
                  EXPECT_EQ(count_fds(), descriptors);
                  return testing::Test::HasFailure() ? 1 : 0;
              }),
              0);
}

// The file of a request may be closed meanwhile, and record locks on it stay.
TEST(SubmittersThreads, drop_no_record_lock) {
    RawRing ring;
    const Fd file = file_with("content");
    flock lock = {};
    lock.l_type = F_WRLCK;
    ASSERT_EQ(fcntl(file, F_SETLK, &lock), 0);
    EXPECT_THAT(ring.run(sqe::ftruncate(file, 3)), Gives(0));
    EXPECT_THAT(ring.run(sqe::fallocate(file, 0, 0, 100).flag(IOSQE_ASYNC)), Gives(0));
    EXPECT_EQ(ending_of_child([&] {
                  flock wanted = {};
                  wanted.l_type = F_WRLCK;
                  return fcntl(file, F_SETLK, &wanted) == 0 ? 1 : 0;
              }),
              0);
}

}  // namespace
}  // namespace ringside::test
