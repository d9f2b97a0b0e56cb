// IORING_OP_READ_MULTISHOT from files that know no RWF_NOWAIT: terminals, both ends of them, and those that the kernel
// reads by the older way, without an iterator.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <vector>

#include "register/buffers.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned group = 7;
constexpr uint32_t more = IORING_CQE_F_MORE;

// A file, and something to be read from it.
struct Readable {
    Fd file, other;
    std::function<void()> feed;
    int size;  // of what is read then
};

Readable terminal(bool master) {
    int ends[2];
    termios settings = {};
    cfmakeraw(&settings);
    EXPECT_EQ(openpty(&ends[0], &ends[1], nullptr, &settings, nullptr), 0);
    Readable readable = {Fd(ends[master ? 0 : 1]), Fd(ends[master ? 1 : 0]), {}, 6};
    readable.feed = [other = readable.other.get()] { EXPECT_EQ(write(other, "hello\n", 6), 6); };
    return readable;
}

Readable changes(const std::string& directory) {
    Readable readable = {Fd(inotify_init1(IN_CLOEXEC)), Fd(), {}, static_cast<int>(sizeof(inotify_event)) + 16};
    EXPECT_GE(inotify_add_watch(readable.file, directory.c_str(), IN_CREATE), 0);
    readable.feed = [directory, count = 0]() mutable {
        const std::string path = directory + "/" + std::to_string(count++);
        close(open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    };
    return readable;
}

void make_nonblocking(const Fd& file) { EXPECT_EQ(fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK), 0); }

class MultishotReadOf : public testing::Test {
  protected:
    MultishotReadOf() {
        for (unsigned id = 0; id < 8; ++id) provided.add(buffers, id);
    }
    Sqe read(const Readable& from) { return sqe::read_multishot(from.file, group).data(1); }
    void expect_end_by_cancellation() {
        EXPECT_THAT(ring.submit(sqe::cancel(1).data(2)), Gives(1));
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, 0), Completes(1, -ECANCELED)));
    }

    TemporaryDirectory directory;
    RawRing ring{32};
    Buffers buffers{8, 64};
    BufferRing provided{ring, 16, group};
};

// It answered -EOPNOTSUPP, where the kernel reads what is ready by the plain call.
TEST_F(MultishotReadOf, terminals_goes_on) {
    for (const bool master : {true, false}) {
        for (const bool nonblocking : {true, false}) {
            SCOPED_TRACE(master);
            Readable end = terminal(master);
            if (nonblocking) make_nonblocking(end.file);
            end.feed();
            EXPECT_THAT(ring.submit(read(end)), Gives(1));
            for (int round = 0; round < 2; ++round) {
                const std::vector<Cqe> completions = ring.wait(1);
                ASSERT_EQ(completions.size(), 1);
                EXPECT_EQ(completions[0].res, 6);
                EXPECT_TRUE(completions[0].flags & more);
                EXPECT_THAT(ring.linger(3), IsEmpty());
                if (round == 0) end.feed();
            }
            expect_end_by_cancellation();
        }
    }
}

TEST_F(MultishotReadOf, what_has_no_iterator_goes_on_if_it_is_nonblocking) {
    Readable watch = changes(directory.path());
    make_nonblocking(watch.file);
    EXPECT_THAT(ring.submit(read(watch)), Gives(1));
    for (unsigned round = 0; round < 3; ++round) {
        EXPECT_THAT(ring.linger(3), IsEmpty());
        watch.feed();
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, watch.size, with_buffer(round, more))));
    }
    expect_end_by_cancellation();
}

// The kernel takes a call that may wait for one that would.
TEST_F(MultishotReadOf, what_has_no_iterator_reads_nothing_if_it_may_wait) {
    Readable watch = changes(directory.path());
    watch.feed();
    EXPECT_THAT(ring.submit(read(watch)), Gives(1));
    watch.feed();
    EXPECT_THAT(ring.linger(5), IsEmpty());
    expect_end_by_cancellation();
}

TEST_F(MultishotReadOf, either_in_a_worker_reads_once_if_it_may_wait) {
    Readable readables[] = {terminal(true), terminal(false), changes(directory.path())};
    unsigned id = 0;
    for (Readable& readable : readables) {
        for (const bool ready : {true, false}) {
            if (ready) readable.feed();
            EXPECT_THAT(ring.submit(read(readable).flag(IOSQE_ASYNC)), Gives(1));
            if (!ready) {
                EXPECT_THAT(ring.linger(5), IsEmpty());
                readable.feed();
            }
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, readable.size, with_buffer(id++))));
        }
    }
}

TEST_F(MultishotReadOf, either_in_a_worker_goes_on_if_it_is_nonblocking) {
    Readable readables[] = {terminal(true), terminal(false), changes(directory.path())};
    for (unsigned id = 0; Readable & readable : readables) {
        make_nonblocking(readable.file);
        EXPECT_THAT(ring.submit(read(readable).flag(IOSQE_ASYNC)), Gives(1));
        for (int round = 0; round < 2; ++round) {
            EXPECT_THAT(ring.linger(5), IsEmpty());
            readable.feed();
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, readable.size, with_buffer(id++, more))));
        }
        expect_end_by_cancellation();
    }
}

}  // namespace
}  // namespace ringside::test
