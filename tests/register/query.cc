// IORING_REGISTER_QUERY and IORING_REGISTER_PROBE: asking what there is.
#include <errno.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

int query(void* header, unsigned count = 0) {
    return provider::register_call(provider_under_test(), ~0U, IORING_REGISTER_QUERY, header, count);
}

io_uring_query_hdr question(unsigned operation, void* data, unsigned size) {
    io_uring_query_hdr header = {};
    header.query_op = operation;
    header.query_data = address_of(data);
    header.size = size;
    return header;
}

TEST(Query, tells_what_setup_grants) {
    io_uring_query_opcode answer = {};
    io_uring_query_hdr header = question(IO_URING_QUERY_OPCODES, &answer, sizeof(answer));
    EXPECT_THAT(query(&header), Gives(0));
    EXPECT_EQ(header.result, 0);
    EXPECT_EQ(header.size, sizeof(answer));
    EXPECT_EQ(answer.nr_request_opcodes, 63u);
    EXPECT_EQ(answer.nr_register_opcodes, 36u);
    EXPECT_EQ(answer.nr_query_opcodes, 1u);
    const RawRing ring;
    EXPECT_EQ(answer.feature_flags, ring.params().features);
    EXPECT_EQ(answer.feature_flags, (uint64_t{1} << 18) - 1);
    EXPECT_EQ(answer.ring_setup_flags, (uint64_t{1} << 19) - 1);
    EXPECT_EQ(answer.enter_flags, 0xffu);
    EXPECT_EQ(answer.sqe_flags, 0x7fu);
}

TEST(Query, answers_by_a_ring_as_without_one) {
    RawRing ring;
    io_uring_query_opcode answer = {};
    io_uring_query_hdr header = question(IO_URING_QUERY_OPCODES, &answer, sizeof(answer));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_QUERY, &header, 0), Gives(0));
    EXPECT_EQ(answer.nr_request_opcodes, 63u);
}

TEST(Query, fills_as_much_as_there_is_room_for) {
    unsigned char room[200];
    memset(room, 0xee, sizeof(room));
    io_uring_query_hdr header = question(IO_URING_QUERY_OPCODES, room, 8);
    EXPECT_THAT(query(&header), Gives(0));
    EXPECT_EQ(header.size, 8u);
    EXPECT_EQ(room[7], 0);
    EXPECT_EQ(room[8], 0xee);
    memset(room, 0xee, sizeof(room));
    header = question(IO_URING_QUERY_OPCODES, room, 100);
    EXPECT_THAT(query(&header), Gives(0));
    EXPECT_EQ(header.size, sizeof(io_uring_query_opcode));
    EXPECT_EQ(room[99], 0) << "the rest of the room is cleared";
    EXPECT_EQ(room[100], 0xee);
}

TEST(Query, tells_of_each_question_what_is_wrong_with_it) {
    io_uring_query_opcode answer = {};
    io_uring_query_hdr unknown = question(100, &answer, sizeof(answer));
    io_uring_query_hdr no_room = question(IO_URING_QUERY_OPCODES, &answer, 0);
    io_uring_query_hdr answered = question(IO_URING_QUERY_OPCODES, &answer, sizeof(answer));
    answered.result = 5;
    io_uring_query_hdr reserved = question(IO_URING_QUERY_OPCODES, &answer, sizeof(answer));
    reserved.__resv[1] = 1;
    io_uring_query_hdr good = question(IO_URING_QUERY_OPCODES, &answer, sizeof(answer));
    unknown.next_entry = address_of(&no_room);
    no_room.next_entry = address_of(&answered);
    answered.next_entry = address_of(&reserved);
    reserved.next_entry = address_of(&good);
    EXPECT_THAT(query(&unknown), Gives(0));
    EXPECT_EQ(unknown.result, -EOPNOTSUPP);
    EXPECT_EQ(unknown.size, 0u);
    EXPECT_EQ(no_room.result, -EINVAL);
    EXPECT_EQ(answered.result, -EINVAL);
    EXPECT_EQ(reserved.result, -EINVAL);
    EXPECT_EQ(reserved.size, 0u);
    EXPECT_EQ(good.result, 0);
}

TEST(Query, that_is_unknown_is_told_before_what_else_is_wrong) {
    unsigned char room[200];
    memset(room, 0xee, sizeof(room));
    io_uring_query_hdr header = question(100, room, 0);
    EXPECT_THAT(query(&header), Gives(0));
    EXPECT_EQ(header.result, -EOPNOTSUPP);
    header = question(100, room, 100);
    EXPECT_THAT(query(&header), Gives(0));
    EXPECT_EQ(room[99], 0) << "the room is cleared all the same";
    EXPECT_EQ(room[100], 0xee);
    header = question(100, ForbiddenPage().address(), 8);
    EXPECT_THAT(query(&header), Gives(-EFAULT));
}

TEST(Query, whose_room_ends_too_soon_is_not_answered_in_part) {
    const ForbiddenPage page;
    char* const room = page.brink(sizeof(io_uring_query_opcode));
    memset(room, 0xee, sizeof(io_uring_query_opcode));
    io_uring_query_hdr header = question(IO_URING_QUERY_OPCODES, room, sizeof(io_uring_query_opcode) + 1);
    EXPECT_THAT(query(&header), Gives(-EFAULT));
    EXPECT_EQ(room[0], '\xee');
    header = question(IO_URING_QUERY_OPCODES, page.brink(4), 8);
    EXPECT_THAT(query(&header), Gives(-EFAULT));
    EXPECT_EQ(page.brink(1)[0], '\xee');
}

TEST(Query, ends_with_an_address_that_is_no_good) {
    const ForbiddenPage page;
    io_uring_query_opcode answer = {};
    io_uring_query_hdr header = question(IO_URING_QUERY_OPCODES, page.address(), sizeof(answer));
    EXPECT_THAT(query(&header), Gives(-EFAULT));
    header = question(IO_URING_QUERY_OPCODES, &answer, sizeof(answer));
    header.next_entry = address_of(page.address());
    EXPECT_THAT(query(&header), Gives(-EFAULT));
    EXPECT_THAT(query(page.address()), Gives(-EFAULT));
    EXPECT_THAT(query(nullptr), Gives(0));
    EXPECT_THAT(query(&header, 1), Gives(-EINVAL));
    header = question(IO_URING_QUERY_OPCODES, &answer, sizeof(answer));
    header.next_entry = address_of(&header);
    EXPECT_LT(query(&header), 0) << "a chain that never ends is given up";
}

struct Probe {
    alignas(io_uring_probe) unsigned char bytes[sizeof(io_uring_probe) + 256 * sizeof(io_uring_probe_op)] = {};
    io_uring_probe& head() { return *reinterpret_cast<io_uring_probe*>(bytes); }
};

TEST(Probe, tells_the_highest_opcode_and_which_are_supported) {
    RawRing ring;
    Probe probe;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_PROBE, probe.bytes, 256), Gives(0));
    EXPECT_EQ(probe.head().last_op, IORING_OP_PIPE);
    EXPECT_EQ(probe.head().ops_len, IORING_OP_PIPE + 1);
    for (unsigned opcode : {IORING_OP_NOP, IORING_OP_FILES_UPDATE, IORING_OP_MSG_RING, IORING_OP_FIXED_FD_INSTALL}) {
        EXPECT_EQ(probe.head().ops[opcode].op, opcode);
        EXPECT_EQ(probe.head().ops[opcode].flags, IO_URING_OP_SUPPORTED) << opcode;
    }
}

// Row by row: number, flags, and nothing in what is reserved.
std::vector<std::array<unsigned, 4>> rows_of(Probe& probe) {
    std::vector<std::array<unsigned, 4>> rows;
    for (unsigned i = 0; i < probe.head().ops_len; ++i) {
        const io_uring_probe_op& op = probe.head().ops[i];
        rows.push_back({op.op, op.resv, op.flags, op.resv2});
    }
    return rows;
}

TEST(Probe, lists_each_opcode_in_order_as_supported) {
    RawRing ring;
    Probe probe;
    ASSERT_THAT(ring.register_call(IORING_REGISTER_PROBE, probe.bytes, 256), Gives(0));
    std::vector<std::array<unsigned, 4>> expected;
    // An older kernel knows fewer.
    for (unsigned opcode = 0; opcode <= probe.head().last_op && opcode <= IORING_OP_PIPE; ++opcode) {
        expected.push_back({opcode, 0, IO_URING_OP_SUPPORTED, 0});
    }
    EXPECT_EQ(rows_of(probe), expected);
    EXPECT_EQ(probe.head().resv, 0);
    for (const unsigned word : probe.head().resv2) EXPECT_EQ(word, 0u);
    if (provider_under_test() == provider::Kind::engine) {
        EXPECT_EQ(probe.head().last_op, IORING_OP_PIPE);
    }
}

// The kernel's rings are ended some time after they were closed, which interrupts what their process waits for then; so
// this one is a child's.
void compare_probe_with_the_kernels() {
    RawRing ring;
    Probe ours, theirs;
    ASSERT_THAT(ring.register_call(IORING_REGISTER_PROBE, ours.bytes, 256), Gives(0));
    io_uring_params params = {};
    const Fd kernel_ring(static_cast<int>(syscall(__NR_io_uring_setup, 1, &params)));
    if (kernel_ring < 0) {
        // Refused, as in a container: the engine serves.
        EXPECT_EQ(provider_under_test(), provider::Kind::engine);
        return;
    }
    ASSERT_EQ(syscall(__NR_io_uring_register, kernel_ring.get(), IORING_REGISTER_PROBE, theirs.bytes, 256), 0);
    std::vector<std::array<unsigned, 4>> known_to_both = rows_of(ours);
    const auto rows = rows_of(theirs);
    known_to_both.resize(std::min(known_to_both.size(), rows.size()));
    EXPECT_THAT(rows, testing::Contains(known_to_both.back()));
    EXPECT_TRUE(std::equal(known_to_both.begin(), known_to_both.end(), rows.begin()));
}

TEST(Probe, of_the_engine_says_what_that_of_the_kernel_says_where_there_is_one) {
    EXPECT_EQ(ending_of_child([] {
                  compare_probe_with_the_kernels();
                  return testing::Test::HasFailure() ? 1 : 0;
              }),
              0);
}

TEST(Probe, fills_no_more_than_it_was_given) {
    RawRing ring;
    Probe probe;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_PROBE, probe.bytes, 3), Gives(0));
    EXPECT_EQ(probe.head().last_op, IORING_OP_PIPE);
    EXPECT_EQ(probe.head().ops_len, 3);
    EXPECT_EQ(probe.head().ops[3].flags, 0);
}

TEST(Probe, does_not_look_beyond_the_last_opcode) {
    RawRing ring;
    const ForbiddenPage page;
    constexpr size_t needed = sizeof(io_uring_probe) + (IORING_OP_PIPE + 1) * sizeof(io_uring_probe_op);
    EXPECT_THAT(ring.register_call(IORING_REGISTER_PROBE, page.brink(needed), 256), Gives(0));
    memset(page.brink(needed), 0, needed);
    EXPECT_THAT(ring.register_call(IORING_REGISTER_PROBE, page.brink(needed - 1), 256), Gives(-EFAULT));
}

TEST(Probe, wants_zeroed_memory_and_no_more_than_256_entries) {
    RawRing ring;
    Probe probe;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_PROBE, probe.bytes, 257), Gives(-EINVAL));
    probe.bytes[sizeof(io_uring_probe) + 5] = 1;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_PROBE, probe.bytes, 1), Gives(-EINVAL));
}

}  // namespace
}  // namespace ringside::test
