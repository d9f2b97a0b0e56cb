// Where io_uring is refused: which provider is chosen, what is told about it, and that rings work all the same.
//
// A filter cannot be taken away again and the kernel's answer is remembered by the process, so that each case is a
// child.
#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <string_view>

#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"
#include "support/seccomp_filter.h"

namespace ringside::test {
namespace {

// Runs the checks in a child with this wish in its environment and under this filter. A check that fails shows in the
// child's output and in its exit status.
int ending_where_refused(std::string_view refusal, const char* wish, const std::function<void()>& checks) {
    return ending_of_child([&] {
        setenv("RINGSIDE_PROVIDER", wish, 1);
        EXPECT_EQ(refuse_io_uring(*refusal_named(refusal)), 0);
        checks();
        return testing::Test::HasFailure() ? 1 : 0;
    });
}

// A little of everything: what completes at once, what waits, what times out, what a worker does, what is cancelled.
void expect_a_working_ring() {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::nop().data(1)), Gives(0));
    const Pipe pipe;
    char byte = 0;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(2)), Gives(1));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(2, 1)));
    const __kernel_timespec time = milliseconds_of(1);
    EXPECT_THAT(ring.run(sqe::timeout(&time).data(3)), Gives(-ETIME));
    const Fd file = memory_file_with("content");
    char buffer[8];
    EXPECT_THAT(ring.run(sqe::read(file, buffer, 7).data(4).flag(IOSQE_ASYNC)), Gives(7));
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(5)), Gives(1));
    EXPECT_THAT(ring.submit(sqe::cancel(5).data(6)), Gives(1));
    EXPECT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(5, -ECANCELED), Completes(6, 0)));
}

TEST(Refused, automatic_choice_takes_the_engine_when_the_refusal_is_for_good) {
    for (const char* refusal : {"EPERM", "ENOSYS", "EACCES", "EOPNOTSUPP"}) {
        const int ending = ending_where_refused(refusal, "auto", [&] {
            const provider::Choice choice = provider::choose();
            EXPECT_EQ(choice.kind, provider::Kind::engine);
            EXPECT_EQ(choice.wish, provider::Wish::automatic);
            EXPECT_EQ(choice.refusal, refusal_named(refusal)->error);
            EXPECT_FALSE(std::string(choice.reason).empty());
            expect_a_working_ring();
        });
        EXPECT_EQ(ending, 0) << refusal;
    }
}

TEST(Refused, automatic_choice_tells_the_caller_of_refusals_that_may_pass) {
    for (const char* refusal : {"ENOMEM", "EMFILE", "ENFILE", "EAGAIN"}) {
        const int ending = ending_where_refused(refusal, "auto", [&] {
            EXPECT_EQ(provider::choose().kind, provider::Kind::kernel);
            io_uring_params params = {};
            EXPECT_THAT(setup_ring(8, &params), Gives(-refusal_named(refusal)->error));
        });
        EXPECT_EQ(ending, 0) << refusal;
    }
}

TEST(Refused, automatic_choice_is_the_same_from_then_on) {
    const int ending = ending_where_refused("EPERM", "auto", [] {
        for (int count = 0; count < 3; ++count) EXPECT_EQ(provider::choose().kind, provider::Kind::engine);
    });
    EXPECT_EQ(ending, 0);
}

TEST(Refused, choice_without_a_wish_in_the_environment_is_automatic) {
    for (const char* wish : {"", "something else"}) {
        const int ending = ending_where_refused("EPERM", wish, [] {
            EXPECT_EQ(provider::choose().kind, provider::Kind::engine);
            EXPECT_EQ(provider::choose().wish, provider::Wish::automatic);
        });
        EXPECT_EQ(ending, 0) << wish;
    }
}

TEST(Refused, kernel_that_was_asked_for_is_refused_to_the_caller) {
    const int ending = ending_where_refused("EPERM", "kernel", [] {
        EXPECT_EQ(provider::choose().kind, provider::Kind::kernel);
        io_uring_params params = {};
        EXPECT_THAT(setup_ring(8, &params), Gives(-EPERM));
    });
    EXPECT_EQ(ending, 0);
}

TEST(Refused, engine_that_was_asked_for_makes_no_io_uring_call) {
    // A policy may kill for one.
    for (const char* refusal : {"KILL", "TRAP"}) {
        const int ending = ending_where_refused(refusal, "engine", [] {
            EXPECT_EQ(provider::choose().kind, provider::Kind::engine);
            EXPECT_EQ(provider::choose().refusal, 0);
            expect_a_working_ring();
        });
        EXPECT_EQ(ending, 0) << refusal;
    }
}

TEST(Refused, wish_of_the_program_outdoes_the_environment) {
    const int ending = ending_where_refused("KILL", "kernel", [] {
        provider::set_wish(provider::Wish::engine);
        expect_a_working_ring();
    });
    EXPECT_EQ(ending, 0);
}

TEST(Refused, filter_does_what_its_name_says) {
    // Or else the tests above would prove nothing.
    EXPECT_EQ(ending_where_refused("KILL", "kernel", [] { RawRing ring; }), -SIGSYS);
    EXPECT_EQ(ending_where_refused("TRAP", "kernel", [] { RawRing ring; }), -SIGSYS);
}

}  // namespace
}  // namespace ringside::test
