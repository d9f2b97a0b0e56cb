// IORING_REGISTER_RING_FDS: a thread's own small numbers for its rings, and rings that have nothing else.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

constexpr unsigned any = ~0U;
constexpr unsigned by_index = IORING_REGISTER_USE_REGISTERED_RING;

io_uring_rsrc_update entry(int fd, unsigned index = any) {
    io_uring_rsrc_update update = {};
    update.offset = index;
    update.data = static_cast<uint64_t>(fd);
    return update;
}

int register_one(RawRing& ring, io_uring_rsrc_update& update) {
    return ring.register_call(IORING_REGISTER_RING_FDS, &update, 1);
}

// Registers a ring's descriptor at any free index, and returns that.
unsigned register_itself(RawRing& ring) {
    io_uring_rsrc_update update = entry(ring.fd());
    EXPECT_THAT(register_one(ring, update), Gives(1));
    return update.offset;
}

int unregister(RawRing& ring, unsigned index) {
    io_uring_rsrc_update update = entry(0, index);
    return ring.register_call(IORING_UNREGISTER_RING_FDS, &update, 1);
}

int enter_by(unsigned index, unsigned to_submit = 0) {
    return provider::enter(provider_under_test(), static_cast<int>(index), to_submit, 0, IORING_ENTER_REGISTERED_RING,
                           nullptr, 0);
}

int register_by(unsigned index, unsigned opcode, void* arg = nullptr, unsigned count = 0) {
    return provider::register_call(provider_under_test(), index, opcode | by_index, arg, count);
}

TEST(RingFds, name_a_ring_in_enter_and_register) {
    RawRing ring;
    EXPECT_EQ(register_itself(ring), 0u);
    ring.push(sqe::nop().data(7));
    EXPECT_THAT(enter_by(0, 1), Gives(1));
    EXPECT_THAT(ring.reap(), testing::ElementsAre(Completes(7, 0)));
    EXPECT_THAT(register_by(0, IORING_UNREGISTER_FILES), Gives(-ENXIO));
    EXPECT_THAT(unregister(ring, 0), Gives(1));
    EXPECT_THAT(enter_by(0), Gives(-EBADF));
    EXPECT_THAT(register_by(0, IORING_UNREGISTER_FILES), Gives(-EBADF));
}

TEST(RingFds, are_sixteen_a_thread) {
    RawRing ring;
    std::vector<io_uring_rsrc_update> updates(17, entry(ring.fd()));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_RING_FDS, updates.data(), 17), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_RING_FDS, updates.data(), 16), Gives(16));
    for (unsigned index = 0; index < 16; ++index) EXPECT_EQ(updates[index].offset, index);
    EXPECT_THAT(register_one(ring, updates[16]), Gives(-EBUSY));
    EXPECT_THAT(unregister(ring, 5), Gives(1));
    EXPECT_THAT(register_one(ring, updates[16]), Gives(1));
    EXPECT_EQ(updates[16].offset, 5u);
    for (unsigned index = 0; index < 16; ++index) EXPECT_THAT(unregister(ring, index), Gives(1));
}

TEST(RingFds, tell_each_error) {
    RawRing ring;
    const Pipe pipe;
    const auto answer = [&](io_uring_rsrc_update update) { return register_one(ring, update); };
    EXPECT_THAT(answer(entry(1'000'000)), Gives(-EBADF));
    EXPECT_THAT(answer(entry(pipe.read_end)), Gives(-EOPNOTSUPP));
    EXPECT_THAT(answer(entry(ring.fd(), 16)), Gives(-EINVAL));
    io_uring_rsrc_update reserved = entry(ring.fd());
    reserved.resv = 1;
    EXPECT_THAT(answer(reserved), Gives(-EINVAL));
    EXPECT_THAT(answer(entry(ring.fd(), 3)), Gives(1));
    EXPECT_THAT(answer(entry(ring.fd(), 3)), Gives(-EBUSY));
    EXPECT_THAT(enter_by(16), Gives(-EINVAL));
    EXPECT_THAT(register_by(16, IORING_UNREGISTER_FILES), Gives(-EINVAL));
    EXPECT_THAT(enter_by(4), Gives(-EBADF));

    EXPECT_THAT(unregister(ring, 16), Gives(-EINVAL));
    EXPECT_THAT(unregister(ring, 4), Gives(1)) << "nothing is there, which is what was wanted";
    io_uring_rsrc_update with_data = entry(ring.fd(), 3);
    EXPECT_THAT(ring.register_call(IORING_UNREGISTER_RING_FDS, &with_data, 1), Gives(-EINVAL));
    EXPECT_THAT(unregister(ring, 3), Gives(1));
    // A list goes as far as it gets.
    io_uring_rsrc_update list[] = {entry(ring.fd(), 1), entry(1'000'000), entry(ring.fd(), 2)};
    EXPECT_THAT(ring.register_call(IORING_REGISTER_RING_FDS, list, 3), Gives(1));
    EXPECT_THAT(enter_by(2), Gives(-EBADF));
    EXPECT_THAT(unregister(ring, 1), Gives(1));
}

TEST(RingFds, belong_to_the_thread_that_registered_them) {
    RawRing ring;
    const unsigned index = register_itself(ring);
    std::thread([&] {
        RawRing own;
        EXPECT_THAT(enter_by(index), Gives(-EBADF));
        EXPECT_EQ(register_itself(own), 0u);
    }).join();
    EXPECT_THAT(enter_by(index), Gives(0));
    EXPECT_THAT(unregister(ring, index), Gives(1));
}

TEST(RingFds, keep_the_ring_when_its_descriptor_is_closed) {
    RawRing ring;
    const unsigned index = register_itself(ring);
    EXPECT_EQ(ring.close(), 0);
    EXPECT_THAT(enter_by(index), Gives(0));
    io_uring_rsrc_update update = entry(0, index);
    EXPECT_THAT(register_by(index, IORING_UNREGISTER_RING_FDS, &update, 1), Gives(1));
    EXPECT_THAT(enter_by(index), Gives(-EBADF));
}

TEST(RingFds, go_with_their_thread) {
    // Two times, since the first ring of a process leaves things behind that are made but once.
    const auto live_and_die = [] {
        std::thread([] {
            RawRing ring;
            register_itself(ring);
        }).join();
    };
    live_and_die();
    const size_t before = count_fds();
    live_and_die();
    EXPECT_EQ(count_fds(), before);
}

// Memory for a ring that brings none.
struct ProgramsMemory {
    ProgramsMemory() : start(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
    ~ProgramsMemory() { munmap(start, size); }
    static constexpr size_t size = 8192;
    void* start;
};

TEST(RingFds, can_be_all_that_a_ring_has) {
    const ProgramsMemory memory;
    io_uring_params params =
        params_with(IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY | IORING_SETUP_NO_SQARRAY);
    params.cq_off.user_addr = address_of(memory.start);
    params.sq_off.user_addr = address_of(memory.start) + 4096;
    const size_t before = count_fds();
    const int index = setup_ring(4, &params);
    ASSERT_GE(index, 0);
    EXPECT_LT(index, 16);
    // The engine's own pair of sockets comes with a process's first ring.
    EXPECT_EQ(count_fds(), before + (provider_under_test() == provider::Kind::kernel ? 0 : 2))
        << "no descriptor at all";

    char* rings = static_cast<char*>(memory.start);
    auto* sqes = reinterpret_cast<io_uring_sqe*>(rings + 4096);
    sqes[0] = sqe::nop().data(9);
    std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(rings + params.sq_off.tail)).store(1);
    EXPECT_THAT(enter_by(static_cast<unsigned>(index), 1), Gives(1));
    const auto* cqe = reinterpret_cast<const io_uring_cqe*>(rings + params.cq_off.cqes);
    EXPECT_EQ(cqe->user_data, 9u);
    EXPECT_EQ(cqe->res, 0);

    io_uring_rsrc_update update = entry(0, static_cast<unsigned>(index));
    EXPECT_THAT(register_by(static_cast<unsigned>(index), IORING_UNREGISTER_RING_FDS, &update, 1), Gives(1));
    EXPECT_THAT(enter_by(static_cast<unsigned>(index)), Gives(-EBADF));
}

TEST(RingFds, are_not_inherited_by_a_child) {
    RawRing ring;
    const unsigned index = register_itself(ring);
    EXPECT_EQ(ending_of_child([&] { return enter_by(index) < 0 ? 0 : 1; }), 0);
    EXPECT_THAT(enter_by(index), Gives(0));
    EXPECT_THAT(unregister(ring, index), Gives(1));
}

}  // namespace
}  // namespace ringside::test
