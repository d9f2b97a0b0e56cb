// What is asked of each operation in the same way: that it works, inline and in a worker, alone and in a chain, on
// plain and on registered files; that it refuses what it has no use for, files that are none, and bad addresses; that
// it can be cancelled while it waits.
#include "ops/every_operation.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <string.h>

#include <array>
#include <string_view>

#include "ops/fields.h"
#include "state/operation.h"
#include "support/interruption.h"

namespace ringside::test {
namespace {

constexpr int a_descriptor = 1'000'000, never_waits = 1'000'001, interrupted = 1'000'002;

struct Expected {
    const char* name;
    uint8_t opcode;
    int result;
    int no_file;
    int empty_slot;
    int selecting;
    int polling;
    int cancelled;
    int cancels;
    std::string_view unused;
    std::string_view pointers;

    // Whether `fd` is a file that the request works on, which may as well be a registered one.
    bool has_file() const { return no_file == -EBADF && empty_slot == -EBADF && opcode != IORING_OP_CLOSE; }
    bool notifies() const { return opcode == IORING_OP_SEND_ZC || opcode == IORING_OP_SENDMSG_ZC; }
};

constexpr Expected expectations[] = {
#define EVERY(name, result, no_file, empty_slot, selecting, polling, cancelled, cancels, unused, pointers) \
    {#name, IORING_OP_##name, result, no_file, empty_slot, selecting, polling, cancelled, cancels, unused, pointers},
#include "ops/every_operation.def"
#undef EVERY
};

constexpr bool each_stands_at_its_number() {
    for (size_t i = 0; i < std::size(expectations); ++i) {
        if (expectations[i].opcode != i) return false;
    }
    return std::size(expectations) == engine::operation_count;
}
static_assert(each_stands_at_its_number(), "each operation has a row, in the order of the opcodes");

std::ostream& operator<<(std::ostream& out, const Expected& expected) { return out << expected.name; }

// The completion that says what became of the request. Others come along: a zero-copy send's notification, a message.
Cqe outcome_of(RawRing& ring, const Expected& expected, Sqe sqe) {
    constexpr uint64_t mine = 7;
    EXPECT_THAT(ring.submit(sqe.data(mine)), Gives(1));
    for (;;) {
        const std::vector<Cqe> completions = ring.wait(1);
        if (completions.empty()) return {};
        for (const Cqe& cqe : completions) {
            if (cqe.user_data != mine) continue;
            const bool notified = completions.back().flags & IORING_CQE_F_NOTIF;
            if (expected.notifies() && (cqe.flags & IORING_CQE_F_MORE) && !notified) ring.wait(1);
            return cqe;
        }
    }
}

void expect_result(int got, int wanted) {
    if (wanted == a_descriptor) {
        EXPECT_GE(got, 0);
        Fd{got}.reset();
    } else {
        EXPECT_THAT(got, Gives(wanted));
    }
}

class EveryOperation : public testing::TestWithParam<Expected> {
  protected:
    void expect(const Sqe& sqe, int wanted) { expect_result(outcome_of(bench.ring, expected, sqe).res, wanted); }

    const Expected expected = GetParam();
    Workbench bench;
};

TEST_P(EveryOperation, does_what_it_is_for) { expect(bench.request(expected.opcode), expected.result); }

TEST_P(EveryOperation, does_it_in_a_worker) {
    expect(bench.request(expected.opcode).flag(IOSQE_ASYNC), expected.result);
}

TEST_P(EveryOperation, does_it_in_a_chain_and_when_its_chain_stays_open) {
    if (expected.opcode == IORING_OP_LINK_TIMEOUT) {
        // What it is for needs a request to limit.
        EXPECT_THAT(bench.ring.submit(sqe::nop().data(1).flag(IOSQE_IO_LINK), bench.request(expected.opcode).data(2)),
                    Gives(2));
        EXPECT_THAT(bench.ring.wait(2), testing::ElementsAre(Completes(1, 0), Completes(2, -ECANCELED)));
        return;
    }
    EXPECT_THAT(bench.ring.submit(sqe::nop().data(1).flag(IOSQE_IO_LINK), bench.request(expected.opcode).data(2)),
                Gives(2));
    std::vector<Cqe> completions = bench.ring.wait(2);
    ASSERT_GE(completions.size(), 2U);
    // A malformed request takes its chain along.
    EXPECT_EQ(completions[0], (Cqe{1, expected.opcode == IORING_OP_RECV_ZC ? -ECANCELED : 0, 0}));
    for (const Cqe& cqe : completions) {
        if (cqe.user_data == 2 && !(cqe.flags & IORING_CQE_F_NOTIF)) expect_result(cqe.res, expected.result);
    }
    Workbench another;
    expect_result(outcome_of(another.ring, expected, another.request(expected.opcode).flag(IOSQE_IO_LINK)).res,
                  expected.result);
}

TEST_P(EveryOperation, needs_a_descriptor_that_is_one) {
    expect(bench.request(expected.opcode).set(&Sqe::fd, 1'000'000), expected.no_file);
}

TEST_P(EveryOperation, needs_a_slot_that_is_filled) {
    expect(bench.request(expected.opcode).set(&Sqe::fd, 2).flag(IOSQE_FIXED_FILE), expected.empty_slot);
}

TEST_P(EveryOperation, selects_buffers_or_refuses_to) {
    Sqe sqe = bench.request(expected.opcode);
    if (!(sqe.flags & IOSQE_BUFFER_SELECT)) sqe.flag(IOSQE_BUFFER_SELECT).set(&Sqe::buf_group, 44);
    expect(sqe, expected.selecting);
}

TEST_P(EveryOperation, polls_for_completion_or_refuses_to) {
    RawRing polling(8, IORING_SETUP_IOPOLL);
    expect_result(outcome_of(polling, expected, bench.request(expected.opcode)).res, expected.polling);
}

TEST_P(EveryOperation, refuses_fields_that_it_does_not_use) {
    std::string refused;
    for (const Field& field : fields) {
        Workbench other;
        const Sqe good = other.request(expected.opcode);
        Sqe spoiled = good;
        field.spoil(spoiled);
        if (memcmp(&spoiled, &good, sizeof(good)) == 0) continue;
        const Cqe cqe = outcome_of(other.ring, expected, spoiled);
        if (expected.result == a_descriptor && cqe.res >= 0) Fd{cqe.res}.reset();
        if (cqe.res != -EINVAL) continue;
        if (!refused.empty()) refused += ' ';
        refused += field.name;
    }
    EXPECT_EQ(refused, expected.unused);
}

class EveryFileOperation : public EveryOperation {};

TEST_P(EveryFileOperation, works_on_a_registered_file) {
    Sqe sqe = bench.request(expected.opcode);
    if (!(sqe.flags & IOSQE_FIXED_FILE)) {
        int fd = sqe.fd;
        io_uring_rsrc_update update = {.offset = 1, .resv = 0, .data = address_of(&fd)};
        ASSERT_THAT(bench.ring.register_call(IORING_REGISTER_FILES_UPDATE, &update, 1), Gives(1));
        sqe.set(&Sqe::fd, 1).flag(IOSQE_FIXED_FILE);
    }
    expect(sqe, expected.result);
}

class EveryOperationWithAddresses : public EveryOperation {};

TEST_P(EveryOperationWithAddresses, finds_a_bad_one_out) {
    const std::array<std::pair<std::string_view, __u64 io_uring_sqe::*>, 3> places = {
        {{"addr", &Sqe::addr}, {"off", &Sqe::off}, {"addr3", &Sqe::addr3}}};
    const ForbiddenPage forbidden;
    for (const auto& [name, place] : places) {
        if (expected.pointers.find(name) == std::string_view::npos) continue;
        for (const unsigned flag : {0U, unsigned{IOSQE_ASYNC}}) {
            SCOPED_TRACE(testing::Message() << name << (flag ? ", in a worker" : ""));
            Workbench other;
            const Sqe sqe = other.request(expected.opcode).set(place, address_of(forbidden.address())).flag(flag);
            expect_result(outcome_of(other.ring, expected, sqe).res, -EFAULT);
        }
    }
}

class EveryWaitingOperation : public EveryOperation {};

TEST_P(EveryWaitingOperation, holds_up_nobody_and_is_cancelled_while_it_waits) {
    if (expected.cancelled == interrupted) {
        const Interruption seen = interrupt(bench.ring, bench.waiting_request(expected.opcode));
        EXPECT_THAT(seen.cancellation, Gives(expected.cancels));
        EXPECT_THAT(seen.request, Gives(provider_under_test() == provider::Kind::kernel ? restart : -EINTR));
        return;
    }
    EXPECT_THAT(bench.ring.submit(bench.waiting_request(expected.opcode).data(1), sqe::nop().data(3)), Gives(2));
    EXPECT_THAT(bench.ring.wait(1), testing::ElementsAre(Completes(3, 0)));
    EXPECT_THAT(bench.ring.linger(), testing::IsEmpty());
    EXPECT_THAT(bench.ring.submit(sqe::cancel(1).data(2)), Gives(1));
    int cancels = 0, cancelled = 0;
    for (const Cqe& cqe : bench.ring.wait(expected.notifies() ? 3 : 2)) {
        if (cqe.user_data == 2) {
            cancels = cqe.res;
        } else if (!(cqe.flags & IORING_CQE_F_NOTIF)) {
            cancelled = cqe.res;
        }
    }
    EXPECT_THAT(cancels, Gives(expected.cancels));
    EXPECT_THAT(cancelled, Gives(expected.cancelled));
}

template <typename Condition>
std::vector<Expected> those(Condition condition) {
    std::vector<Expected> found;
    for (const Expected& expected : expectations) {
        if (condition(expected)) found.push_back(expected);
    }
    return found;
}

std::string name_of(const testing::TestParamInfo<Expected>& info) { return info.param.name; }

INSTANTIATE_TEST_SUITE_P(Each, EveryOperation, testing::ValuesIn(expectations), name_of);
INSTANTIATE_TEST_SUITE_P(Each, EveryFileOperation, testing::ValuesIn(those([](const Expected& expected) {
                             return expected.has_file() && expected.opcode != IORING_OP_MSG_RING;
                         })),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Each, EveryOperationWithAddresses,
                         testing::ValuesIn(those([](const Expected& expected) { return !expected.pointers.empty(); })),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Each, EveryWaitingOperation, testing::ValuesIn(those([](const Expected& expected) {
                             return expected.cancelled != never_waits;
                         })),
                         name_of);

}  // namespace
}  // namespace ringside::test
