// PROVIDE_BUFFERS and REMOVE_BUFFERS, and reads that take their buffers from a group: IOSQE_BUFFER_SELECT on both kinds
// of groups. What RECV and its kin do with them is tested with those.
#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "register/buffers.h"

namespace ringside::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr unsigned group = 3;
constexpr int nowait = 8;  // RWF_NOWAIT

// --- Classic groups -------------------------------------------------------------------------------------------------

class ClassicGroup : public testing::Test {
  protected:
    void provide(int count) { ASSERT_THAT(ring_.run(sqe::provide(buffers_, count, group)), Gives(0)); }
    int remove_all() { return ring_.run(sqe::remove_buffers(65536, group)).res; }
    Cqe read(int fd, uint32_t length = 0) { return ring_.run(sqe::read_selecting(fd, group, length)); }

    RawRing ring_{16};
    Buffers buffers_{8, 64};
    Fd file_ = file_with("hello world");
    ForbiddenPage forbidden_;
};

TEST_F(ClassicGroup, lends_its_buffers_in_the_order_they_came) {
    provide(3);
    for (const unsigned id : {0U, 1U, 2U}) {
        EXPECT_EQ(read(file_), (Cqe{0, 11, with_buffer(id)}));
        EXPECT_EQ(buffers_.text(id, 12), "hello world.");
    }
    EXPECT_THAT(read(file_), Gives(-ENOBUFS));
    EXPECT_THAT(ring_.run(sqe::provide(buffers_, 1, group, 2)), Gives(0));
    EXPECT_THAT(ring_.run(sqe::provide(buffers_, 1, group, 1)), Gives(0));
    EXPECT_EQ(buffer_id(read(file_)), 2);
    EXPECT_EQ(buffer_id(read(file_)), 1);
}

TEST_F(ClassicGroup, fills_as_much_as_is_asked_for_and_there_is_room) {
    const Fd large = file_with(std::string(100, 'x'));
    provide(4);
    EXPECT_EQ(read(large, 0).res, 64) << "0 stands for the whole buffer";
    EXPECT_EQ(read(large, 100).res, 64);
    EXPECT_EQ(read(large, 5).res, 5);
    EXPECT_EQ(buffers_.text(2, 6), "xxxxx.");
}

TEST_F(ClassicGroup, gets_each_id_with_its_part_of_the_memory) {
    EXPECT_THAT(ring_.run(sqe::provide_buffers(buffers_.at(0), buffers_.size(), 4, group, 65532)), Gives(0));
    for (const unsigned i : {0U, 1U, 2U, 3U}) {
        EXPECT_EQ(read(file_), (Cqe{0, 11, with_buffer(65532 + i)}));
        EXPECT_EQ(buffers_.text(i, 11), "hello world");
    }
}

TEST_F(ClassicGroup, is_emptied_from_its_front) {
    provide(5);
    EXPECT_THAT(ring_.run(sqe::remove_buffers(2, group)), Gives(2));
    EXPECT_EQ(buffer_id(read(file_)), 2);
    EXPECT_EQ(remove_all(), 2);
    EXPECT_EQ(remove_all(), 0);
    EXPECT_THAT(ring_.run(sqe::remove_buffers(1, group + 1)), Gives(-ENOENT));
}

TEST_F(ClassicGroup, holds_65535_buffers) {
    char* const memory = buffers_.at(0);
    EXPECT_THAT(ring_.run(sqe::provide_buffers(memory, 1, 65536, group)), Gives(0)) << "as far as they go";
    EXPECT_THAT(ring_.run(sqe::provide_buffers(memory, 1, 1, group)), Gives(-EOVERFLOW));
    EXPECT_EQ(remove_all(), 65535);
}

TEST_F(ClassicGroup, checks_what_it_is_to_hold) {
    const auto provide_at = [&](uint64_t address, uint32_t length, int count, uint64_t first_id) {
        return ring_.run(sqe::provide_buffers(reinterpret_cast<void*>(address), length, count, group, first_id)).res;
    };
    const uint64_t memory = address_of(buffers_.at(0));
    EXPECT_EQ(provide_at(memory, 64, 0, 0), -E2BIG);
    EXPECT_EQ(provide_at(memory, 64, -1, 0), -E2BIG);
    EXPECT_EQ(provide_at(memory, 64, 65537, 0), -E2BIG);
    EXPECT_EQ(provide_at(memory, 64, 1, 65536), -E2BIG);
    EXPECT_EQ(provide_at(memory, 64, 2, 65535), -EINVAL);
    EXPECT_EQ(provide_at(memory, 0, 1, 0), -EINVAL);
    EXPECT_EQ(provide_at(~uint64_t{0}, 64, 2, 0), -EOVERFLOW);
    EXPECT_EQ(provide_at(uint64_t{1} << 63, 64, 2, 0), -EFAULT);
    EXPECT_EQ(provide_at(0, 64, 2, 0), 0) << "whether there is memory is found out when it is used";
    EXPECT_EQ(remove_all(), 2);
    for (const int count : {0, -1, 65537}) {
        EXPECT_THAT(ring_.run(sqe::remove_buffers(count, group)), Gives(-EINVAL)) << count;
    }
}

TEST_F(ClassicGroup, refuses_the_fields_that_its_operations_do_not_use) {
    const Sqe add = sqe::provide(buffers_, 1, group);
    const Sqe remove = sqe::remove_buffers(1, group);
    EXPECT_THAT(ring_.run(add), Gives(0));
    for (const Sqe& good : {add, remove}) {
        EXPECT_THAT(ring_.run(Sqe(good).set(&Sqe::ioprio, 1)), Gives(-EINVAL));
        EXPECT_THAT(ring_.run(Sqe(good).set(&Sqe::rw_flags, 1)), Gives(-EINVAL));
        EXPECT_THAT(ring_.run(Sqe(good).set(&Sqe::file_index, 1)), Gives(-EINVAL));
        EXPECT_THAT(ring_.run(Sqe(good).flag(IOSQE_BUFFER_SELECT)), Gives(-EOPNOTSUPP));
    }
    EXPECT_THAT(ring_.run(Sqe(remove).set(&Sqe::len, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring_.run(Sqe(remove).set(&Sqe::addr, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring_.run(Sqe(remove).set(&Sqe::off, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring_.run(Sqe(add).flag(IOSQE_ASYNC)), Gives(0));
    EXPECT_EQ(remove_all(), 2);
}

TEST_F(ClassicGroup, lends_within_the_chain_that_provides) {
    EXPECT_THAT(ring_.submit(sqe::provide(buffers_, 1, group).data(1).flag(IOSQE_IO_LINK),
                             sqe::read_selecting(file_, group).data(2)),
                Gives(2));
    EXPECT_THAT(ring_.wait(2), ElementsAre(Completes(1, 0), Completes(2, 11, with_buffer(0))));
}

TEST_F(ClassicGroup, keeps_a_buffer_lent_to_a_read_that_waits) {
    const Pipe pipe;
    provide(4);
    EXPECT_THAT(ring_.submit(sqe::read_selecting(pipe.read_end, group).data(1)), Gives(1));
    EXPECT_EQ(buffer_id(read(file_)), 1);
    EXPECT_EQ(remove_all(), 2);
    EXPECT_EQ(write(pipe.write_end, "ab", 2), 2);
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(1, 2, with_buffer(0))));
    EXPECT_EQ(buffers_.text(0, 3), "ab.");
}

TEST_F(ClassicGroup, gives_each_of_several_that_wait_a_buffer) {
    Ends pairs[3] = {unix_pair(SOCK_STREAM), unix_pair(SOCK_STREAM), unix_pair(SOCK_STREAM)};
    provide(3);
    for (unsigned i = 0; i < 3; ++i) {
        EXPECT_THAT(ring_.submit(sqe::read_selecting(pairs[i].far, group).data(i)), Gives(1));
    }
    EXPECT_THAT(read(file_), Gives(-ENOBUFS));
    for (const unsigned i : {2U, 0U, 1U}) {
        EXPECT_EQ(write(pairs[i].near, "abc", i + 1), static_cast<ssize_t>(i + 1));
        EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(i, static_cast<int>(i + 1), with_buffer(i))));
    }
}

TEST_F(ClassicGroup, loses_the_buffer_of_a_read_that_fails) {
    const Fd directory(open("/tmp", O_RDONLY | O_CLOEXEC));
    const Pipe pipe;
    provide(4);
    EXPECT_EQ(read(directory), (Cqe{0, -EISDIR, with_buffer(0)}));
    EXPECT_EQ(ring_.run(sqe::read_selecting(pipe.read_end, group).set(&Sqe::rw_flags, nowait)),
              (Cqe{0, -EAGAIN, with_buffer(1)}));
    EXPECT_THAT(ring_.submit(sqe::read_selecting(pipe.read_end, group).data(1)), Gives(1));
    EXPECT_THAT(ring_.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring_.wait(2), ElementsAre(Completes(2, 0), Completes(1, -ECANCELED, with_buffer(2))));
    EXPECT_EQ(remove_all(), 1);
    EXPECT_THAT(ring_.run(sqe::provide_buffers(forbidden_.address(), 16, 1, group, 5)), Gives(0));
    EXPECT_EQ(read(file_), (Cqe{0, -EFAULT, with_buffer(5)}));
    EXPECT_THAT(read(-1), Gives(-EBADF)) << "it does not come to that";
    provide(1);
    EXPECT_THAT(read(-1), Gives(-EBADF));
    const Fd path_only(open("/", O_PATH | O_CLOEXEC));
    EXPECT_THAT(read(path_only), Gives(-EBADF));
    EXPECT_THAT(ring_.run(sqe::read_selecting(path_only, group).flag(IOSQE_ASYNC)), Gives(-EBADF));
    EXPECT_EQ(remove_all(), 1) << "it is there still";
}

TEST_F(ClassicGroup, gets_the_end_of_a_file_into_a_buffer_too) {
    Pipe pipe;
    provide(1);
    pipe.write_end.reset();
    EXPECT_EQ(read(pipe.read_end), (Cqe{0, 0, with_buffer(0)}));
}

TEST_F(ClassicGroup, lends_to_the_one_element_of_an_array_of_iovecs) {
    provide(3);
    const iovec parts[2] = {{reinterpret_cast<void*>(8), 5}, {nullptr, 0}};
    const auto run = [&](const iovec* vectors, unsigned count) {
        return ring_.run(sqe::selecting(sqe::readv(file_, vectors, count), group));
    };
    EXPECT_EQ(run(parts, 1), (Cqe{0, 5, with_buffer(0)}));
    EXPECT_EQ(run(parts + 1, 1), (Cqe{0, 11, with_buffer(1)}));
    EXPECT_THAT(run(parts, 2), Gives(-EINVAL));
    EXPECT_THAT(run(parts, 0), Gives(-EINVAL));
    EXPECT_THAT(run(static_cast<const iovec*>(ForbiddenPage().address()), 1), Gives(-EFAULT));
    EXPECT_THAT(ring_.run(sqe::selecting(sqe::writev(file_, parts, 1), group)), Gives(-EOPNOTSUPP));
}

TEST_F(ClassicGroup, severs_a_chain_by_what_the_buffer_has_room_for) {
    provide(4);
    const auto run_linked = [&](uint32_t length) {
        EXPECT_THAT(
            ring_.submit(sqe::read_selecting(file_, group, length).data(1).flag(IOSQE_IO_LINK), sqe::nop().data(2)),
            Gives(2));
        return ring_.wait(2);
    };
    EXPECT_THAT(run_linked(11), ElementsAre(Completes(1, 11, with_buffer(0)), Completes(2, 0)));
    EXPECT_THAT(run_linked(12), ElementsAre(Completes(1, 11, with_buffer(1)), Completes(2, -ECANCELED)));
    EXPECT_THAT(run_linked(0), ElementsAre(Completes(1, 11, with_buffer(2)), Completes(2, -ECANCELED)));
}

// --- Buffer rings ---------------------------------------------------------------------------------------------------

class RingGroup : public ClassicGroup {
  protected:
    void add(unsigned from, unsigned to) {
        for (unsigned id = from; id < to; ++id) shared_.add(buffers_, id);
    }
    int head() { return head_of_ring(ring_, group); }

    BufferRing shared_{ring_, 4, group};
};

TEST_F(RingGroup, lends_its_buffers_round_and_round) {
    add(0, 4);
    for (unsigned round = 0; round < 12; ++round) {
        EXPECT_EQ(read(file_), (Cqe{0, 11, with_buffer(round % 8)})) << round;
        EXPECT_EQ(buffers_.text(round % 8, 11), "hello world");
        add((round + 4) % 8, (round + 4) % 8 + 1);
        EXPECT_EQ(head(), static_cast<int>(round) + 1);
    }
}

TEST_F(RingGroup, is_empty_when_all_are_lent) {
    EXPECT_THAT(read(file_), Gives(-ENOBUFS));
    add(0, 1);
    EXPECT_EQ(read(file_, 5), (Cqe{0, 5, with_buffer(0)}));
    EXPECT_THAT(read(file_), Gives(-ENOBUFS));
}

TEST_F(RingGroup, leaves_its_buffers_to_others_while_a_read_waits) {
    const Pipe pipe;
    add(0, 2);
    EXPECT_THAT(ring_.submit(sqe::read_selecting(pipe.read_end, group).data(1)), Gives(1));
    EXPECT_EQ(head(), 0);
    EXPECT_EQ(read(file_), (Cqe{0, 11, with_buffer(0)}));
    EXPECT_EQ(write(pipe.write_end, "ab", 2), 2);
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(1, 2, with_buffer(1))));
    EXPECT_THAT(ring_.submit(sqe::read_selecting(pipe.read_end, group).data(1)), Gives(1));
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(1, -ENOBUFS)));
}

TEST_F(RingGroup, keeps_the_buffer_of_a_read_that_could_wait_and_fails) {
    const Pipe pipe;
    shared_.add(forbidden_.address(), 64, 5);
    EXPECT_EQ(write(pipe.write_end, "ab", 2), 2);
    EXPECT_THAT(read(pipe.read_end), Gives(-EFAULT));
    EXPECT_EQ(pipe.drain(), 2U);
    EXPECT_THAT(ring_.run(sqe::read_selecting(pipe.read_end, group).set(&Sqe::rw_flags, nowait)), Gives(-EAGAIN));
    EXPECT_THAT(ring_.submit(sqe::read_selecting(pipe.read_end, group).data(1)), Gives(1));
    EXPECT_THAT(ring_.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring_.wait(2), ElementsAre(Completes(2, 0), Completes(1, -ECANCELED)));
    EXPECT_THAT(read(-1), Gives(-EBADF));
    EXPECT_EQ(head(), 0);
}

TEST_F(RingGroup, loses_the_buffer_of_a_read_on_disk_that_fails) {
    const Fd directory(open("/tmp", O_RDONLY | O_CLOEXEC));
    add(0, 1);
    shared_.add(forbidden_.address(), 64, 5);
    EXPECT_EQ(read(directory), (Cqe{0, -EISDIR, with_buffer(0)}));
    EXPECT_EQ(read(file_), (Cqe{0, -EFAULT, with_buffer(5)}));
    EXPECT_EQ(head(), 2);
}

TEST_F(RingGroup, gives_a_buffer_at_once_to_a_read_that_a_worker_does) {
    const Pipe pipe;
    add(0, 2);
    EXPECT_EQ(ring_.run(sqe::read_selecting(file_, group).flag(IOSQE_ASYNC)), (Cqe{0, 11, with_buffer(0)}));
    EXPECT_THAT(ring_.submit(sqe::read_selecting(pipe.read_end, group).data(1).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_THAT(ring_.linger(200), IsEmpty());
    EXPECT_EQ(head(), 2);
    EXPECT_THAT(unregister_ring(ring_, group), Gives(0));
    EXPECT_EQ(write(pipe.write_end, "ab", 2), 2);
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(1, 2, with_buffer(1))));
    EXPECT_EQ(buffers_.text(1, 3), "ab.");
}

TEST_F(RingGroup, is_looked_for_again_when_there_is_something_to_read) {
    const Pipe pipe;
    add(0, 1);
    EXPECT_THAT(ring_.submit(sqe::read_selecting(pipe.read_end, group).data(1)), Gives(1));
    EXPECT_THAT(unregister_ring(ring_, group), Gives(0));
    EXPECT_EQ(write(pipe.write_end, "ab", 2), 2);
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(1, -ENOBUFS)));
}

TEST_F(RingGroup, may_lend_an_empty_buffer) {
    const Pipe pipe;
    shared_.add(buffers_.at(0), 0, 6);
    EXPECT_EQ(write(pipe.write_end, "ab", 2), 2);
    EXPECT_EQ(read(pipe.read_end), (Cqe{0, 0, with_buffer(6)}));
    EXPECT_EQ(head(), 1);
}

TEST_F(RingGroup, survives_a_tail_and_entries_that_lie) {
    for (unsigned at = 0; at < 4; ++at) {
        io_uring_buf& entry = shared_.entry(at);
        entry.addr = ~uint64_t{0} - at;
        entry.len = ~0U >> 1;
        entry.bid = 65535;
    }
    __atomic_store_n(&shared_.shared()->tail, uint16_t{60000}, __ATOMIC_RELEASE);
    const Pipe pipe;
    EXPECT_EQ(write(pipe.write_end, "ab", 2), 2);
    for (int round = 0; round < 10; ++round) {
        EXPECT_EQ(read(file_), (Cqe{0, -EFAULT, with_buffer(65535)}));
        EXPECT_THAT(read(pipe.read_end), Gives(-EFAULT));
    }
    EXPECT_EQ(head(), 10);
}

// --- Buffers that are used up piece by piece ------------------------------------------------------------------------

class IncrementalGroup : public ClassicGroup {
  protected:
    int head() { return head_of_ring(ring_, group); }
    // How much is left of the entry at this place.
    uint32_t left(unsigned at) { return shared_.entry(at).len; }
    size_t place(unsigned at) { return shared_.entry(at).addr - address_of(buffers_.at(0)); }

    BufferRing shared_{ring_, 8, group, IOU_PBUF_RING_INC};
};

constexpr uint32_t with_more(unsigned id) {
    return IORING_CQE_F_BUFFER | id << IORING_CQE_BUFFER_SHIFT | IORING_CQE_F_BUF_MORE;
}

TEST_F(IncrementalGroup, lends_what_is_left_of_a_buffer) {
    const Pipe pipe;
    shared_.add(buffers_, 0);
    shared_.add(buffers_, 1);
    EXPECT_EQ(write(pipe.write_end, "abcdefgh", 8), 8);
    EXPECT_EQ(read(pipe.read_end, 3), (Cqe{0, 3, with_more(0)}));
    EXPECT_EQ(read(pipe.read_end), (Cqe{0, 5, with_more(0)}));
    EXPECT_EQ(head(), 0);
    EXPECT_EQ(left(0), 56U);
    EXPECT_EQ(place(0), 8U);
    EXPECT_EQ(buffers_.text(0, 9), "abcdefgh.");
    EXPECT_EQ(write(pipe.write_end, std::string(100, 'x').data(), 100), 100);
    EXPECT_EQ(read(pipe.read_end), (Cqe{0, 56, with_buffer(0)})) << "the end of it";
    EXPECT_EQ(head(), 1);
    EXPECT_EQ(left(0), 0U);
    EXPECT_EQ(read(pipe.read_end), (Cqe{0, 44, with_more(1)}));
}

TEST_F(IncrementalGroup, takes_what_is_asked_for_from_a_file_on_disk_however_much_it_has) {
    shared_.add(buffers_, 0);
    EXPECT_EQ(read(file_, 20), (Cqe{0, 11, with_more(0)}));
    EXPECT_EQ(left(0), 44U);
    EXPECT_EQ(read(Fd(open("/tmp", O_RDONLY | O_CLOEXEC)), 4), (Cqe{0, -EISDIR, with_more(0)}));
    EXPECT_EQ(left(0), 40U);
    EXPECT_EQ(ring_.run(sqe::read_selecting(file_, group, 10).flag(IOSQE_ASYNC)), (Cqe{0, 10, with_more(0)}));
    EXPECT_EQ(read(file_), (Cqe{0, 11, with_buffer(0)}));
    EXPECT_EQ(head(), 1);
}

TEST_F(IncrementalGroup, keeps_a_buffer_of_which_nothing_was_used) {
    Pipe pipe;
    shared_.add(buffers_, 0);
    pipe.write_end.reset();
    EXPECT_EQ(read(pipe.read_end), (Cqe{0, 0, with_more(0)}));
    EXPECT_EQ(left(0), 64U);
    shared_.entry(0).len = 0;
    EXPECT_EQ(read(file_), (Cqe{0, 0, with_more(0)}));
    EXPECT_EQ(head(), 0);
}

TEST_F(ClassicGroup, of_pieces_retires_a_buffer_of_which_too_little_is_left) {
    BufferRing shared(ring_, 8, group, IOU_PBUF_RING_INC, 16);
    const Fd file = file_with(std::string(100, 'x'));
    for (const unsigned id : {0U, 1U, 2U}) shared.add(buffers_, id);
    EXPECT_EQ(read(file, 48), (Cqe{0, 48, with_more(0)})) << "just enough is left";
    EXPECT_EQ(read(file, 1), (Cqe{0, 1, with_buffer(0)}));
    EXPECT_EQ(shared.entry(0).len, 0U);
    EXPECT_EQ(read(file, 63), (Cqe{0, 63, with_buffer(1)}));
    EXPECT_EQ(read(file, 4), (Cqe{0, 4, with_more(2)}));
    EXPECT_EQ(head_of_ring(ring_, group), 2);
}

// --- READ_MULTISHOT -------------------------------------------------------------------------------------------------

class MultishotRead : public ClassicGroup {
  protected:
    void start() { ASSERT_THAT(ring_.submit(sqe::read_multishot(pipe_.read_end, group).data(1)), Gives(1)); }
    void feed(std::string_view text) {
        EXPECT_EQ(write(pipe_.write_end, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    static testing::Matcher<std::vector<Cqe>> reads(int bytes, unsigned id) {
        return ElementsAre(Completes(1, bytes, with_buffer(id, IORING_CQE_F_MORE)));
    }

    Pipe pipe_;
};

TEST_F(MultishotRead, puts_each_piece_into_a_buffer_until_none_is_left) {
    provide(3);
    start();
    EXPECT_THAT(ring_.linger(), IsEmpty());
    for (const unsigned id : {0U, 1U, 2U}) {
        feed("abc");
        EXPECT_THAT(ring_.wait(1), reads(3, id));
        EXPECT_EQ(buffers_.text(id, 4), "abc.");
    }
    EXPECT_THAT(ring_.linger(), IsEmpty()) << "nothing to read, so no buffer is missed";
    feed("abc");
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(1, -ENOBUFS)));
}

TEST_F(MultishotRead, goes_on_with_buffers_provided_in_time) {
    BufferRing shared(ring_, 4, group);
    shared.add(buffers_, 0);
    feed("abc");
    start();
    for (unsigned round = 0; round < 10; ++round) {
        EXPECT_THAT(ring_.wait(1), reads(3, round % 8));
        shared.add(buffers_, (round + 1) % 8);
        feed("abc");
    }
}

TEST_F(MultishotRead, takes_apart_what_is_larger_than_a_buffer) {
    provide(3);
    feed(std::string(150, 'x'));
    start();
    EXPECT_THAT(ring_.wait(3), ElementsAre(Completes(1, 64, with_buffer(0, IORING_CQE_F_MORE)),
                                           Completes(1, 64, with_buffer(1, IORING_CQE_F_MORE)),
                                           Completes(1, 22, with_buffer(2, IORING_CQE_F_MORE))));
}

TEST_F(MultishotRead, uses_buffers_piece_by_piece_where_they_are_so) {
    BufferRing shared(ring_, 4, group, IOU_PBUF_RING_INC);
    shared.add(buffers_, 0);
    start();
    for (const char* text : {"abc", "def"}) {
        feed(text);
        EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(1, 3, with_more(0) | IORING_CQE_F_MORE)));
    }
    EXPECT_EQ(buffers_.text(0, 7), "abcdef.");
}

TEST_F(MultishotRead, ends_with_its_file_and_gives_the_buffer_back) {
    provide(2);
    start();
    feed("abc");
    EXPECT_THAT(ring_.wait(1), reads(3, 0));
    pipe_.write_end.reset();
    EXPECT_THAT(ring_.wait(1), ElementsAre(Completes(1, 0)));
    EXPECT_EQ(remove_all(), 1);
}

TEST_F(MultishotRead, ends_when_it_is_cancelled) {
    provide(2);
    start();
    EXPECT_THAT(ring_.submit(sqe::cancel(1).data(2)), Gives(1));
    EXPECT_THAT(ring_.wait(2), ElementsAre(Completes(2, 0), Completes(1, -ECANCELED)));
    EXPECT_EQ(remove_all(), 2);
}

TEST_F(MultishotRead, ends_when_its_completions_find_no_room) {
    RawRing small(1);
    EXPECT_THAT(small.run(sqe::provide(buffers_, 8, group)), Gives(0));
    feed(std::string(3 * 64, 'x'));
    EXPECT_THAT(small.submit(sqe::read_multishot(pipe_.read_end, group).data(1)), Gives(1));
    EXPECT_THAT(small.linger(), ElementsAre(Completes(1, 64, with_buffer(0, IORING_CQE_F_MORE)),
                                            Completes(1, 64, with_buffer(1, IORING_CQE_F_MORE))));
    EXPECT_THAT(small.wait(1), ElementsAre(Completes(1, 64, with_buffer(2))));
}

TEST_F(MultishotRead, does_not_wait_if_told_so) {
    provide(2);
    feed("abc");
    EXPECT_THAT(ring_.submit(sqe::read_multishot(pipe_.read_end, group).data(1).set(&Sqe::rw_flags, nowait)), Gives(1));
    EXPECT_THAT(ring_.wait(2), ElementsAre(Completes(1, 3, with_buffer(0, IORING_CQE_F_MORE)), Completes(1, -EAGAIN)));
    EXPECT_EQ(remove_all(), 1);
}

TEST_F(MultishotRead, starts_in_a_worker_if_asked_to) {
    provide(2);
    EXPECT_THAT(ring_.submit(sqe::read_multishot(pipe_.read_end, group).data(1).flag(IOSQE_ASYNC)), Gives(1));
    EXPECT_THAT(ring_.linger(), IsEmpty());
    feed("abc");
    EXPECT_THAT(ring_.wait(1), reads(3, 0));
}

TEST_F(MultishotRead, is_for_files_that_can_be_waited_for) {
    EXPECT_THAT(ring_.run(sqe::read_multishot(file_, group)), Gives(-EBADFD));
    provide(1);
    EXPECT_THAT(ring_.run(sqe::read_multishot(Fd(open("/tmp", O_RDONLY | O_CLOEXEC)), group)), Gives(-EBADFD));
    EXPECT_THAT(ring_.run(sqe::read_multishot(Fd(open("/dev/zero", O_RDONLY | O_CLOEXEC)), group)), Gives(-EBADFD));
    EXPECT_THAT(ring_.run(sqe::read_multishot(-1, group)), Gives(-EBADF));
    EXPECT_THAT(ring_.run(sqe::read_multishot(Fd(open("/tmp", O_PATH | O_CLOEXEC)), group)), Gives(-EBADF));
    EXPECT_THAT(ring_.run(sqe::read_multishot(pipe_.read_end, group).set(&Sqe::rw_flags, RWF_HIPRI)), Gives(-EINVAL));
    EXPECT_THAT(ring_.run(sqe::read_multishot(pipe_.write_end, group)), Gives(-EBADF));
    EXPECT_EQ(remove_all(), 1);
}

TEST_F(MultishotRead, is_nothing_without_buffers_to_select) {
    EXPECT_THAT(ring_.run(sqe::read_multishot(pipe_.read_end, group)), Gives(-ENOBUFS)) << "not even when it begins";
    provide(1);
    const Sqe good = sqe::read_multishot(pipe_.read_end, group);
    EXPECT_THAT(ring_.run(Sqe(good).set(&Sqe::flags, 0)), Gives(-EINVAL));
    EXPECT_THAT(ring_.run(Sqe(good).set(&Sqe::addr, 1)), Gives(-EINVAL));
    EXPECT_THAT(ring_.run(Sqe(good).set(&Sqe::len, 1)), Gives(-EINVAL));
}

}  // namespace
}  // namespace ringside::test
