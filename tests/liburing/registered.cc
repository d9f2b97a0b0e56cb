// What a ring keeps for its requests. What operations do with files and buffers is tested beside the operations; here
// it is the functions that register them, and what they answer when they cannot.
#include <errno.h>
#include <gtest/gtest.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "liburing/ring.h"
#include "support/files.h"

namespace ringside::test {
namespace {

// The result of a read of four bytes at the start of registered file `slot`.
int read_slot(Uring& ring, int slot, char* buffer) {
    io_uring_sqe* const sqe = io_uring_get_sqe(ring.get());
    if (sqe == nullptr) return -EBUSY;
    io_uring_prep_read(sqe, slot, buffer, 4, 0);
    io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
    EXPECT_EQ(io_uring_submit_and_wait(ring.get(), 1), 1);
    io_uring_cqe* cqe;
    EXPECT_EQ(io_uring_peek_cqe(ring.get(), &cqe), 0);
    const int result = cqe->res;
    io_uring_cqe_seen(ring.get(), cqe);
    return result;
}

TEST(RegisteredFiles, are_used_by_slot_and_replaced_by_slot) {
    Uring ring(8);
    const Fd first = memory_file_with("one!"), second = memory_file_with("two!");
    const int files[] = {first, -1, second};
    char buffer[5] = {};
    ASSERT_EQ(io_uring_register_files(ring.get(), files, 3), 0);
    EXPECT_EQ(io_uring_register_files(ring.get(), files, 3), -EBUSY);
    EXPECT_EQ(read_slot(ring, 2, buffer), 4);
    EXPECT_STREQ(buffer, "two!");
    EXPECT_EQ(read_slot(ring, 1, buffer), -EBADF);
    EXPECT_EQ(read_slot(ring, 3, buffer), -EBADF);

    const int update[] = {IORING_REGISTER_FILES_SKIP, first, -1};
    EXPECT_EQ(io_uring_register_files_update(ring.get(), 0, update, 3), 3);
    EXPECT_EQ(read_slot(ring, 0, buffer), 4);
    EXPECT_EQ(read_slot(ring, 1, buffer), 4);
    EXPECT_STREQ(buffer, "one!");
    EXPECT_EQ(read_slot(ring, 2, buffer), -EBADF);

    EXPECT_EQ(io_uring_unregister_files(ring.get()), 0);
    EXPECT_EQ(io_uring_unregister_files(ring.get()), -ENXIO);
}

TEST(RegisteredFiles, can_be_a_table_of_empty_slots) {
    Uring ring(8);
    const Fd file = memory_file_with("one!");
    const int fd = file;
    char buffer[5] = {};
    ASSERT_EQ(io_uring_register_files_sparse(ring.get(), 16), 0);
    EXPECT_EQ(read_slot(ring, 5, buffer), -EBADF);
    EXPECT_EQ(io_uring_register_files_update(ring.get(), 5, &fd, 1), 1);
    EXPECT_EQ(read_slot(ring, 5, buffer), 4);
    EXPECT_EQ(io_uring_register_files_update(ring.get(), 16, &fd, 1), -EINVAL);
    EXPECT_EQ(io_uring_register_file_alloc_range(ring.get(), 8, 8), 0);
    EXPECT_EQ(io_uring_register_file_alloc_range(ring.get(), 8, 9), -EINVAL);
}

TEST(RegisteredFiles, report_by_tag_that_a_slot_is_free_again) {
    Uring ring(8);
    const Fd file = memory_file_with("one!");
    const int fd = file;
    const __u64 tag = 77, other_tag = 78;
    ASSERT_EQ(io_uring_register_files_tags(ring.get(), &fd, &tag, 1), 0);
    EXPECT_EQ(io_uring_register_files_update_tag(ring.get(), 0, &fd, &other_tag, 1), 1);
    io_uring_cqe* cqe;
    __kernel_timespec limit = milliseconds(10'000);
    ASSERT_EQ(io_uring_wait_cqe_timeout(ring.get(), &cqe, &limit), 0);
    EXPECT_EQ(cqe->user_data, 77u);
    io_uring_cqe_seen(ring.get(), cqe);
    EXPECT_EQ(io_uring_unregister_files(ring.get()), 0);
    ASSERT_EQ(io_uring_wait_cqe_timeout(ring.get(), &cqe, &limit), 0);
    EXPECT_EQ(cqe->user_data, 78u);
}

TEST(RegisteredFiles, raise_the_soft_limit_of_open_files_when_it_is_in_the_way) {
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    const rlimit low = {200, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    {
        Uring ring(8);
        EXPECT_EQ(io_uring_register_files_sparse(ring.get(), 300), 0);
    }
    rlimit after;
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(after.rlim_cur, 500u);
}

TEST(RegisteredBuffers, are_used_by_index) {
    Uring ring(8);
    const Fd file = memory_file_with("hello");
    char buffer[64] = {};
    const iovec vector = {buffer, sizeof(buffer)};
    ASSERT_EQ(io_uring_register_buffers(ring.get(), &vector, 1), 0);
    EXPECT_EQ(io_uring_register_buffers(ring.get(), &vector, 1), -EBUSY);
    io_uring_sqe* sqe = io_uring_get_sqe(ring.get());
    io_uring_prep_read_fixed(sqe, file, buffer + 10, 5, 0, 0);
    sqe->user_data = 5;
    sqe = io_uring_get_sqe(ring.get());
    io_uring_prep_read_fixed(sqe, file, buffer + 62, 5, 0, 0);
    sqe->user_data = static_cast<__u64>(-EFAULT);
    ASSERT_EQ(io_uring_submit_and_wait(ring.get(), 2), 2);
    io_uring_cqe* cqes[2];
    ASSERT_EQ(io_uring_peek_batch_cqe(ring.get(), cqes, 2), 2u);
    // Each carries the result that is expected of it, since they may complete in either order.
    for (const io_uring_cqe* cqe : cqes) EXPECT_EQ(cqe->res, static_cast<int>(cqe->user_data));
    EXPECT_STREQ(buffer + 10, "hello");
    EXPECT_EQ(io_uring_unregister_buffers(ring.get()), 0);
    EXPECT_EQ(io_uring_unregister_buffers(ring.get()), -ENXIO);
}

TEST(RegisteredBuffers, can_be_filled_in_later_and_cloned_to_another_ring) {
    Uring first(8), second(8);
    const Fd file = memory_file_with("hello");
    char buffer[64] = {};
    const iovec vector = {buffer, sizeof(buffer)};
    ASSERT_EQ(io_uring_register_buffers_sparse(first.get(), 4), 0);
    EXPECT_EQ(io_uring_register_buffers_update_tag(first.get(), 2, &vector, nullptr, 1), 1);
    ASSERT_EQ(io_uring_clone_buffers(second.get(), first.get()), 0);
    EXPECT_EQ(io_uring_clone_buffers(second.get(), first.get()), -EBUSY);
    io_uring_sqe* const sqe = io_uring_get_sqe(second.get());
    io_uring_prep_read_fixed(sqe, file, buffer, 5, 0, 2);
    ASSERT_EQ(io_uring_submit_and_wait(second.get(), 1), 1);
    io_uring_cqe* cqe;
    ASSERT_EQ(io_uring_peek_cqe(second.get(), &cqe), 0);
    EXPECT_EQ(cqe->res, 5);
    EXPECT_STREQ(buffer, "hello");
}

TEST(RegisteredRing, is_entered_by_index_and_by_descriptor_again) {
    Uring ring(8);
    EXPECT_EQ(io_uring_unregister_ring_fd(ring.get()), -EINVAL);
    ASSERT_EQ(io_uring_register_ring_fd(ring.get()), 1);
    EXPECT_EQ(io_uring_register_ring_fd(ring.get()), -EEXIST);
    ring.run_nops(3, 1);
    EXPECT_EQ(ring.reap(), (std::vector<__u64>{1, 2, 3}));
    ASSERT_EQ(io_uring_unregister_ring_fd(ring.get()), 1);
    EXPECT_EQ(ring->enter_ring_fd, ring->ring_fd);
    ring.run_nops(3, 1);
    EXPECT_EQ(ring.reap(), (std::vector<__u64>{1, 2, 3}));
}

TEST(RegisteredRing, goes_on_without_its_descriptor) {
    Uring ring(8);
    EXPECT_EQ(io_uring_close_ring_fd(ring.get()), -EINVAL);
    ASSERT_EQ(io_uring_register_ring_fd(ring.get()), 1);
    ASSERT_EQ(io_uring_close_ring_fd(ring.get()), 1);
    EXPECT_EQ(io_uring_close_ring_fd(ring.get()), -EBADF);
    EXPECT_EQ(ring->ring_fd, -1);
    ring.run_nops(3, 1);
    EXPECT_EQ(ring.reap(), (std::vector<__u64>{1, 2, 3}));
    EXPECT_EQ(io_uring_register_files_sparse(ring.get(), 4), 0) << "register calls go by the index too";
}

TEST(Personality, is_a_number_that_requests_can_carry) {
    Uring ring(8);
    const int id = io_uring_register_personality(ring.get());
    ASSERT_GT(id, 0);
    ASSERT_TRUE(ring.add_nop(1));
    ASSERT_EQ(io_uring_submit(ring.get()), 1);
    EXPECT_EQ(io_uring_unregister_personality(ring.get(), id), 0);
    EXPECT_EQ(io_uring_unregister_personality(ring.get(), id), -EINVAL);
}

TEST(Restrictions, hold_once_the_ring_is_enabled) {
    Uring ring(8, IORING_SETUP_R_DISABLED);
    io_uring_restriction rules[1] = {};
    rules[0].opcode = IORING_RESTRICTION_SQE_OP;
    rules[0].sqe_op = IORING_OP_NOP;
    ASSERT_EQ(io_uring_register_restrictions(ring.get(), rules, 1), 0);
    ASSERT_EQ(io_uring_enable_rings(ring.get()), 0);
    ring.run_nops(1, 1);
    EXPECT_EQ(ring.reap(), std::vector<__u64>{1});
    EXPECT_EQ(io_uring_register_files_sparse(ring.get(), 4), -EACCES);
}

TEST(SyncCancel, waits_until_the_request_is_gone) {
    Uring ring(8);
    Pipe pipe;
    ring.await_readable(pipe.read_end, 5);
    ASSERT_EQ(io_uring_submit(ring.get()), 1);
    io_uring_sync_cancel_reg what = {};
    what.addr = 5;
    what.fd = -1;
    what.timeout.tv_sec = what.timeout.tv_nsec = -1;
    ASSERT_EQ(io_uring_register_sync_cancel(ring.get(), &what), 0);
    EXPECT_EQ(io_uring_register_sync_cancel(ring.get(), &what), -ENOENT);
    io_uring_cqe* cqe;
    ASSERT_EQ(io_uring_wait_cqe(ring.get(), &cqe), 0);
    EXPECT_EQ(cqe->res, -ECANCELED);
}

TEST(Workers, have_limits_that_can_be_asked_and_set) {
    Uring ring(8);
    unsigned values[2] = {0, 0};
    ASSERT_EQ(io_uring_register_iowq_max_workers(ring.get(), values), 0);
    EXPECT_GT(values[IO_WQ_BOUND], 0u);
    unsigned lower[2] = {1, 2};
    ASSERT_EQ(io_uring_register_iowq_max_workers(ring.get(), lower), 0);
    EXPECT_EQ(lower[IO_WQ_BOUND], values[IO_WQ_BOUND]) << "the old limits come back";
    unsigned now[2] = {0, 0};
    ASSERT_EQ(io_uring_register_iowq_max_workers(ring.get(), now), 0);
    EXPECT_EQ(now[IO_WQ_BOUND], 1u);
    EXPECT_EQ(now[IO_WQ_UNBOUND], 2u);
}

TEST(ResizeRings, keeps_what_is_queued_on_either_side) {
    Uring ring(4, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    ring.run_nops(3, 1);
    ASSERT_TRUE(ring.add_nop(4));
    io_uring_params params = {};
    params.flags = IORING_SETUP_CQSIZE;
    params.sq_entries = 16;
    params.cq_entries = 64;
    ASSERT_EQ(io_uring_resize_rings(ring.get(), &params), 0);
    EXPECT_EQ(ring->sq.ring_entries, 16u);
    EXPECT_EQ(ring->cq.ring_entries, 64u);
    EXPECT_EQ(io_uring_submit(ring.get()), 1);
    EXPECT_EQ(ring.reap(), (std::vector<__u64>{1, 2, 3, 4}));
    ring.run_nops(16, 5);
    EXPECT_EQ(ring.reap().size(), 16u);
}

TEST(ResizeRings, is_refused_to_rings_of_other_kinds) {
    Uring ring(4);
    io_uring_params params = {};
    params.sq_entries = params.cq_entries = 16;
    EXPECT_EQ(io_uring_resize_rings(ring.get(), &params), -EINVAL);
    ring.run_nops(1, 1);
    EXPECT_EQ(ring.reap(), std::vector<__u64>{1});
}

TEST(Iowait, can_be_switched_where_the_ring_knows_it) {
    Uring ring(8);
    EXPECT_EQ(io_uring_set_iowait(ring.get(), false), 0);
    ring.run_nops(1, 1);
    EXPECT_EQ(ring.reap(), std::vector<__u64>{1});
    EXPECT_EQ(io_uring_set_iowait(ring.get(), true), 0);
    ring->features &= ~IORING_FEAT_NO_IOWAIT;
    EXPECT_EQ(io_uring_set_iowait(ring.get(), false), -EOPNOTSUPP);
}

TEST(WaitRegion, gives_waits_their_timeout_by_index) {
    Uring ring(8, IORING_SETUP_R_DISABLED);
    AlignedBuffer memory(4096);
    io_uring_region_desc region = {};
    region.user_addr = reinterpret_cast<__u64>(memory.data());
    region.size = memory.size();
    region.flags = IORING_MEM_REGION_TYPE_USER;
    io_uring_mem_region_reg registration = {};
    registration.region_uptr = reinterpret_cast<__u64>(&region);
    registration.flags = IORING_MEM_REGION_REG_WAIT_ARG;
    ASSERT_EQ(io_uring_register_region(ring.get(), &registration), 0);
    ASSERT_EQ(io_uring_enable_rings(ring.get()), 0);

    auto* const waits = reinterpret_cast<io_uring_reg_wait*>(memory.data());
    waits[1].flags = IORING_REG_WAIT_TS;
    waits[1].ts = milliseconds(20);
    io_uring_cqe* cqe = nullptr;
    EXPECT_EQ(io_uring_submit_and_wait_reg(ring.get(), &cqe, 1, 1), -ETIME);
    EXPECT_EQ(cqe, nullptr);
    ASSERT_TRUE(ring.add_nop(3));
    EXPECT_EQ(io_uring_submit_and_wait_reg(ring.get(), &cqe, 1, 1), 1);
    ASSERT_NE(cqe, nullptr);
    EXPECT_EQ(cqe->user_data, 3u);
}

TEST(SyncMessage, reaches_a_ring_without_a_ring_of_ones_own) {
    Uring ring(8);
    io_uring_sqe message = {};
    io_uring_prep_msg_ring(&message, ring->ring_fd, 17, 99, 0);
    ASSERT_EQ(io_uring_register_sync_msg(&message), 0);
    io_uring_cqe* cqe;
    ASSERT_EQ(io_uring_wait_cqe(ring.get(), &cqe), 0);
    EXPECT_EQ(cqe->user_data, 99u);
    EXPECT_EQ(cqe->res, 17);
}

TEST(Query, tells_how_many_opcodes_there_are_without_a_ring) {
    io_uring_query_opcode answer = {};
    io_uring_query_hdr question = {};
    question.query_op = IO_URING_QUERY_OPCODES;
    question.query_data = reinterpret_cast<__u64>(&answer);
    question.size = sizeof(answer);
    ASSERT_EQ(io_uring_register_query(&question), 0);
    EXPECT_EQ(question.result, 0);
    EXPECT_GT(answer.nr_request_opcodes, 40u);
    EXPECT_TRUE(answer.ring_setup_flags & IORING_SETUP_CQSIZE);
}

}  // namespace
}  // namespace ringside::test
