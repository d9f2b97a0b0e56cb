// IORING_REGISTER_ZCRX_IFQ: what is said where no network device can be had for it.
#include <errno.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <net/if.h>

#include <thread>

#include "support/files.h"
#include "support/process.h"
#include "support/raw_ring.h"

namespace ringside::test {
namespace {

constexpr unsigned deferred = IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER;
constexpr unsigned suitable = deferred | IORING_SETUP_CQE32;

// Whoever may not administer the network is told so before anything else.
int unless_refused(int expected) { return has_capability(CAP_NET_ADMIN) ? expected : -EPERM; }

class Zcrx : public testing::Test {
  protected:
    Zcrx() {
        region_.user_addr = address_of(memory_.data());
        region_.size = memory_.size();
        region_.flags = IORING_MEM_REGION_TYPE_USER;
        queue_.if_idx = if_nametoindex("lo");
        queue_.rq_entries = 8;
        queue_.area_ptr = address_of(&area_);
        queue_.region_ptr = address_of(&region_);
    }
    int answer(unsigned setup_flags = suitable) {
        RawRing ring(8, setup_flags);
        return ring.register_call(IORING_REGISTER_ZCRX_IFQ, &queue_, 1);
    }
    // The answer when one field is changed; it is changed back.
    template <typename Struct, typename Field>
    int with(Struct& place, Field Struct::* field, uint64_t value) {
        const Field before = place.*field;
        place.*field = static_cast<Field>(value);
        const int result = answer();
        place.*field = before;
        return result;
    }
    int with_queue(auto field, uint64_t value) { return with(queue_, field, value); }
    int with_region(auto field, uint64_t value) { return with(region_, field, value); }

    AlignedBuffer memory_{4096};
    ForbiddenPage page_;
    io_uring_zcrx_ifq_reg queue_ = {};
    io_uring_zcrx_area_reg area_ = {};
    io_uring_region_desc region_ = {};
};

TEST_F(Zcrx, is_refused_by_a_device_that_does_not_offer_it) {
    EXPECT_THAT(answer(), Gives(unless_refused(-EOPNOTSUPP)));
    EXPECT_THAT(answer(deferred | IORING_SETUP_CQE_MIXED), Gives(unless_refused(-EOPNOTSUPP)));
    EXPECT_THAT(with_queue(&io_uring_zcrx_ifq_reg::if_idx, 0), Gives(unless_refused(-ENODEV)));
    EXPECT_THAT(with_queue(&io_uring_zcrx_ifq_reg::if_idx, 1U << 30), Gives(unless_refused(-ENODEV)));
}

TEST_F(Zcrx, is_for_rings_with_large_completions_that_complete_in_their_own_calls) {
    EXPECT_THAT(answer(0), Gives(unless_refused(-EINVAL)));
    EXPECT_THAT(answer(deferred), Gives(unless_refused(-EINVAL)));
    EXPECT_THAT(answer(IORING_SETUP_CQE32), Gives(unless_refused(-EINVAL)));
}

TEST_F(Zcrx, is_for_who_may_administer_the_network) {
    std::thread([&] {
        drop_capability(CAP_NET_ADMIN);
        EXPECT_THAT(answer(), Gives(-EPERM));
        EXPECT_THAT(answer(0), Gives(-EPERM));
    }).join();
}

TEST_F(Zcrx, tells_each_error_of_its_description) {
    RawRing ring(8, suitable);
    EXPECT_THAT(ring.register_call(IORING_REGISTER_ZCRX_IFQ, page_.address(), 1), Gives(unless_refused(-EFAULT)));
    EXPECT_THAT(ring.register_call(IORING_REGISTER_ZCRX_IFQ, &queue_, 2), Gives(-EINVAL));
    const uint64_t nowhere = address_of(page_.address());
    using Queue = io_uring_zcrx_ifq_reg;
    EXPECT_THAT(with_queue(&Queue::region_ptr, nowhere), Gives(unless_refused(-EFAULT)));
    EXPECT_THAT(with_queue(&Queue::area_ptr, nowhere), Gives(unless_refused(-EFAULT)));
    EXPECT_THAT(with_queue(&Queue::if_rxq, ~0U), Gives(unless_refused(-EINVAL)));
    EXPECT_THAT(with_queue(&Queue::rq_entries, 0), Gives(unless_refused(-EINVAL)));
    EXPECT_THAT(with_queue(&Queue::rq_entries, 32769), Gives(unless_refused(-EINVAL)));
    EXPECT_THAT(with_queue(&Queue::flags, 2), Gives(unless_refused(-EINVAL)));
    EXPECT_THAT(with_queue(&Queue::zcrx_id, 1), Gives(unless_refused(-EINVAL)));
    EXPECT_THAT(with_queue(&Queue::rx_buf_len, 4096), Gives(unless_refused(-EINVAL)));
    queue_.__resv[2] = 1;
    EXPECT_THAT(answer(), Gives(unless_refused(-EINVAL)));
    EXPECT_THAT(with_queue(&Queue::area_ptr, nowhere), Gives(unless_refused(-EINVAL))) << "comes before the area";
}

TEST_F(Zcrx, tells_each_error_of_its_region) {
    using Region = io_uring_region_desc;
    EXPECT_THAT(with_region(&Region::user_addr, address_of(page_.address())), Gives(unless_refused(-EFAULT)));
    EXPECT_THAT(with_region(&Region::user_addr, address_of(memory_.data()) + 8), Gives(unless_refused(-EINVAL)));
    EXPECT_THAT(with_region(&Region::flags, 0), Gives(unless_refused(-EFAULT)));
    EXPECT_THAT(with_region(&Region::size, 0), Gives(unless_refused(-EINVAL)));
    EXPECT_THAT(with_region(&Region::size, uint64_t{1} << 62), Gives(unless_refused(-E2BIG)));
    EXPECT_THAT(with_queue(&io_uring_zcrx_ifq_reg::rq_entries, 256), Gives(unless_refused(-EINVAL)))
        << "needs more than a page";
}

}  // namespace
}  // namespace ringside::test
