// What fits no other family: splice, epoll, messages between rings, futexes, children, pipes, registered files.
#include <sys/epoll.h>
#include <sys/wait.h>

#include "liburing/io_uring.h"
#include "operations.h"

namespace ringside::lab {
namespace {

using enum ResourceKind;

// From a file into a pipe, or from what lies in a pipe into a file: never more than there is room for.
bool splice(Draft& draft) {
    draft.set(Field::len, draft.random.one_of<uint64_t>({0, 1, 100, 1000}));
    draft.set(Field::op_flags, draft.random.percent(20) ? draft.random.below(16) : 0);
    const bool from_file = draft.random.percent(50);
    const auto pipe_end = draft.builder.channel({pipe}, from_file ? 1 : 0, !from_file);
    // One that waits does so in a worker, and the kernel is slow to start others beside it.
    if (pipe_end && !from_file && draft.builder.is_silent(*pipe_end) && draft.random.percent(80)) return false;
    const auto other = draft.builder.resource({file, memfd, null}, Access::exclusive);
    if (!pipe_end || !other) return false;
    const uint64_t offset = draft.random.one_of<uint64_t>({file_position, 0, 5});
    draft[Field::fd] = fd_of(from_file ? *pipe_end : *other);
    draft[Field::file_index] = fd_of(from_file ? *other : *pipe_end);
    draft.set(Field::off, from_file ? file_position : offset);
    draft.set(Field::addr, from_file ? offset : file_position);
    return true;
}

bool tee(Draft& draft) {
    const auto from = draft.builder.channel({pipe}, 0, true);
    const auto to = draft.builder.channel({pipe}, 1, false);
    if (!from || !to || (draft.builder.is_silent(*from) && draft.random.percent(80))) return false;
    draft[Field::file_index] = fd_of(*from);
    draft[Field::fd] = fd_of(*to);
    draft.set(Field::len, draft.random.one_of<uint64_t>({0, 1, 100}));
    return true;
}

bool epoll_ctl(Draft& draft) {
    if (!draft.use_resource({epoll, epoll, epoll, file}, Access::exclusive)) return false;
    const auto target = draft.builder.resource({epoll, file, null, directory}, Access::exclusive);
    if (!target) return false;
    draft[Field::addr] = fd_of(*target);
    draft.set(Field::len, draft.random.between(1, 4));  // EPOLL_CTL_ADD, DEL, MOD
    draft[Field::off] = draft.builder.cells("epoll_event", {{4, number(EPOLLIN)}, {8, number(5)}, {4, number(0)}});
    return true;
}

bool epoll_wait(Draft& draft) {
    if (!draft.builder.may_wait) return false;
    draft.builder.chain_may_wait();
    draft[Field::addr] = draft.builder.bytes(48, 0);
    draft.set(Field::len, draft.random.one_of<uint64_t>({0, 1, 4}));
    return draft.use_resource({epoll, epoll, file}, Access::exclusive);
}

bool msg_ring(Draft& draft) {
    draft.set(Field::len, draft.random.below(100));
    draft.set(Field::off, 700 + draft.random.below(5));
    if (draft.random.percent(20)) draft.set(Field::addr, IORING_MSG_SEND_FD);
    return draft.use_resource({ring, ring, ring, file}, Access::exclusive);
}

constexpr uint64_t any_bits = 0xffffffff;
constexpr uint64_t private_word = 2 | 128;  // FUTEX2_SIZE_U32 | FUTEX2_PRIVATE

bool futex_wait(Draft& draft) {
    if (!draft.builder.may_wait) return false;
    draft.builder.chain_may_wait();
    draft[Field::addr] = draft.builder.cells("futex", {{4, number(1)}, {4, number(0)}});
    draft.set(Field::off, draft.random.below(2));  // the value expected
    draft.set(Field::addr3, draft.random.percent(90) ? any_bits : 0);
    draft.set(Field::fd, draft.random.percent(90) ? private_word : 3);
    return true;
}

bool futex_wake(Draft& draft) {
    draft[Field::addr] = draft.builder.cells("futex", {{4, number(1)}, {4, number(0)}});
    draft.set(Field::off, draft.random.below(3));
    draft.set(Field::addr3, draft.random.percent(90) ? any_bits : 0);
    draft.set(Field::fd, draft.random.percent(90) ? private_word : 3);
    return true;
}

// The process has no children.
bool waitid(Draft& draft) {
    draft.set(Field::len, draft.random.one_of<uint64_t>({P_ALL, P_PID, 77}));
    draft.set(Field::fd, draft.random.one_of<uint64_t>({0, 1, 999'999}));
    draft.set(Field::file_index, draft.random.one_of<uint64_t>({WEXITED, WEXITED | WNOHANG, 0}));
    draft[Field::off] = draft.builder.bytes(128, 0);
    return true;
}

bool make_pipe(Draft& draft) {
    Memory fds;
    fds.label = "unstable";
    fds.size = 8;
    draft[Field::addr] = draft.builder.memory(fds).value_or(number(0));
    // Both ends go into the table of registered files, since nobody would close descriptors.
    draft.set(Field::file_index, IORING_FILE_INDEX_ALLOC);
    return true;
}

bool files_update(Draft& draft) {
    const auto target = draft.builder.resource({file, memfd, null}, Access::shared);
    if (!target || !draft.builder.take(fixed_table_key, Access::exclusive)) return false;
    draft[Field::addr] =
        draft.builder.cells("fds", {{4, draft.random.percent(80) ? fd_of(*target) : number(~uint64_t{0})}});
    draft.set(Field::len, 1);
    draft.set(Field::off, draft.random.below(5));
    draft.builder.fixed_files.clear();
    return true;
}

bool fixed_fd_install(Draft& draft) {
    draft.set(Field::fd, draft.random.below(4));
    draft.set(Field::op_flags, draft.random.below(2));
    draft.always_fixed = true;
    return true;
}

bool socket_command(Draft& draft) {
    draft.set(Field::off, draft.random.one_of<uint64_t>({SOCKET_URING_OP_SIOCINQ, SOCKET_URING_OP_SIOCOUTQ, 99}));
    return draft.use_channel({stream, datagram}, 1, false);
}

constexpr Operation table[] = {
    {.opcode = IORING_OP_SPLICE, .weight = 4, .fill = splice, .untouchable_fields = bit(Field::len)},
    {.opcode = IORING_OP_TEE, .weight = 2, .fill = tee, .untouchable_fields = bit(Field::len)},
    {.opcode = IORING_OP_EPOLL_CTL, .weight = 3, .fill = epoll_ctl, .untouchable_fields = bit(Field::addr)},
    {.opcode = IORING_OP_EPOLL_WAIT, .weight = 2, .fill = epoll_wait},
    {.opcode = IORING_OP_MSG_RING, .weight = 3, .fill = msg_ring},
    {.opcode = IORING_OP_FUTEX_WAIT, .weight = 3, .fill = futex_wait},
    {.opcode = IORING_OP_FUTEX_WAKE, .weight = 2, .fill = futex_wake},
    {.opcode = IORING_OP_WAITID, .weight = 2, .fill = waitid, .untouchable_fields = bit(Field::fd)},
    {.opcode = IORING_OP_PIPE, .weight = 2, .fill = make_pipe, .untouchable_fields = bit(Field::file_index)},
    {.opcode = IORING_OP_FILES_UPDATE, .weight = 3, .fill = files_update},
    {.opcode = IORING_OP_FIXED_FD_INSTALL, .weight = 2, .fill = fixed_fd_install},
    {.opcode = IORING_OP_URING_CMD, .weight = 2, .fill = socket_command},
};

}  // namespace

std::span<const Operation> other_operations() { return table; }

}  // namespace ringside::lab
