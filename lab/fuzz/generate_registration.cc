#include "fuzz/generate_registration.h"

#include <sys/uio.h>

#include <algorithm>
#include <cstring>

#include "fuzz/arena.h"
#include "fuzz/generate_entry.h"
#include "fuzz/generate_value.h"
#include "fuzz/world.h"

namespace ringside::fuzz {
namespace {

constexpr unsigned first_ring = world::first_fd + world::file_count;
constexpr uint64_t scratch = arena::address_of_page(arena::scratch_page);

void fill(Step& step, const auto& value) { memcpy(step.bytes, &value, std::min(sizeof(value), sizeof(step.bytes))); }

uint32_t few(lab::Random& random) { return static_cast<uint32_t>(random.below(9)); }

io_uring_rsrc_register table(bool files, lab::Random& random) {
    const bool sparse = random.percent(40);
    io_uring_rsrc_register argument{};
    argument.nr = few(random);
    argument.flags = sparse ? IORING_RSRC_REGISTER_SPARSE : 0;
    if (!sparse) argument.data = files ? arena::descriptors : arena::vectors;
    if (random.percent(30)) argument.tags = scratch;
    return argument;
}

io_uring_rsrc_update2 update(bool files, lab::Random& random) {
    io_uring_rsrc_update2 argument{};
    argument.offset = few(random);
    argument.data = files ? arena::descriptors : arena::vectors;
    if (random.percent(30)) argument.tags = scratch;
    argument.nr = few(random);
    return argument;
}

void fill_region(Step& step, lab::Random& random) {
    // The descriptor that the argument points to lies behind it, where the argument is placed plainly.
    struct {
        io_uring_mem_region_reg argument;
        io_uring_region_desc region;
    } both{};
    both.argument.region_uptr =
        arena::address_of_page(arena::scratch_page + arena::scratch_pages - 1) + sizeof(both.argument);
    both.argument.flags = random.percent(70) ? IORING_MEM_REGION_REG_WAIT_ARG : 0;
    both.region.user_addr = random.percent(70) ? scratch : 0;
    both.region.size = arena::page * random.below(3);
    both.region.flags = random.percent(70) ? IORING_MEM_REGION_TYPE_USER : 0;
    fill(step, both);
}

void fill_cancel(Step& step, lab::Random& random) {
    io_uring_sync_cancel_reg argument{};
    argument.addr = random.below(8);
    argument.fd = world::first_fd + static_cast<int>(random.below(world::file_count));
    argument.flags = static_cast<uint32_t>(random.below(64));
    argument.timeout = {0, random.one_of<int64_t>({0, 1'000'000, -1})};
    if (argument.timeout.tv_nsec < 0) argument.timeout.tv_sec = -1;
    argument.opcode = static_cast<uint8_t>(random.below(IORING_OP_LAST));
    fill(step, argument);
    step.word = 1;
}

void fill_restrictions(Step& step, lab::Random& random) {
    io_uring_restriction rules[7]{};
    for (io_uring_restriction& rule : rules) {
        rule.opcode = static_cast<uint16_t>(random.below(5));
        rule.sqe_op = static_cast<uint8_t>(random.below(64));
    }
    fill(step, rules);
    step.word = few(random);
}

// An argument that the call may well take.
void fill_argument(Step& step, lab::Random& random) {
    switch (step.small) {
        case IORING_REGISTER_BUFFERS:
            for (size_t index = 0; index < 7; ++index) {
                const iovec buffer{reinterpret_cast<void*>(scratch + index * 256), random_word(random) & 0xffff};
                memcpy(step.bytes + index * sizeof(buffer), &buffer, sizeof(buffer));
            }
            step.word = few(random);
            break;
        case IORING_REGISTER_FILES:
            for (int index = 0; index < 28; ++index) {
                const int fd = random.percent(20) ? -1 : world::first_fd + index % (world::file_count + 4);
                memcpy(step.bytes + static_cast<size_t>(index) * sizeof(fd), &fd, sizeof(fd));
            }
            step.word = static_cast<uint32_t>(random.below(28));
            break;
        case IORING_REGISTER_EVENTFD:
        case IORING_REGISTER_EVENTFD_ASYNC:
            fill(step, world::first_fd + 13);
            step.word = 1;
            break;
        case IORING_REGISTER_FILES_UPDATE:
            fill(step, io_uring_rsrc_update{few(random), 0, arena::descriptors});
            break;
        case IORING_REGISTER_PROBE:
            memset(step.bytes, 0, sizeof(step.bytes));
            step.word = static_cast<uint32_t>(random.below(300));
            break;
        case IORING_REGISTER_RESTRICTIONS:
            fill_restrictions(step, random);
            break;
        case IORING_REGISTER_FILES2:
            fill(step, table(true, random));
            step.word = sizeof(io_uring_rsrc_register);
            break;
        case IORING_REGISTER_BUFFERS2:
            fill(step, table(false, random));
            step.word = sizeof(io_uring_rsrc_register);
            break;
        case IORING_REGISTER_FILES_UPDATE2:
            fill(step, update(true, random));
            step.word = sizeof(io_uring_rsrc_update2);
            break;
        case IORING_REGISTER_BUFFERS_UPDATE:
            fill(step, update(false, random));
            step.word = sizeof(io_uring_rsrc_update2);
            break;
        case IORING_REGISTER_RING_FDS:
        case IORING_UNREGISTER_RING_FDS: {
            const uint32_t index = random.percent(50) ? ~0u : few(random);
            fill(step, io_uring_rsrc_update{index, 0, random.percent(80) ? first_ring + random.below(3) : 0});
            step.word = 1;
            break;
        }
        case IORING_REGISTER_PBUF_RING:
        case IORING_UNREGISTER_PBUF_RING: {
            io_uring_buf_reg argument{};
            argument.flags = static_cast<uint16_t>(random.below(4));
            argument.bgid = static_cast<uint16_t>(random.below(4));
            if (!(argument.flags & IOU_PBUF_RING_MMAP))
                argument.ring_addr = arena::address_of_page(arena::buffer_ring_page + argument.bgid);
            argument.ring_entries = 1u << random.below(10);
            fill(step, argument);
            step.word = 1;
            break;
        }
        case IORING_REGISTER_SYNC_CANCEL:
            fill_cancel(step, random);
            break;
        case IORING_REGISTER_FILE_ALLOC_RANGE:
            fill(step, io_uring_file_index_range{few(random), few(random), 0});
            step.word = 0;
            break;
        case IORING_REGISTER_PBUF_STATUS:
            fill(step, io_uring_buf_status{few(random), 0, {}});
            step.word = 1;
            break;
        case IORING_REGISTER_NAPI:
        case IORING_UNREGISTER_NAPI:
            fill(step, io_uring_napi{few(random), 0, {}, 0});
            step.word = 1;
            break;
        case IORING_REGISTER_CLOCK:
            fill(step, io_uring_clock_register{random.percent(50) ? 1u : 7u, {}});
            step.word = 0;
            break;
        case IORING_REGISTER_CLONE_BUFFERS:
            fill(step,
                 io_uring_clone_buffers{
                     first_ring + few(random) % 3, few(random) & 3, few(random) & 1, few(random) & 1, few(random), {}});
            step.word = 1;
            break;
        case IORING_REGISTER_SEND_MSG_RING: {
            io_uring_sqe sqe = random_entry(random);
            sqe.opcode = IORING_OP_MSG_RING;
            sqe.fd = static_cast<int>(first_ring);
            fill(step, sqe);
            step.word = 1;
            break;
        }
        case IORING_REGISTER_RESIZE_RINGS: {
            io_uring_params params{};
            params.sq_entries = static_cast<uint32_t>(random.between(1, 40));
            params.cq_entries = static_cast<uint32_t>(random.between(1, 80));
            params.flags = random.percent(60) ? IORING_SETUP_CQSIZE : 0;
            fill(step, params);
            step.word = 1;
            break;
        }
        case IORING_REGISTER_MEM_REGION:
            fill_region(step, random);
            step.word = 1;
            break;
        case IORING_UNREGISTER_BUFFERS:
        case IORING_UNREGISTER_FILES:
        case IORING_UNREGISTER_EVENTFD:
        case IORING_REGISTER_PERSONALITY:
        case IORING_REGISTER_ENABLE_RINGS:
        case IORING_UNREGISTER_IOWQ_AFF:
            step.big = no_argument;
            break;
        case IORING_UNREGISTER_PERSONALITY:
            step.big = no_argument;
            step.word = static_cast<uint32_t>(random.between(1, 2));
            break;
        default:
            for (size_t at = 0; at < sizeof(step.bytes); at += 8) {
                const uint64_t word = random.percent(60) ? 0 : random_word(random);
                memcpy(step.bytes + at, &word, sizeof(word));
            }
            step.word = few(random) % 3;
    }
}

// Bits of `small` and `big` that fuzz/machine.cc reads.
void fill_way(Step& step, lab::Random& random) {
    if (random.percent(15)) step.big = random_word(random) << 3 | random.below(8);
    if (random.percent(3)) step.small |= 0x4000;
    if (random.percent(6)) step.small |= 0x8000;
}

}  // namespace

void fill_registration(Step& step, lab::Random& random) {
    step.big = step.word = 0;
    step.small = static_cast<uint16_t>(random.below(IORING_REGISTER_LAST));
    fill_argument(step, random);
    fill_way(step, random);
    // By no ring at all.
    if (step.small == IORING_REGISTER_SEND_MSG_RING && random.percent(80)) step.small |= 0x4000;
}

void vary_registration(Step& step, lab::Random& random) {
    if (random.percent(40)) return fill_registration(step, random);
    if (random.percent(30)) step.word = static_cast<uint32_t>(random.percent(80) ? few(random) : random.next());
    if (random.percent(30)) fill_way(step, random);
    const uint64_t word = random_word(random);
    memcpy(step.bytes + random.below(sizeof(step.bytes) / 8) * 8, &word, sizeof(word));
}

}  // namespace ringside::fuzz
