// IORING_SETUP_DEFER_TASKRUN: whatever waits for the program's call is announced, by IORING_SQ_TASKRUN and by the
// registered eventfd, when it begins to wait.
//
// The engine announced what came from its own threads alone. Work that the program's own call had made, the next of a
// chain or a cancelled request, say, was announced by nothing: a program that peeks, or waits for its eventfd, waited
// for ever.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAreArray;

constexpr unsigned getevents = IORING_ENTER_GETEVENTS;
constexpr unsigned deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

Sqe nop(uint64_t data, unsigned flags = 0) { return sqe::nop().data(data).flag(flags); }

// A ring with an eventfd, and what requests of its may wait for.
struct Announcing {
    explicit Announcing(unsigned flags) : ring(16, flags) {
        int fd = eventfd;
        EXPECT_THAT(ring.register_call(IORING_REGISTER_EVENTFD, &fd, 1), Gives(0));
    }

    bool announces() const { return ring.sq_flags().load() & IORING_SQ_TASKRUN; }
    // How often the eventfd has been raised so far.
    uint64_t raised() {
        uint64_t count = 0;
        if (read(eventfd, &count, sizeof(count)) == sizeof(count)) raised_ += count;
        return raised_;
    }

    RawRing ring;
    const Fd eventfd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    Pipe pipe;
    char byte = 0;
    const __kernel_timespec far = {100, 0};
    const __kernel_timespec soon = milliseconds_of(5);
    int no_files[1] = {-1};

  private:
    uint64_t raised_ = 0;
};

// Who makes work for the program's next call, which completions are there without it, how often the eventfd is raised
// by then, and what completes in calls.
struct Source {
    const char* name;
    std::function<void(Announcing&)> make;
    std::vector<Cqe> at_once;
    uint64_t raised;
    std::vector<Cqe> later;
};

const Source sources[] = {
    {"next_of_a_chain",
     [](Announcing& in) {
         EXPECT_THAT(in.ring.submit(nop(1, IOSQE_IO_LINK), nop(2, IOSQE_IO_LINK), nop(3)), Gives(3));
     },
     {{1, 0, 0}},
     2,
     {{2, 0, 0}, {3, 0, 0}}},
    {"rest_of_a_chain_that_failed",
     [](Announcing& in) {
         EXPECT_THAT(in.ring.submit(sqe::read(-1, &in.byte, 1).data(1).flag(IOSQE_IO_LINK), nop(2)), Gives(2));
     },
     {{1, -EBADF, 0}},
     2,
     {{2, -ECANCELED, 0}}},
    {"what_drains",
     [](Announcing& in) { EXPECT_THAT(in.ring.submit(nop(1), nop(2, IOSQE_IO_DRAIN)), Gives(2)); },
     {{1, 0, 0}},
     2,
     {{2, 0, 0}}},
    {"link_timeout_of_what_is_done",
     [](Announcing& in) {
         const Sqe limit = Sqe(IORING_OP_LINK_TIMEOUT).set(&Sqe::addr, address_of(&in.far)).set(&Sqe::len, 1).data(2);
         EXPECT_THAT(in.ring.submit(nop(1, IOSQE_IO_LINK), limit), Gives(2));
     },
     {{1, 0, 0}},
     2,
     {{2, -ECANCELED, 0}}},
    {"poll_that_is_cancelled",
     [](Announcing& in) {
         EXPECT_THAT(in.ring.submit(sqe::poll_add(in.pipe.read_end, POLLIN).data(1)), Gives(1));
         EXPECT_THAT(in.ring.submit(sqe::cancel(1).data(2)), Gives(1));
     },
     {{2, 0, 0}},
     2,
     {{1, -ECANCELED, 0}}},
    {"poll_that_is_removed",
     [](Announcing& in) {
         EXPECT_THAT(in.ring.submit(sqe::poll_add(in.pipe.read_end, POLLIN).data(1)), Gives(1));
         EXPECT_THAT(in.ring.submit(sqe::poll_remove(1).data(2)), Gives(1));
     },
     {{2, 0, 0}},
     2,
     {{1, -ECANCELED, 0}}},
    {"read_that_is_cancelled",
     [](Announcing& in) {
         EXPECT_THAT(in.ring.submit(sqe::read(in.pipe.read_end, &in.byte, 1).data(1)), Gives(1));
         EXPECT_THAT(in.ring.submit(sqe::cancel(1).data(2)), Gives(1));
     },
     {{2, 0, 0}},
     2,
     {{1, -ECANCELED, 0}}},
    {"timeout_that_is_cancelled",
     [](Announcing& in) {
         EXPECT_THAT(in.ring.submit(sqe::timeout(&in.far).data(1)), Gives(1));
         EXPECT_THAT(in.ring.submit(sqe::cancel(1).data(2)), Gives(1));
     },
     {{2, 0, 0}},
     2,
     {{1, -ECANCELED, 0}}},
    {"timeout_that_is_removed",
     [](Announcing& in) {
         EXPECT_THAT(in.ring.submit(sqe::timeout(&in.far).data(1)), Gives(1));
         EXPECT_THAT(in.ring.submit(sqe::timeout_remove(1).data(2)), Gives(1));
     },
     {{2, 0, 0}},
     2,
     {{1, -ECANCELED, 0}}},
    {"timeout_that_counts",
     [](Announcing& in) {
         EXPECT_THAT(in.ring.submit(sqe::timeout(&in.far, 1).data(1)), Gives(1));
         EXPECT_THAT(in.ring.submit(nop(2)), Gives(1));
     },
     {{2, 0, 0}},
     2,
     {{1, 0, 0}}},
    {"timeout_that_is_over",
     [](Announcing& in) { EXPECT_THAT(in.ring.submit(sqe::timeout(&in.soon).data(1)), Gives(1)); },
     {},
     1,
     {{1, -ETIME, 0}}},
    {"file_that_is_ready",
     [](Announcing& in) {
         EXPECT_THAT(in.ring.submit(sqe::read(in.pipe.read_end, &in.byte, 1).data(1)), Gives(1));
         EXPECT_EQ(write(in.pipe.write_end, "x", 1), 1);
     },
     {},
     1,
     {{1, 1, 0}}},
    {"message_to_itself",
     [](Announcing& in) {
         const Sqe message = Sqe(IORING_OP_MSG_RING, in.ring.fd()).set(&Sqe::len, 7).set(&Sqe::off, 2).data(1);
         EXPECT_THAT(in.ring.submit(message), Gives(1));
     },
     {{1, 0, 0}},
     2,
     {{2, 7, 0}}},
    {"nop_of_a_worker",
     [](Announcing& in) { EXPECT_THAT(in.ring.submit(nop(1, IOSQE_ASYNC)), Gives(1)); },
     {},
     1,
     {{1, 0, 0}}},
    {"close_of_a_worker",
     [](Announcing& in) {
         EXPECT_THAT(in.ring.submit(sqe::close(in.pipe.read_end.release()).data(1).flag(IOSQE_ASYNC)), Gives(1));
     },
     {},
     1,
     {{1, 0, 0}}},
    {"update_of_files_of_a_worker",
     [](Announcing& in) {
         EXPECT_THAT(in.ring.register_call(IORING_REGISTER_FILES, in.no_files, 1), Gives(0));
         const Sqe update = Sqe(IORING_OP_FILES_UPDATE).set(&Sqe::addr, address_of(in.no_files)).set(&Sqe::len, 1);
         EXPECT_THAT(in.ring.submit(Sqe(update).data(1).flag(IOSQE_ASYNC)), Gives(1));
     },
     {},
     1,
     {{1, 1, 0}}},
    {"read_of_a_worker",
     [](Announcing& in) {
         EXPECT_EQ(write(in.pipe.write_end, "x", 1), 1);
         EXPECT_THAT(in.ring.submit(sqe::read(in.pipe.read_end, &in.byte, 1).data(1).flag(IOSQE_ASYNC)), Gives(1));
     },
     {},
     1,
     {{1, 1, 0}}},
};

class Announcement : public testing::TestWithParam<Source> {};

INSTANTIATE_TEST_SUITE_P(Of, Announcement, testing::ValuesIn(sources),
                         [](const auto& source) { return std::string(source.param.name); });

TEST_P(Announcement, is_made_when_work_begins_to_wait_for_the_programs_call) {
    const Source& source = GetParam();
    Announcing in(deferred | IORING_SETUP_TASKRUN_FLAG);
    source.make(in);
    EXPECT_TRUE(eventually([&] { return in.announces(); }));
    EXPECT_TRUE(eventually([&] { return in.raised() >= source.raised; }));
    EXPECT_EQ(in.raised(), source.raised);
    std::vector<Cqe> reaped = in.ring.reap();
    EXPECT_EQ(reaped, source.at_once);
    // A program that enters when there is something to enter for misses nothing.
    EXPECT_TRUE(eventually([&] {
        if (!in.announces()) return reaped.size() == source.at_once.size() + source.later.size();
        EXPECT_THAT(in.ring.enter(0, 0, getevents), Gives(0));
        for (const Cqe& cqe : in.ring.reap()) reaped.push_back(cqe);
        return false;
    }));
    std::vector<Cqe> all = source.at_once;
    all.insert(all.end(), source.later.begin(), source.later.end());
    EXPECT_THAT(reaped, UnorderedElementsAreArray(all));
    EXPECT_FALSE(in.announces());
    const uint64_t raised = in.raised();
    sleep_ms(5);
    EXPECT_EQ(in.raised(), raised);
}

TEST_P(Announcement, by_an_eventfd_alone_is_enough_to_wait_for) {
    const Source& source = GetParam();
    Announcing in(deferred);
    source.make(in);
    std::vector<Cqe> reaped;
    for (const size_t all = source.at_once.size() + source.later.size(); reaped.size() < all;) {
        pollfd entry = {in.eventfd, POLLIN, 0};
        ASSERT_EQ(poll(&entry, 1, static_cast<int>(patience_ms)), 1) << reaped.size();
        in.raised();
        EXPECT_THAT(in.ring.enter(0, 0, getevents), Gives(0));
        for (const Cqe& cqe : in.ring.reap()) reaped.push_back(cqe);
    }
}

TEST(Announced, work_is_done_by_a_call_that_finds_enough_without_it) {
    Announcing in(deferred | IORING_SETUP_TASKRUN_FLAG);
    EXPECT_THAT(in.ring.submit(sqe::read(in.pipe.read_end, &in.byte, 1).data(1)), Gives(1));
    EXPECT_EQ(write(in.pipe.write_end, "x", 1), 1);
    EXPECT_TRUE(eventually([&] { return in.announces(); }));
    in.ring.push(nop(2));
    EXPECT_THAT(in.ring.enter(1, 1, getevents), Gives(1));
    EXPECT_THAT(in.ring.reap(), UnorderedElementsAreArray({Completes(1, 1), Completes(2, 0)}));
    EXPECT_FALSE(in.announces());
}

TEST(Announced, work_wakes_a_call_that_waits_and_is_told_by_the_eventfd_all_the_same) {
    Announcing in(deferred);
    in.ring.push(nop(1, IOSQE_IO_LINK));
    in.ring.push(nop(2));
    EXPECT_THAT(in.ring.enter(2, 2, getevents), Gives(2));
    EXPECT_THAT(in.ring.reap(), ElementsAre(Completes(1, 0), Completes(2, 0)));
    // Two completions, and that the second had work.
    EXPECT_EQ(in.raised(), 3u);
}

TEST(Announced, nothing_is_on_a_ring_that_does_its_work_by_itself) {
    for (const unsigned flags : {0U, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG}) {
        Announcing in(flags);
        EXPECT_THAT(in.ring.submit(nop(1, IOSQE_IO_LINK), nop(2, IOSQE_IO_LINK), nop(3)), Gives(3));
        EXPECT_FALSE(in.announces());
        EXPECT_THAT(in.ring.reap(), ElementsAre(Completes(1, 0), Completes(2, 0), Completes(3, 0)));
        EXPECT_EQ(in.raised(), 3u);
    }
}

}  // namespace
}  // namespace ringside::test
