// IORING_REGISTER_RESTRICTIONS: what a ring still allows once it is enabled.
#include <errno.h>
#include <gtest/gtest.h>

#include <vector>

#include "register/fixed_files.h"
#include "support/eventually.h"
#include "support/files.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;

io_uring_restriction rule(unsigned kind, unsigned value) {
    io_uring_restriction restriction = {};
    restriction.opcode = static_cast<uint16_t>(kind);
    restriction.sqe_op = static_cast<uint8_t>(value);
    return restriction;
}
io_uring_restriction allow(unsigned operation) { return rule(IORING_RESTRICTION_SQE_OP, operation); }
io_uring_restriction allow_registration(unsigned opcode) { return rule(IORING_RESTRICTION_REGISTER_OP, opcode); }
io_uring_restriction allow_flags(unsigned flags) { return rule(IORING_RESTRICTION_SQE_FLAGS_ALLOWED, flags); }
io_uring_restriction require_flags(unsigned flags) { return rule(IORING_RESTRICTION_SQE_FLAGS_REQUIRED, flags); }

int restrict(RawRing& ring, std::vector<io_uring_restriction> rules) {
    return ring.register_call(IORING_REGISTER_RESTRICTIONS, rules.data(), static_cast<unsigned>(rules.size()));
}

int enable(RawRing& ring) { return ring.register_call(IORING_REGISTER_ENABLE_RINGS, nullptr, 0); }

// A ring under these rules, enabled.
struct Restricted : RawRing {
    explicit Restricted(std::vector<io_uring_restriction> rules) : RawRing(8, IORING_SETUP_R_DISABLED) {
        EXPECT_THAT(restrict(*this, std::move(rules)), Gives(0));
        EXPECT_THAT(enable(*this), Gives(0));
    }
};

TEST(Restrictions, let_only_the_operations_through_that_they_name) {
    const Fd file = memory_file_with("a");
    char byte;
    Restricted ring({allow(IORING_OP_READ)});
    EXPECT_THAT(ring.run(sqe::read(file, &byte, 1)), Gives(1));
    EXPECT_THAT(ring.run(sqe::nop()), Gives(-EACCES));
    EXPECT_THAT(ring.run(sqe::write(file, &byte, 1)), Gives(-EACCES));
}

TEST(Restrictions, let_only_the_flags_through_that_they_name) {
    Restricted ring({allow(IORING_OP_NOP), allow_flags(IOSQE_ASYNC)});
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
    EXPECT_THAT(ring.run(sqe::nop().flag(IOSQE_ASYNC)), Gives(0));
    EXPECT_THAT(ring.run(sqe::nop().flag(IOSQE_IO_DRAIN)), Gives(-EACCES));
    EXPECT_THAT(ring.run(sqe::nop().flag(IOSQE_ASYNC | IOSQE_IO_DRAIN)), Gives(-EACCES));
}

TEST(Restrictions, can_demand_flags) {
    const Fd file = memory_file_with("a");
    char byte;
    Restricted ring(
        {allow(IORING_OP_READ), require_flags(IOSQE_FIXED_FILE), allow_registration(IORING_REGISTER_FILES)});
    EXPECT_THAT(register_files(ring, {file}), Gives(0));
    EXPECT_THAT(ring.run(sqe::read(file, &byte, 1)), Gives(-EACCES));
    EXPECT_THAT(ring.run(sqe::fixed(sqe::read(0, &byte, 1))), Gives(1));
    EXPECT_THAT(ring.run(sqe::fixed(sqe::read(0, &byte, 1)).flag(IOSQE_ASYNC)), Gives(-EACCES));
}

TEST(Restrictions, let_only_the_registrations_through_that_they_name) {
    Restricted ring({allow(IORING_OP_NOP), allow_registration(IORING_REGISTER_FILES2)});
    EXPECT_THAT(register_sparse(ring, 4), Gives(0));
    EXPECT_THAT(unregister_files(ring), Gives(-EACCES));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_PROBE, nullptr, 0), Gives(-EACCES));
    // An opcode that does not exist is found out first.
    EXPECT_THAT(ring.register_call(100, nullptr, 0), Gives(-EINVAL));
}

TEST(Restrictions, outweigh_faults_of_the_entry) {
    Restricted ring({allow(IORING_OP_READ)});
    EXPECT_THAT(ring.run(sqe::nop().set(&Sqe::ioprio, 1)), Gives(-EACCES));
    EXPECT_THAT(ring.run(Sqe(200)), Gives(-EINVAL)) << "an operation that does not exist";
    EXPECT_THAT(ring.run(sqe::nop().flag(1U << 7)), Gives(-EINVAL)) << "a flag that does not exist";
}

TEST(Restrictions, without_rules_allow_nothing) {
    RawRing ring(8, IORING_SETUP_R_DISABLED);
    io_uring_restriction none;
    EXPECT_THAT(ring.register_call(IORING_REGISTER_RESTRICTIONS, &none, 0), Gives(0));
    EXPECT_THAT(enable(ring), Gives(0));
    EXPECT_THAT(ring.run(sqe::nop()), Gives(-EACCES));
    EXPECT_THAT(unregister_files(ring), Gives(-EACCES));
}

TEST(Restrictions, break_a_chain) {
    Restricted ring({allow(IORING_OP_NOP), allow_flags(IOSQE_IO_LINK)});
    EXPECT_THAT(ring.submit(sqe::nop().data(1).flag(IOSQE_IO_LINK), sqe::timeout_remove(5).data(2).flag(IOSQE_IO_LINK),
                            sqe::nop().data(3)),
                Gives(3));
    EXPECT_THAT(ring.wait(3), ElementsAre(Completes(1, -ECANCELED), Completes(2, -EACCES), Completes(3, -ECANCELED)));
}

TEST(Restrictions, come_into_force_when_the_ring_is_enabled) {
    RawRing ring(8, IORING_SETUP_R_DISABLED);
    EXPECT_THAT(restrict(ring, {allow(IORING_OP_NOP)}), Gives(0));
    EXPECT_THAT(register_sparse(ring, 4), Gives(0)) << "not in force yet";
    EXPECT_THAT(ring.enter(0), Gives(-EBADFD));
    EXPECT_THAT(enable(ring), Gives(0));
    EXPECT_THAT(unregister_files(ring), Gives(-EACCES));
    EXPECT_THAT(enable(ring), Gives(-EACCES));
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
}

TEST(EnableRings, wakes_a_submission_thread_that_fell_asleep_meanwhile) {
    io_uring_params params = params_with(IORING_SETUP_R_DISABLED | IORING_SETUP_SQPOLL);
    params.sq_thread_idle = 1;
    RawRing ring(8, params);
    ring.push(sqe::nop().data(1));
    sleep_ms(50);
    EXPECT_EQ(ring.ready(), 0u);
    EXPECT_THAT(enable(ring), Gives(0));
    EXPECT_THAT(ring.watch(1), ElementsAre(Completes(1, 0)));
}

TEST(EnableRings, is_for_a_ring_that_is_not_enabled) {
    RawRing ring(8, IORING_SETUP_R_DISABLED);
    EXPECT_THAT(enable(ring), Gives(0));
    EXPECT_THAT(enable(ring), Gives(-EBADFD));
}

TEST(Restrictions, are_registered_once_on_a_ring_that_is_not_enabled) {
    RawRing enabled;
    EXPECT_THAT(restrict(enabled, {allow(IORING_OP_NOP)}), Gives(-EBADFD));
    RawRing ring(8, IORING_SETUP_R_DISABLED);
    EXPECT_THAT(restrict(ring, {allow(IORING_OP_NOP)}), Gives(0));
    EXPECT_THAT(restrict(ring, {allow(IORING_OP_NOP)}), Gives(-EBUSY));
}

TEST(Restrictions, tell_each_error) {
    RawRing ring(8, IORING_SETUP_R_DISABLED);
    EXPECT_THAT(restrict(ring, {rule(IORING_RESTRICTION_LAST, 0)}), Gives(-EINVAL));
    EXPECT_THAT(restrict(ring, {allow(IORING_OP_PIPE + 1)}), Gives(-EINVAL));
    EXPECT_THAT(restrict(ring, {allow_registration(IORING_REGISTER_QUERY + 1)}), Gives(-EINVAL));
    EXPECT_THAT(restrict(ring, std::vector<io_uring_restriction>(104, allow(IORING_OP_NOP))), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_RESTRICTIONS, nullptr, 1), Gives(-EINVAL));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_RESTRICTIONS, ForbiddenPage().address(), 1), Gives(-EFAULT));
    // None of them has left anything behind.
    EXPECT_THAT(restrict(ring, std::vector<io_uring_restriction>(103, allow(IORING_OP_NOP))), Gives(0));
    EXPECT_THAT(enable(ring), Gives(0));
    EXPECT_THAT(ring.run(sqe::nop()), Gives(0));
}

}  // namespace
}  // namespace ringside::test
