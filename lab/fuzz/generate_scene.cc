#include "fuzz/generate_scene.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstring>

#include "fuzz/arena.h"
#include "fuzz/generate.h"
#include "fuzz/world.h"
#include "liburing/io_uring.h"

namespace ringside::fuzz {
namespace {

using Scene = std::vector<Step>;

constexpr int file = world::first_fd, direct_file = world::first_fd + 16;
constexpr int stream = world::first_fd + 6, peer = stream + 1;
constexpr int first_ring = world::first_fd + world::file_count;
constexpr uint64_t scratch = arena::address_of_page(arena::scratch_page);

Step step_with(Action action, uint8_t ring, const auto& argument) {
    Step step{};
    step.action = static_cast<uint8_t>(action);
    step.ring = ring;
    memcpy(step.bytes, &argument, sizeof(argument));
    return step;
}

// Waits where it stays empty until the whole batch is there.
Step push(const io_uring_sqe& sqe, uint8_t ring = 0) { return step_with(Action::submit, ring, sqe); }

Step registration(unsigned opcode, const auto& argument, uint32_t count, uint8_t ring = 0) {
    Step step = step_with(Action::register_call, ring, argument);
    step.small = static_cast<uint16_t>(opcode);
    step.word = count;
    return step;
}

// For all that was pushed, waiting for one completion, for a moment.
Step enter(uint16_t to_submit, uint8_t ring = 0) {
    Step step = step_with(Action::enter, ring, uint64_t{0});
    step.small = to_submit;
    step.word = 1 << 16 | 1;
    step.big = IORING_ENTER_GETEVENTS;
    return step;
}

Step set_up(uint32_t flags) {
    io_uring_params params{};
    params.flags = flags;
    Step step = step_with(Action::set_up, 0, params);
    step.word = 16;
    return step;
}

io_uring_sqe entry(uint8_t opcode, int fd, uint64_t address, uint32_t length, uint64_t offset) {
    io_uring_sqe sqe{};
    sqe.opcode = opcode;
    sqe.fd = fd;
    sqe.addr = address;
    sqe.len = length;
    sqe.off = offset;
    return sqe;
}

// Now and then something that does not belong.
void disturb(io_uring_sqe& sqe, lab::Random& random) {
    if (random.percent(8)) sqe.flags |= static_cast<uint8_t>(1 << random.below(7));
    if (random.percent(5)) sqe.rw_flags = static_cast<__kernel_rwf_t>(random.below(0x40));
    if (random.percent(5)) sqe.addr = arena::address_of_page(arena::missing_page) - random.below(16);
    if (random.percent(5)) sqe.len = random.one_of({0u, 4096u, ~0u});
    if (random.percent(5)) sqe.fd = world::first_fd + static_cast<int>(random.below(world::file_count));
    sqe.user_data = random.below(8);
}

// Reads or writes of one file, each where the one before it ends.
void add_neighbours(Scene& scene, lab::Random& random) {
    const uint8_t opcode = random.one_of<uint8_t>(
        {IORING_OP_READ, IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READ_FIXED, IORING_OP_WRITE_FIXED});
    const bool fixed = opcode == IORING_OP_READ_FIXED || opcode == IORING_OP_WRITE_FIXED;
    const bool past_the_cache = random.percent(20);
    const uint32_t length = past_the_cache ? 512 : static_cast<uint32_t>(random.between(1, 8));
    if (fixed) {
        iovec buffers[2];
        for (auto& buffer : buffers) buffer = {reinterpret_cast<void*>(scratch), 2 * arena::page};
        scene.push_back(registration(IORING_REGISTER_BUFFERS, buffers, 2));
    }
    uint64_t at = 0;
    const auto count = static_cast<uint16_t>(random.between(2, 8));
    for (uint16_t index = 0; index < count; ++index, at += length) {
        io_uring_sqe sqe = entry(opcode, past_the_cache ? direct_file : file, scratch + at, length, at);
        disturb(sqe, random);
        scene.push_back(push(sqe));
    }
    scene.push_back(enter(count));
}

// Completions and files from one ring to another, and back.
void add_messages(Scene& scene, lab::Random& random) {
    const uint32_t kind =
        random.one_of({0u, 0u, static_cast<uint32_t>(IORING_SETUP_SQPOLL), static_cast<uint32_t>(IORING_SETUP_CQE32)});
    const uint32_t deferred = random.percent(40) ? IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN : 0;
    scene.push_back(set_up(deferred));
    scene.push_back(set_up(kind));
    const int files[4] = {file, stream, -1, -1};
    for (const uint8_t ring : {uint8_t{0}, uint8_t{1}}) {
        if (random.percent(80)) scene.push_back(registration(IORING_REGISTER_FILES, files, 4, ring));
    }
    const auto count = static_cast<uint16_t>(random.between(1, 6));
    for (uint16_t index = 0; index < count; ++index) {
        const auto ring = static_cast<uint8_t>(random.below(2));
        const uint64_t command = random.below(2);
        io_uring_sqe sqe = entry(IORING_OP_MSG_RING, first_ring + 1 - ring, command, 0, random.below(8));
        if (command == IORING_MSG_SEND_FD) {
            sqe.addr3 = random.below(3);
            sqe.file_index = random.percent(40) ? ~0u : static_cast<uint32_t>(random.between(1, 5));
        } else {
            sqe.len = static_cast<uint32_t>(random.below(4));
        }
        sqe.msg_ring_flags = static_cast<uint32_t>(random.percent(70) ? 0 : random.below(4));
        if (random.percent(15)) sqe.flags |= static_cast<uint8_t>(1 << random.below(7));
        scene.push_back(push(sqe, ring));
        if (random.percent(50)) scene.push_back(enter(8, ring));
    }
    scene.push_back(enter(8, 0));
    scene.push_back(enter(8, 1));
}

// Sends and receptions that take several provided buffers at a time.
void add_bundles(Scene& scene, lab::Random& random) {
    io_uring_buf_reg group{};
    group.flags = static_cast<uint16_t>(random.percent(40) ? IOU_PBUF_RING_INC : 0);
    group.ring_addr = arena::address_of_page(arena::buffer_ring_page);
    group.ring_entries = 8;
    scene.push_back(registration(IORING_REGISTER_PBUF_RING, group, 1));
    const auto count = static_cast<uint16_t>(random.between(1, 4));
    for (uint16_t index = 0; index < count; ++index) {
        const bool sends = random.percent(50);
        const uint32_t length = random.percent(60) ? 0 : static_cast<uint32_t>(random.between(1, 300));
        io_uring_sqe sqe =
            entry(sends ? IORING_OP_SEND : IORING_OP_RECV, random.percent(50) ? stream : peer, 0, length, 0);
        sqe.flags = IOSQE_BUFFER_SELECT;
        sqe.ioprio = IORING_RECVSEND_BUNDLE;
        if (!sends && random.percent(50)) sqe.ioprio |= IORING_RECV_MULTISHOT;
        if (random.percent(20)) sqe.msg_flags = MSG_WAITALL;
        disturb(sqe, random);
        scene.push_back(push(sqe));
        if (random.percent(40)) scene.push_back(enter(8));
        if (random.percent(40)) {
            Step more = step_with(Action::provide, 0, uint64_t{0});
            more.small = static_cast<uint16_t>(random.below(64) << 2);
            more.word = 64;
            more.big = scratch + 64 * random.below(8);
            scene.push_back(more);
        }
    }
    scene.push_back(enter(8));
}

}  // namespace

std::vector<Step> random_scene(lab::Random& random) {
    Scene scene;
    switch (random.below(3)) {
        case 0:
            add_neighbours(scene, random);
            break;
        case 1:
            add_messages(scene, random);
            break;
        default:
            add_bundles(scene, random);
            break;
    }
    return scene;
}

}  // namespace ringside::fuzz
