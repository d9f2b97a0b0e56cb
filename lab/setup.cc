#include "setup.h"

#include "liburing/io_uring.h"

namespace ringside::lab {

void choose_setup(Builder& builder) {
    Random& random = builder.random;
    Setup& setup = builder.program.setup;
    setup.entries = random.one_of<uint32_t>({8, 8, 8, 16, 32, 1, 2, 4, 5});
    uint32_t flags = random.one_of<uint32_t>(
        {0, 0, 0, IORING_SETUP_COOP_TASKRUN, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
         IORING_SETUP_SINGLE_ISSUER, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG});
    if (random.percent(30)) flags |= IORING_SETUP_SUBMIT_ALL;
    if (random.percent(15)) flags |= IORING_SETUP_CQSIZE;
    if (random.percent(5)) flags |= IORING_SETUP_CLAMP;
    if (random.percent(8)) {
        flags |= random.one_of<uint32_t>({IORING_SETUP_SQE128, IORING_SETUP_CQE32, IORING_SETUP_CQE_MIXED,
                                          IORING_SETUP_SQE128 | IORING_SETUP_CQE32});
    }
    if (random.percent(5)) flags |= IORING_SETUP_NO_SQARRAY;
    if (random.percent(4)) flags |= IORING_SETUP_R_DISABLED;
    if (random.percent(3)) flags |= IORING_SETUP_NO_MMAP;
    if ((flags & IORING_SETUP_NO_MMAP) != 0 && random.percent(30)) flags |= IORING_SETUP_REGISTERED_FD_ONLY;
    if (random.percent(3)) flags |= IORING_SETUP_ATTACH_WQ;
    if (random.percent(3)) {
        // In the kernel a thread that submits for two rings takes eight entries at a time, which may cut a chain in
        // two, and starts no worker while it sleeps: no IORING_SETUP_ATTACH_WQ.
        flags = (flags & IORING_SETUP_SUBMIT_ALL) | IORING_SETUP_SQPOLL;
        if (random.percent(20)) flags |= IORING_SETUP_SQ_AFF;
    }
    if (random.percent(1)) flags = IORING_SETUP_IOPOLL | (random.percent(30) ? IORING_SETUP_HYBRID_IOPOLL : 0u);
    setup.flags = flags & builder.offer.setup_flags;
    if ((setup.flags & IORING_SETUP_CQSIZE) != 0) setup.cq_entries = setup.entries * random.one_of<uint32_t>({1, 2, 8});
    if ((setup.flags & IORING_SETUP_CLAMP) != 0 && random.percent(20)) setup.entries = 100'000;
    setup.sq_thread_idle = 1;
    if ((setup.flags & IORING_SETUP_SQPOLL) != 0) setup.entries = 32;
    if (!random.percent(3)) return;
    // A setup that may well be refused.
    switch (random.below(5)) {
        case 0:
            setup.flags ^= 1u << random.below(32);
            break;
        case 1:
            setup.entries = random.one_of<uint32_t>({0, 32769, ~0u});
            break;
        case 2:
            setup.cq_entries = random.one_of<uint32_t>({0, 3, ~0u}), setup.flags |= IORING_SETUP_CQSIZE;
            break;
        case 3:
            setup.reserved = 1;
            break;
        default:
            setup.flags ^= random.one_of<uint32_t>({IORING_SETUP_TASKRUN_FLAG, IORING_SETUP_DEFER_TASKRUN});
            break;
    }
    if ((setup.flags & IORING_SETUP_SQPOLL) != 0) setup.flags &= ~uint32_t{IORING_SETUP_ATTACH_WQ};
    // Bits that one provider has and the other lacks are reported once, by the driver.
    setup.flags &= builder.offer.setup_flags | 0xff000000;
}

}  // namespace ringside::lab
