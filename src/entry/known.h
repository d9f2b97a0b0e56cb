// What io_uring_setup and io_uring_enter know, and what of it they advertise.
#pragma once

#include <stdint.h>

#include "liburing/io_uring.h"

namespace ringside::engine {

inline constexpr uint32_t known_setup_flags =
    IORING_SETUP_IOPOLL | IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
    IORING_SETUP_ATTACH_WQ | IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
    IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | IORING_SETUP_SINGLE_ISSUER |
    IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_NO_MMAP | IORING_SETUP_REGISTERED_FD_ONLY | IORING_SETUP_NO_SQARRAY |
    IORING_SETUP_HYBRID_IOPOLL | IORING_SETUP_CQE_MIXED;

inline constexpr unsigned known_enter_flags = IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP | IORING_ENTER_SQ_WAIT |
                                              IORING_ENTER_EXT_ARG | IORING_ENTER_REGISTERED_RING |
                                              IORING_ENTER_ABS_TIMER | IORING_ENTER_EXT_ARG_REG |
                                              IORING_ENTER_NO_IOWAIT;

// A bit joins when what it promises is kept.
inline constexpr uint32_t features = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
                                     IORING_FEAT_RW_CUR_POS | IORING_FEAT_CUR_PERSONALITY | IORING_FEAT_FAST_POLL |
                                     IORING_FEAT_POLL_32BITS | IORING_FEAT_SQPOLL_NONFIXED | IORING_FEAT_EXT_ARG |
                                     IORING_FEAT_NATIVE_WORKERS | IORING_FEAT_CQE_SKIP | IORING_FEAT_LINKED_FILE |
                                     IORING_FEAT_REG_REG_RING | IORING_FEAT_MIN_TIMEOUT | IORING_FEAT_NO_IOWAIT |
                                     IORING_FEAT_RSRC_TAGS | IORING_FEAT_RW_ATTR;

}  // namespace ringside::engine
