// What is registered while it is in use by requests in flight or by other threads: it changes and goes, and whoever
// uses it does not notice; and in the end nothing of it is left.
#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "register/buffers.h"
#include "register/fixed_files.h"
#include "support/eventually.h"
#include "support/process.h"

namespace ringside::test {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr size_t page = 4096;

// --- Buffers that another thread replaces ----------------------------------------------------------------------------

// Pages that are registered one after the other, each with its number as its tag.
class ReplacedPages : public testing::Test {
  protected:
    static constexpr unsigned count = 200;
    static constexpr uint64_t first_tag = 1000;

    char* at(unsigned number) { return memory_.data() + number * page; }
    iovec vector_at(unsigned number) { return {at(number), page}; }

    // Replaces page after page, each once some requests were made on the one before.
    void replace_all() {
        for (unsigned number = 1; number < count; ++number) {
            while (batches_ < number && !stop_) std::this_thread::yield();
            EXPECT_THAT(update_buffers(ring_, 0, {vector_at(number)}, {first_tag + number}), Gives(1));
            current_ = number;
        }
    }
    void read_into(unsigned number) {
        for (unsigned i = 0; i < 16; ++i) {
            ring_.push(sqe::read_fixed(file_, 0, at(number) + i * 8, 5).data(i).flag(i % 4 == 0 ? IOSQE_ASYNC : 0));
        }
        EXPECT_THAT(ring_.submit_pushed(16), Gives(16));
        in_flight_ += 16;
        ++batches_;
    }
    // Whose tag has come is the program's again, which puts there what must stay.
    void take(const std::vector<Cqe>& completions) {
        for (const Cqe& cqe : completions) {
            if (cqe.user_data >= first_tag) {
                memset(at(static_cast<unsigned>(cqe.user_data - first_tag)), 'z', page);
                ++returned_;
            } else {
                EXPECT_THAT(cqe.res, AnyOf(5, -EFAULT)) << "read, or replaced before";
                --in_flight_;
            }
        }
    }
    bool is_untouched(unsigned number) { return std::string(at(number), page) == std::string(page, 'z'); }

    RawRing ring_{64};
    Fd file_ = file_with("hello world");
    AlignedBuffer memory_{count * page};
    std::atomic<unsigned> current_{0}, batches_{0};
    std::atomic<bool> stop_{false};
    unsigned in_flight_ = 0, returned_ = 0;
};

TEST_F(ReplacedPages, are_never_written_once_their_tag_has_come) {
    EXPECT_THAT(register_tagged_buffers(ring_, {vector_at(0)}, {first_tag}), Gives(0));
    std::thread updater([&] { replace_all(); });
    const int64_t give_up = now_ns() + patience_ms * 1'000'000;
    while (returned_ < count - 1 && now_ns() < give_up) {
        read_into(current_);
        take(ring_.wait(16));
    }
    stop_ = true;
    updater.join();
    EXPECT_THAT(unregister_buffers(ring_), Gives(0));
    while ((in_flight_ != 0 || returned_ < count) && now_ns() < give_up) take(ring_.wait(1));
    EXPECT_EQ(returned_, count);
    for (unsigned number = 0; number < count; ++number) EXPECT_TRUE(is_untouched(number)) << number;
}

// --- An eventfd
// -------------------------------------------------------------------------------------------------------

int register_eventfd(RawRing& ring, int fd) { return ring.register_call(IORING_REGISTER_EVENTFD, &fd, 1); }

uint64_t count_of(const Fd& eventfd) {
    uint64_t count = 0;
    return read(eventfd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

TEST(EventfdInUse, may_change_while_a_request_waits) {
    RawRing ring;
    const Pipe pipe;
    const Fd first(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), second(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    char byte;
    EXPECT_THAT(register_eventfd(ring, first), Gives(0));
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    EXPECT_THAT(ring.register_call(IORING_UNREGISTER_EVENTFD, nullptr, 0), Gives(0));
    EXPECT_THAT(register_eventfd(ring, second), Gives(0));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
    EXPECT_EQ(count_of(first), 0u);
    EXPECT_EQ(count_of(second), 1u);
}

// Its completions would raise what it waits for, again and again.
TEST(EventfdInUse, that_is_polled_by_its_own_ring_ends_the_poll_with_a_completion_that_raises_it) {
    for (const bool raised_before : {false, true}) {
        RawRing ring;
        const Fd eventfd(::eventfd(0, EFD_CLOEXEC));
        EXPECT_THAT(register_eventfd(ring, eventfd), Gives(0));
        const Sqe poll = sqe::poll_add(eventfd, POLLIN, IORING_POLL_ADD_MULTI).data(1);
        if (raised_before) {
            const uint64_t one = 1;
            EXPECT_EQ(write(eventfd, &one, sizeof(one)), 8);
            EXPECT_THAT(ring.submit(poll), Gives(1));
            EXPECT_THAT(ring.wait(2), ElementsAre(Completes(1, POLLIN, IORING_CQE_F_MORE), Completes(1, POLLIN)));
        } else {
            EXPECT_THAT(ring.submit(sqe::nop().data(2), poll), Gives(2));
            EXPECT_THAT(ring.wait(2), ElementsAre(Completes(2, 0), Completes(1, POLLIN)));
        }
        EXPECT_THAT(ring.linger(5), IsEmpty());
    }
}

TEST(EventfdInUse, may_come_and_go_under_load) {
    RawRing ring(32);
    const Fd eventfd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    std::atomic<bool> stop{false};
    std::thread registrar([&] {
        while (!stop) {
            EXPECT_THAT(register_eventfd(ring, eventfd), Gives(0));
            EXPECT_THAT(ring.register_call(IORING_UNREGISTER_EVENTFD, nullptr, 0), Gives(0));
        }
    });
    for (int round = 0; round < 100; ++round) {
        for (int i = 0; i < 32; ++i) ring.push(sqe::nop());
        EXPECT_THAT(ring.submit_pushed(32), Gives(32));
        EXPECT_EQ(ring.wait(32).size(), 32u);
    }
    stop = true;
    registrar.join();
}

// --- Credentials, limits, clocks
// --------------------------------------------------------------------------------------

TEST(PersonalityInUse, may_come_and_go_under_load) {
    RawRing ring(32);
    const int kept = ring.register_call(IORING_REGISTER_PERSONALITY, nullptr, 0);
    ASSERT_GT(kept, 0);
    std::atomic<bool> stop{false};
    std::thread registrar([&] {
        while (!stop) {
            const int id = ring.register_call(IORING_REGISTER_PERSONALITY, nullptr, 0);
            EXPECT_GT(id, 0);
            EXPECT_THAT(ring.register_call(IORING_UNREGISTER_PERSONALITY, nullptr, static_cast<unsigned>(id)),
                        Gives(0));
        }
    });
    for (int round = 0; round < 100; ++round) {
        for (int i = 0; i < 32; ++i) ring.push(sqe::nop().set(&Sqe::personality, kept));
        EXPECT_THAT(ring.submit_pushed(32), Gives(32));
        for (const Cqe& cqe : ring.wait(32)) EXPECT_EQ(cqe.res, 0);
    }
    stop = true;
    registrar.join();
}

TEST(WorkersInUse, keep_what_they_do_when_limits_and_processors_change) {
    RawRing ring;
    const Ends ends = unix_pair(SOCK_STREAM);
    char bytes[2] = {};
    const Sqe receive = sqe::transfer(IORING_OP_RECV, ends.far, bytes, 2, 0).set(&Sqe::msg_flags, MSG_WAITALL);
    EXPECT_THAT(ring.submit(Sqe(receive).data(1).flag(IOSQE_ASYNC)), Gives(1));
    unsigned limits[2] = {1, 1};
    EXPECT_THAT(ring.register_call(IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2), Gives(0));
    cpu_set_t processors;
    CPU_ZERO(&processors);
    CPU_SET(0, &processors);
    EXPECT_THAT(ring.register_call(IORING_REGISTER_IOWQ_AFF, &processors, sizeof(processors)), Gives(0));
    EXPECT_THAT(ring.register_call(IORING_UNREGISTER_IOWQ_AFF, nullptr, 0), Gives(0));
    EXPECT_EQ(write(ends.near, "xy", 2), 2);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 2)));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2), Gives(0));
}

TEST(ClockInUse, may_change_while_requests_wait) {
    RawRing ring;
    const __kernel_timespec time = milliseconds_of(5);
    EXPECT_THAT(ring.submit(sqe::timeout(&time).data(1)), Gives(1));
    io_uring_clock_register clock = {};
    clock.clockid = CLOCK_BOOTTIME;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_CLOCK, &clock, 0), Gives(0));
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, -ETIME)));
    EXPECT_THAT(ring.linger(1), IsEmpty());
}

// --- Rings that are registered
// ----------------------------------------------------------------------------------------

TEST(RingFdInUse, may_go_while_a_request_waits) {
    RawRing ring;
    const Pipe pipe;
    char byte;
    io_uring_rsrc_update update = {~0U, 0, static_cast<uint64_t>(ring.fd())};
    ASSERT_THAT(ring.register_call(IORING_REGISTER_RING_FDS, &update, 1), Gives(1));
    EXPECT_THAT(ring.submit(sqe::read(pipe.read_end, &byte, 1).data(1)), Gives(1));
    update.data = 0;
    EXPECT_THAT(ring.register_call(IORING_UNREGISTER_RING_FDS, &update, 1), Gives(1));
    EXPECT_EQ(write(pipe.write_end, "x", 1), 1);
    EXPECT_THAT(ring.wait(1), ElementsAre(Completes(1, 1)));
}

// --- All of it
// --------------------------------------------------------------------------------------------------------

// A ring on which everything is registered, and requests in flight use it.
void live_with_all_registered() {
    RawRing ring;
    const Pipe pipe;
    AlignedBuffer memory(page);
    const Fd eventfd(::eventfd(0, EFD_CLOEXEC));
    char byte;
    EXPECT_THAT(register_tagged(ring, {pipe.read_end, -1, pipe.write_end}, {1, 0, 2}), Gives(0));
    EXPECT_THAT(register_tagged_buffers(ring, {vector_of(memory), {nullptr, 0}}, {3, 0}), Gives(0));
    EXPECT_THAT(register_ring(ring, description_of_ring(nullptr, 8, 0, IOU_PBUF_RING_MMAP)), Gives(0));
    EXPECT_THAT(register_ring(ring, description_of_ring(memory.data(), 8, 1)), Gives(0));
    EXPECT_THAT(ring.run(sqe::provide_buffers(memory.data(), 16, 4, 2)), Gives(0));
    EXPECT_THAT(register_eventfd(ring, eventfd), Gives(0));
    EXPECT_GT(ring.register_call(IORING_REGISTER_PERSONALITY, nullptr, 0), 0);
    io_uring_region_desc region = {};
    region.size = page;
    io_uring_mem_region_reg registration = {address_of(&region), 0, {}};
    EXPECT_THAT(ring.register_call(IORING_REGISTER_MEM_REGION, &registration, 1), Gives(0));
    io_uring_rsrc_update own = {~0U, 0, static_cast<uint64_t>(ring.fd())};
    EXPECT_THAT(ring.register_call(IORING_REGISTER_RING_FDS, &own, 1), Gives(1));
    RawRing clone;
    EXPECT_THAT(clone_buffers(clone, ring), Gives(0));
    EXPECT_THAT(ring.submit(sqe::fixed(sqe::read(0, &byte, 1)), sqe::read_fixed(pipe.read_end, 0, memory.data(), 5),
                            sqe::fixed(sqe::read_fixed(0, 0, memory.data(), 5)).flag(IOSQE_ASYNC),
                            sqe::read_selecting(pipe.read_end, 2).set(&Sqe::personality, 1)),
                Gives(4));
    // A ring that is registered goes on without its descriptor.
    own.data = 0;
    EXPECT_THAT(ring.register_call(IORING_UNREGISTER_RING_FDS, &own, 1), Gives(1));
}

TEST(Registered, nothing_survives_its_ring) {
    // What a process makes but once is made by the first.
    const auto threads = count_threads();
    live_with_all_registered();
    EXPECT_TRUE(eventually([&] { return count_threads() <= threads; })) << count_threads();
    const Holdings before = holdings();
    for (int round = 0; round < 20; ++round) live_with_all_registered();
    EXPECT_TRUE(holds_no_more_than(before));
}

}  // namespace
}  // namespace ringside::test
