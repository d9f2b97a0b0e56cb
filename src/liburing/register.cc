// Registration calls that are little more than their opcode. Files and buffers are in resources.cc.
#include <errno.h>

#include "liburing/owner.h"

using namespace ringside;
using namespace ringside::liburing;

namespace {

// For calls that need no ring: the file descriptor is -1, and the provider is the one that rings would get.
int register_without_ring(unsigned opcode, void* arg, unsigned nr_args) {
    return provider::register_call(provider::choose().kind, ~0U, opcode, arg, nr_args);
}

}  // namespace

int io_uring_register_restrictions(io_uring* ring, io_uring_restriction* res, unsigned nr_res) {
    return register_call(*ring, IORING_REGISTER_RESTRICTIONS, res, nr_res);
}

int io_uring_register_eventfd(io_uring* ring, int fd) { return register_call(*ring, IORING_REGISTER_EVENTFD, &fd, 1); }

int io_uring_register_eventfd_async(io_uring* ring, int fd) {
    return register_call(*ring, IORING_REGISTER_EVENTFD_ASYNC, &fd, 1);
}

int io_uring_unregister_eventfd(io_uring* ring) { return register_call(*ring, IORING_UNREGISTER_EVENTFD, nullptr, 0); }

int io_uring_register_probe(io_uring* ring, io_uring_probe* p, unsigned nr) {
    return register_call(*ring, IORING_REGISTER_PROBE, p, nr);
}

int io_uring_register_query(io_uring_query_hdr* query) {
    return register_without_ring(IORING_REGISTER_QUERY, query, 0);
}

int io_uring_register_sync_cancel(io_uring* ring, io_uring_sync_cancel_reg* reg) {
    return register_call(*ring, IORING_REGISTER_SYNC_CANCEL, reg, 1);
}

int io_uring_register_sync_msg(io_uring_sqe* sqe) {
    return register_without_ring(IORING_REGISTER_SEND_MSG_RING, sqe, 1);
}

int io_uring_register_personality(io_uring* ring) {
    return register_call(*ring, IORING_REGISTER_PERSONALITY, nullptr, 0);
}

int io_uring_unregister_personality(io_uring* ring, int id) {
    return register_call(*ring, IORING_UNREGISTER_PERSONALITY, nullptr, static_cast<unsigned>(id));
}

int io_uring_register_iowq_aff(io_uring* ring, size_t cpusz, const cpu_set_t* mask) {
    if (cpusz >= (1U << 31)) return -EINVAL;
    return register_call(*ring, IORING_REGISTER_IOWQ_AFF, mask, static_cast<unsigned>(cpusz));
}

int io_uring_unregister_iowq_aff(io_uring* ring) {
    return register_call(*ring, IORING_UNREGISTER_IOWQ_AFF, nullptr, 0);
}

int io_uring_register_iowq_max_workers(io_uring* ring, unsigned* values) {
    return register_call(*ring, IORING_REGISTER_IOWQ_MAX_WORKERS, values, 2);
}

int io_uring_register_napi(io_uring* ring, io_uring_napi* napi) {
    return register_call(*ring, IORING_REGISTER_NAPI, napi, 1);
}

int io_uring_unregister_napi(io_uring* ring, io_uring_napi* napi) {
    return register_call(*ring, IORING_UNREGISTER_NAPI, napi, 1);
}

int io_uring_register_clock(io_uring* ring, io_uring_clock_register* arg) {
    return register_call(*ring, IORING_REGISTER_CLOCK, arg, 0);
}

int io_uring_register_region(io_uring* ring, io_uring_mem_region_reg* reg) {
    return register_call(*ring, IORING_REGISTER_MEM_REGION, reg, 1);
}

int io_uring_register_wait_reg(io_uring*, io_uring_reg_wait*, int) { return -EINVAL; }

int io_uring_register_ifq(io_uring* ring, io_uring_zcrx_ifq_reg* reg) {
    return register_call(*ring, IORING_REGISTER_ZCRX_IFQ, reg, 1);
}

int io_uring_register_zcrx_ctrl(io_uring* ring, zcrx_ctrl* ctrl) {
    return register_call(*ring, IORING_REGISTER_ZCRX_CTRL, ctrl, 0);
}

int io_uring_register_bpf_filter(io_uring* ring, io_uring_bpf* bpf) {
    return register_call(*ring, IORING_REGISTER_BPF_FILTER, bpf, 1);
}

int io_uring_register_bpf_filter_task(io_uring_bpf* bpf) {
    return register_without_ring(IORING_REGISTER_BPF_FILTER, bpf, 1);
}
