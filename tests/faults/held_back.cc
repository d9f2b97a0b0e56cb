// Races that hardly ever happen, made to: a call is held back while another thread does what has to come in between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "faults/call_sites.h"
#include "faults/scenarios.h"
#include "support/process.h"

namespace ringside::test {
namespace {

// A worker found a listener without a connection and was about to have its request wait for one, when the request was
// cancelled. The canceller was told -EALREADY, since a worker had it; the worker had nothing to be interrupted in, and
// the request waited for ever.
void cancel_before_the_wait(uintptr_t place, Sightings& sightings) {
    static std::atomic<bool> go_on;
    RawRing ring;
    const Fd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr any = {AF_UNIX, {}};
    ASSERT_EQ(bind(listener, &any, sizeof(sa_family_t)), 0);
    ASSERT_EQ(listen(listener, 8), 0);
    ASSERT_EQ(hold_back({SYS_ppoll, place, 1, 0}, sightings, go_on), 0);
    ring.submit(Sqe(IORING_OP_ACCEPT, listener).data(1).flag(IOSQE_ASYNC));
    if (place == 0) {
        EXPECT_TRUE(eventually([&] {
            bool made = false;
            sightings.for_each([&](long number, uintptr_t, unsigned) { made = made || number == SYS_ppoll; });
            return made;
        }));
        return;
    }
    EXPECT_TRUE(eventually([&] { return sightings.injected.load(); }));
    ring.submit(sqe::cancel(1).data(2));
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(2, -EALREADY)));
    go_on = true;
    go_on.notify_all();
    EXPECT_THAT(ring.wait(1), testing::ElementsAre(Completes(1, -EINTR)));
}

int in_child(uintptr_t place, Sightings& sightings) {
    return ending_of_child([&] {
        alarm(30);
        cancel_before_the_wait(place, sightings);
        fflush(stdout);
        return testing::Test::HasFailure() ? 1 : 0;
    });
}

// The first run tells where the call is made.
TEST(HeldBack, cancellation_of_what_a_worker_is_about_to_have_wait_ends_it) {
    Sightings& sightings = fresh_sightings();
    ASSERT_EQ(in_child(0, sightings), 0);
    uintptr_t place = 0;
    sightings.for_each([&](long number, uintptr_t at, unsigned) {
        if (number == SYS_ppoll && is_compiled_into("ops/socket.cc", engine_object_at(at))) place = at;
    });
    ASSERT_NE(place, 0u);
    EXPECT_EQ(in_child(place, fresh_sightings()), 0);
}

}  // namespace
}  // namespace ringside::test
