// Requests in flight: they keep the file they were made on, whatever the program does with its descriptor; and they end
// with their ring.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "support/eventually.h"
#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// Whether nobody reads from this pipe or socket any more.
bool is_abandoned(int fd) {
    pollfd entry = {fd, 0, 0};
    return poll(&entry, 1, 0) == 1 && (entry.revents & (POLLERR | POLLHUP)) != 0;
}

TEST(InFlight, read_of_a_pipe_goes_on_when_its_descriptor_is_closed) {
    RawRing ring;
    Pipe pipe;
    char buffer[8] = {};
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, buffer, 5).data(1)), Gives(1));
    pipe.read_end.reset();
    // The request is a reader still: writing is no EPIPE.
    EXPECT_FALSE(is_abandoned(pipe.write_end));
    EXPECT_EQ(write(pipe.write_end, "hello", 5), 5);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
    EXPECT_STREQ(buffer, "hello");
    // It was the last one.
    EXPECT_TRUE(eventually([&] { return is_abandoned(pipe.write_end); }));
}

TEST(InFlight, read_of_a_socket_goes_on_when_its_descriptor_is_closed) {
    for (const bool tcp : {false, true}) {
        SCOPED_TRACE(tcp ? "TCP" : "UNIX");
        RawRing ring;
        Ends ends = tcp ? tcp_pair() : unix_pair(SOCK_STREAM);
        char buffer[8] = {};
        EXPECT_THAT(ring.submit(sqe::read(ends.far, buffer, 5).data(1)), Gives(1));
        ends.far.reset();
        EXPECT_EQ(send(ends.near, "hello", 5, MSG_NOSIGNAL), 5);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
        EXPECT_STREQ(buffer, "hello");
    }
}

TEST(InFlight, poll_goes_on_when_its_descriptor_is_closed) {
    RawRing ring;
    Pipe pipe;
    EXPECT_THAT(ring.submit(sqe::poll_add(pipe.read_end, POLLIN).data(1)), Gives(1));
    pipe.read_end.reset();
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, POLLIN)));
}

TEST(InFlight, request_is_not_misled_by_another_file_of_the_same_number) {
    RawRing ring;
    Pipe first;
    const Pipe second;
    char old_buffer[8] = {};
    char new_buffer[8] = {};
    const int number = first.read_end.get();
    EXPECT_THAT(ring.submit(sqe::read(number, old_buffer, 3).data(1)), Gives(1));
    ASSERT_EQ(dup2(second.read_end, number), number);
    EXPECT_THAT(ring.submit(sqe::read(number, new_buffer, 3).data(2)), Gives(1));

    EXPECT_EQ(write(second.write_end, "new", 3), 3);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 3)));
    EXPECT_EQ(write(first.write_end, "old", 3), 3);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 3)));
    EXPECT_STREQ(old_buffer, "old");
    EXPECT_STREQ(new_buffer, "new");
}

TEST(InFlight, number_that_changes_hands_often_always_means_the_file_of_the_moment) {
    RawRing ring(16);
    const Fd number(dup(0));
    std::vector<Pipe> pipes(8);
    char bytes[8] = {};
    for (size_t index = 0; index < pipes.size(); ++index) {
        ASSERT_EQ(dup2(pipes[index].read_end, number), number.get());
        EXPECT_THAT(ring.submit(sqe::read(number, &bytes[index], 1).data(index)), Gives(1));
    }
    for (size_t index = pipes.size(); index-- > 0;) {
        const char letter = static_cast<char>('a' + index);
        EXPECT_EQ(write(pipes[index].write_end, &letter, 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(index, 1)));
    }
    EXPECT_EQ(std::string(bytes, sizeof(bytes)), "abcdefgh");
}

// Four requests in one batch: two on a descriptor, and two on it when the batch has closed it and put another file,
// that of slot 0, in its place.
void submit_across_a_close(RawRing& ring, int number, const std::vector<Sqe>& requests) {
    const Sqe install = Sqe(IORING_OP_FIXED_FD_INSTALL, 0).flag(IOSQE_FIXED_FILE).data(20);
    EXPECT_THAT(ring.submit(requests[0], requests[1], sqe::close(number).data(10), install, requests[2], requests[3]),
                Gives(6));
}

TEST(InFlight, requests_of_one_batch_keep_their_files_when_it_closes_their_descriptor) {
    const Pipe first, second;
    int second_in_slot = second.read_end;
    for (const bool polls : {true, false}) {
        SCOPED_TRACE(polls ? "polls" : "reads");
        RawRing ring;
        EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES, &second_in_slot, 1), Gives(0));
        const int number = dup(first.read_end);
        char bytes[4] = {};
        std::vector<Sqe> requests;
        for (size_t i = 0; i < 4; ++i) {
            requests.push_back((polls ? sqe::poll_add(number, POLLIN) : sqe::read(number, &bytes[i], 1)).data(i));
        }
        submit_across_a_close(ring, number, requests);
        const Fd installed(number);
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(10, 0), Completes(20, number)));
        const int result = polls ? POLLIN : 1;
        EXPECT_EQ(write(second.write_end, "bb", 2), 2);
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(2, result), Completes(3, result)));
        EXPECT_EQ(write(first.write_end, "aa", 2), 2);
        EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(0, result), Completes(1, result)));
        EXPECT_EQ(std::string(bytes, 4), polls ? std::string(4, '\0') : "aabb");
        if (polls) {
            EXPECT_EQ(first.drain() + second.drain(), 4u);
        }
    }
}

TEST(InFlight, reads_past_the_cache_in_one_batch_keep_their_files_when_it_closes_their_descriptor) {
    constexpr unsigned block = 4096;
    const Fd first = file_with(std::string(2 * block, 'a'), O_DIRECT), second = file_with(std::string(2 * block, 'b'));
    int second_in_slot = second;
    RawRing ring;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_FILES, &second_in_slot, 1), Gives(0));
    const int number = dup(first);
    AlignedBuffer buffer(4 * block);
    std::vector<Sqe> requests;
    for (unsigned i = 0; i < 4; ++i) {
        requests.push_back(sqe::read(number, buffer.data() + i * block, block, i % 2 * block).data(i));
    }
    submit_across_a_close(ring, number, requests);
    const Fd installed(number);
    EXPECT_THAT(ring.wait(6), UnorderedElementsAre(Completes(10, 0), Completes(20, number), Completes(0, block),
                                                   Completes(1, block), Completes(2, block), Completes(3, block)));
    EXPECT_EQ(std::string(buffer.data(), 4 * block), std::string(2 * block, 'a') + std::string(2 * block, 'b'));
}

TEST(InFlight, many_requests_of_one_batch_let_go_of_their_file_with_the_last_of_them) {
    RawRing ring;
    Pipe pipe;
    char bytes[4] = {};
    for (size_t i = 0; i < 4; ++i) ring.push(sqe::read(pipe.read_end, &bytes[i], 1).data(i));
    EXPECT_EQ(ring.enter(4), 4);
    pipe.read_end.reset();
    EXPECT_EQ(write(pipe.write_end, "abc", 3), 3);
    EXPECT_THAT(ring.wait(3), SizeIs(3));
    EXPECT_FALSE(is_abandoned(pipe.write_end));
    EXPECT_EQ(write(pipe.write_end, "d", 1), 1);
    EXPECT_THAT(ring.wait(1), SizeIs(1));
    EXPECT_TRUE(eventually([&] { return is_abandoned(pipe.write_end); }));
}

// The last to come is the first to look, and who has looked in vain comes anew.
TEST(InFlight, requests_on_one_file_are_served_from_the_last_to_the_first) {
    for (const unsigned flags : {0u, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN}) {
        SCOPED_TRACE(flags);
        RawRing ring(16, flags);
        const Pipe pipe;
        char bytes[4] = {};
        for (size_t i = 0; i < 4; ++i) {
            EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[i], 1).data(i)), Gives(1));
        }
        for (const uint64_t next : {3, 0, 2, 1}) {
            EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(next, 1)));
        }
    }
}

TEST(InFlight, read_that_is_handed_to_a_worker_keeps_its_file) {
    // The kernel reads tmpfs in a worker, for want of a way to read it without blocking.
    RawRing ring;
    const Fd first = memory_file_with("first");
    const Fd second = memory_file_with("second");
    const Fd number(dup(first));
    for (int round = 0; round < 50; ++round) {
        char one[8] = {};
        char two[8] = {};
        ASSERT_EQ(dup2(first, number), number.get());
        EXPECT_THAT(ring.submit(sqe::read(number, one, 5).data(1)), Gives(1));
        ASSERT_EQ(dup2(second, number), number.get());
        EXPECT_THAT(ring.submit(sqe::read(number, two, 6).data(2)), Gives(1));
        EXPECT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(1, 5), Completes(2, 6)));
        EXPECT_STREQ(one, "first");
        EXPECT_STREQ(two, "second");
    }
}

TEST(InFlight, read_takes_data_that_is_written_by_a_request_of_the_same_ring) {
    RawRing ring;
    const Pipe pipe;
    char buffer[8] = {};
    EXPECT_THAT(
        ring.submit(sqe::read(pipe.read_end, buffer, 5).data(1), sqe::write(pipe.write_end, "hello", 5).data(2)),
        Gives(2));
    EXPECT_THAT(ring.wait(2), testing::UnorderedElementsAre(Completes(1, 5), Completes(2, 5)));
    EXPECT_STREQ(buffer, "hello");
}

TEST(InFlight, requests_let_go_of_their_files_when_the_ring_is_closed) {
    Pipe pipe;
    Ends ends = unix_pair(SOCK_STREAM);
    char bytes[2] = {'-', '-'};
    const __kernel_timespec time = milliseconds_of(patience_ms);
    {
        RawRing ring;
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &bytes[0], 1), sqe::read(ends.far, &bytes[1], 1),
                                sqe::poll_add(pipe.read_end, POLLIN), sqe::timeout(&time)),
                    Gives(4));
        EXPECT_THAT(ring.close(), Gives(0));
    }
    pipe.read_end.reset();
    ends.far.reset();
    // The kernel tidies up a little after close(2) has returned.
    EXPECT_TRUE(eventually([&] { return is_abandoned(pipe.write_end) && is_abandoned(ends.near); }));
    EXPECT_EQ(std::string(bytes, 2), "--");
}

// An accept into a slot that was waiting when its ring was closed once took its result, which was 0 so far, for the
// descriptor that it had accepted, and closed the program's standard input.
TEST(InFlight, what_was_to_open_into_a_slot_opens_nothing_when_the_ring_is_closed) {
    const Fd spare(fcntl(0, F_GETFD) < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1);
    const Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(listen(listener, 1), 0);
    for (const bool chained : {false, true}) {
        RawRing ring;
        const Pipe pipe;
        char byte;
        Sqe accept = Sqe(IORING_OP_ACCEPT, listener).set(&Sqe::file_index, 1);
        if (chained) ring.push(sqe::read(pipe.read_end, &byte, 1).flag(IOSQE_IO_LINK));
        ring.push(accept);
        EXPECT_EQ(ring.enter(1 + chained), 1 + chained);
        EXPECT_THAT(ring.close(), Gives(0));
        EXPECT_GE(fcntl(0, F_GETFD), 0);
    }
}

TEST(InFlight, closing_the_ring_takes_asynchronous_work_along) {
    Pipe pipe;
    char byte;
    {
        RawRing ring;
        EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).flag(IOSQE_ASYNC)), Gives(1));
        EXPECT_THAT(ring.close(), Gives(0));
    }
    pipe.read_end.reset();
    EXPECT_TRUE(eventually([&] { return is_abandoned(pipe.write_end); }));
}

TEST(InFlight, ring_can_be_closed_by_another_than_the_one_that_submitted) {
    Pipe pipe;
    char byte;
    RawRing ring;
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1)), Gives(1));
    // A mapping keeps the kernel's ring alive as a descriptor does.
    ring.unmap();
    std::thread([&] { EXPECT_THAT(ring.close(), Gives(0)); }).join();
    pipe.read_end.reset();
    EXPECT_TRUE(eventually([&] { return is_abandoned(pipe.write_end); }));
}

TEST(InFlight, thousand_requests_wait_at_once) {
    RawRing ring(1024);
    const Pipe pipe;
    std::vector<char> bytes(1000);
    for (size_t index = 0; index < bytes.size(); ++index) {
        ring.push(sqe::read(pipe.read_end, &bytes[index], 1).data(index));
    }
    EXPECT_THAT(ring.submit_pushed(1000), Gives(1000));
    EXPECT_EQ(ring.ready(), 0u);
    const std::string content(1000, 'x');
    EXPECT_EQ(write(pipe.write_end, content.data(), content.size()), 1000);
    const std::vector<Cqe> completions = ring.wait(1000);
    EXPECT_THAT(completions, SizeIs(1000));
    for (const Cqe& cqe : completions) EXPECT_THAT(cqe, Gives(1));
    EXPECT_EQ(std::string(bytes.data(), bytes.size()), content);
}

int64_t own_cpu_time_ms() {
    timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}

TEST(InFlight, closing_takes_no_longer_for_each_request_the_more_there_are) {
    // Each was looked for from the beginning of the table, past the places of all that were gone.
    constexpr unsigned batches = 50, batch = 1000;
    RawRing ring(batch);
    const Pipe pipe;
    uint64_t next = 0;
    for (unsigned count = 0; count < batches; ++count) {
        for (unsigned entry = 0; entry < batch; ++entry) {
            ring.push(sqe::poll_add(pipe.read_end, POLLIN).data(next));
            next += 7919;
        }
        ASSERT_THAT(ring.submit_pushed(batch), Gives(batch));
    }
    const int64_t before_ms = own_cpu_time_ms();
    EXPECT_EQ(ring.close(), 0);
    EXPECT_LT(own_cpu_time_ms() - before_ms, 1000);
}

// No descriptor can be had while it lives.
class NoDescriptors {
  public:
    NoDescriptors() {
        getrlimit(RLIMIT_NOFILE, &before_);
        const Fd lowest_free(dup(0));
        const rlimit none = {static_cast<rlim_t>(lowest_free.get()), before_.rlim_max};
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    }
    ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;

  private:
    rlimit before_ = {};
};

TEST(InFlight, requests_wait_where_no_descriptor_is_left) {
    const Ends ends = unix_pair(SOCK_STREAM), others = unix_pair(SOCK_STREAM);
    for (const unsigned flags : {0U, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN}) {
        RawRing ring(8, flags);
        char bytes[2] = {};
        const auto receive = [&](int fd, uint64_t data) {
            return sqe::transfer(IORING_OP_RECV, fd, &bytes[data - 1], 1, 0).data(data);
        };
        const __kernel_timespec long_time = {100, 0};
        {
            const NoDescriptors shortage;
            ASSERT_THAT(ring.submit(receive(ends.near, 1), receive(others.near, 2), sqe::timeout(&long_time).data(3)),
                        Gives(3));
            EXPECT_THAT(ring.linger(), IsEmpty());
            EXPECT_EQ(write(ends.far, "a", 1), 1);
            EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
            EXPECT_EQ(bytes[0], 'a');
            ASSERT_THAT(ring.submit(receive(ends.near, 1), sqe::cancel(1).data(4)), Gives(2));
            EXPECT_THAT(ring.wait(2), UnorderedElementsAre(Completes(1, -ECANCELED), Completes(4, 0)));
        }
        // When there are some again, nothing has been forgotten.
        EXPECT_THAT(ring.linger(), IsEmpty());
        EXPECT_EQ(write(others.far, "b", 1), 1);
        EXPECT_THAT(ring.wait(1), ElementsAre(Completes(2, 1)));
        EXPECT_EQ(bytes[1], 'b');
    }
}

TEST(InFlight, child_that_exits_leaves_the_parents_requests_alone) {
    RawRing ring;
    const Pipe pipe;
    char buffer[8] = {};
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, buffer, 5).data(1)), Gives(1));
    EXPECT_EQ(ending_of_child([] { return 7; }), 7);
    EXPECT_THAT(ring.linger(), IsEmpty());
    EXPECT_EQ(write(pipe.write_end, "hello", 5), 5);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 5)));
    EXPECT_THAT(ring.run(sqe::nop().data(2)), Gives(0));
}

TEST(InFlight, child_can_set_up_a_ring_of_its_own) {
    RawRing ring;
    EXPECT_THAT(ring.run(sqe::nop().flag(IOSQE_ASYNC)), Gives(0));
    const int ending = ending_of_child([] {
        RawRing own;
        const Pipe pipe;
        char byte;
        own.submit(sqe::read(pipe.read_end, &byte, 1));
        const bool written = write(pipe.write_end, "x", 1) == 1;
        const std::vector<Cqe> completions = own.wait(1);
        return written && completions.size() == 1 && completions[0].res == 1 ? 0 : 1;
    });
    EXPECT_EQ(ending, 0);
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
}

TEST(InFlight, process_exits_at_once_with_requests_waiting) {
    const Stopwatch watch;
    const int ending = ending_of_child([] {
        static char bytes[2];
        static const __kernel_timespec time = milliseconds_of(patience_ms);
        const Pipe pipe;
        RawRing ring;
        ring.submit(sqe::read(pipe.read_end, &bytes[0], 1), sqe::read(pipe.read_end, &bytes[1], 1).flag(IOSQE_ASYNC),
                    sqe::timeout(&time));
        // The ring is open still.
        _exit(3);
        return 0;
    });
    EXPECT_EQ(ending, 3);
    EXPECT_LT(watch.elapsed_ms(), patience_ms / 2);
}

}  // namespace
}  // namespace ringside::test
