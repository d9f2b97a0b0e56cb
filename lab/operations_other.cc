// What fits no other family: splice, epoll, messages between rings, futexes, children, pipes, registered files.
#include <sys/epoll.h>
#include <sys/wait.h>

#include <utility>

#include "liburing/io_uring.h"
#include "operations.h"

namespace ringside::lab {
namespace {

using enum ResourceKind;

// One that waits does so in a worker, and the kernel is slow to start others beside it; beside a thread that submits it
// may not start them at all.
bool may_wait_in_worker(Draft& draft) {
    return (draft.builder.program.setup.flags & IORING_SETUP_SQPOLL) == 0 && draft.random.percent(20);
}

// From a file into a pipe, or from what lies in a pipe into a file: never more than there is room for.
bool splice(Draft& draft) {
    draft.set(Field::len, draft.random.one_of<uint64_t>({0, 1, 100, 1000}));
    draft.set(Field::op_flags, draft.random.percent(20) ? draft.random.below(16) : 0);
    const bool from_file = draft.random.percent(50);
    const auto pipe_end = draft.builder.channel({pipe}, from_file ? 1 : 0, !from_file);
    if (pipe_end && !from_file && draft.builder.is_silent(*pipe_end) && !may_wait_in_worker(draft)) return false;
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
    if (!from || !to || (draft.builder.is_silent(*from) && !may_wait_in_worker(draft))) return false;
    draft[Field::file_index] = fd_of(*from);
    draft[Field::fd] = fd_of(*to);
    draft.set(Field::len, draft.random.one_of<uint64_t>({0, 1, 100}));
    return true;
}

void watch(Draft& draft, uint32_t target) {
    draft[Field::off] = fd_of(target);
    draft.builder.watched.insert(target);
    draft.builder.watching.insert(draft.fd_resource);
    draft[Field::addr] = draft.builder.cells("epoll_event", {{4, number(EPOLLIN)}, {8, number(5)}, {4, number(0)}});
}

bool epoll_ctl(Draft& draft) {
    if (!draft.use_resource({epoll, epoll, epoll, file}, Access::exclusive)) return false;
    const auto target = draft.builder.resource({unix_socket, udp_socket, epoll, file}, Access::exclusive);
    if (!target) return false;
    watch(draft, *target);
    draft.set(Field::len, draft.random.one_of<uint64_t>({1, 1, 1, 2, 3, 4}));  // EPOLL_CTL_ADD, DEL, MOD
    return true;
}

bool epoll_wait(Draft& draft) {
    if (!draft.builder.can_wait()) return false;
    draft.builder.chain_may_wait();
    draft[Field::addr] = draft.builder.bytes(48, 0);
    draft.set(Field::len, draft.random.one_of<uint64_t>({0, 1, 4}));
    // What it sees must not change while it looks.
    for (const Key key : draft.builder.watched) {
        if (!draft.builder.take(key, Access::shared)) return false;
    }
    for (const Key key : draft.builder.watching) {
        if (!draft.random.percent(60) || !draft.builder.take(key, Access::exclusive)) continue;
        draft[Field::fd] = fd_of(key);
        return true;
    }
    return draft.use_resource({epoll, epoll, file}, Access::exclusive);
}

bool msg_ring(Draft& draft) {
    draft.set(Field::len, draft.random.below(100));
    draft.set(Field::off, 700 + draft.random.below(5));
    if (draft.random.percent(20)) draft.set(Field::addr, IORING_MSG_SEND_FD);
    return draft.use_resource({ring, ring, ring, file}, Access::exclusive);
}

constexpr uint64_t any_bits = 0xffffffff;
constexpr uint64_t shared_word = 2;         // FUTEX2_SIZE_U32
constexpr uint64_t private_word = 2 | 128;  // and FUTEX2_PRIVATE

// Flags of a futex that a request waits for, and its word. Only a shared one is woken later: a process has a table of
// its own for private ones as soon as it has a second thread, and Linux (6.18) then loses those who wait already, which
// are only requests of rings.
std::pair<uint64_t, Value> new_futex(Draft& draft) {
    const uint64_t flags = draft.random.one_of<uint64_t>({shared_word, shared_word, private_word, 3});
    const Value word = draft.builder.cells("futex", {{4, number(1)}, {4, number(0)}});
    // generate.cc gives the request its user_data right after this.
    const uint64_t request = draft.builder.last_user_data() + 1;
    // Of several futexes that one request waits for, one is woken: when two are, the kernel tells the first and the
    // engine any (docs/differences.md).
    std::vector<Sleeper>& sleepers = draft.builder.sleepers;
    const bool has_one = !sleepers.empty() && sleepers.back().user_data == request;
    const bool is_woken = flags == shared_word && !word.is_zero() && !draft.will_be_mutated && !has_one;
    if (is_woken) sleepers.push_back({request, word});
    return {flags, word};
}

bool futex_wait(Draft& draft) {
    if (!draft.builder.can_wait()) return false;
    draft.builder.chain_may_wait();
    const auto [flags, word] = new_futex(draft);
    draft[Field::addr] = word;
    draft.set(Field::off, draft.random.percent(75) ? 1 : 0);  // the value expected
    draft.set(Field::addr3, draft.random.percent(90) ? any_bits : 0);
    draft.set(Field::fd, flags);
    return true;
}

bool futex_waitv(Draft& draft) {
    if (!draft.builder.can_wait()) return false;
    draft.builder.chain_may_wait();
    std::vector<Cell> cells;
    const uint64_t count = draft.random.between(1, 3);
    for (uint64_t i = 0; i < count; ++i) {
        const auto [flags, word] = new_futex(draft);
        cells.push_back({8, number(draft.random.percent(85) ? 1 : 0)});
        cells.push_back({8, word});
        cells.push_back({4, number(flags == 3 && draft.random.percent(80) ? private_word : flags)});
        cells.push_back({4, number(0)});
    }
    draft[Field::addr] = draft.builder.cells("futex_waitv", cells);
    draft.set(Field::len, draft.random.percent(95) ? count : 0);
    return true;
}

// Of a futex that a request has been waiting for, or of one that nobody waits for.
bool futex_wake(Draft& draft) {
    std::vector<Sleeper>& sleepers = draft.builder.sleepers;
    if (!sleepers.empty() && draft.builder.settled(sleepers.front().user_data) && draft.random.percent(80)) {
        draft[Field::addr] = sleepers.front().word;
        draft.set(Field::fd, shared_word);
        sleepers.erase(sleepers.begin());
    } else {
        draft[Field::addr] = draft.builder.cells("futex", {{4, number(1)}, {4, number(0)}});
        draft.set(Field::fd, draft.random.one_of<uint64_t>({shared_word, private_word, 3}));
    }
    draft.set(Field::off, draft.random.below(3));
    draft.set(Field::addr3, draft.random.percent(90) ? any_bits : 0);
    return true;
}

// A child that has ended, which is waited for once, or none.
bool waitid(Draft& draft) {
    Memory information;
    information.label = "unstable";
    information.size = 128;
    draft[Field::off] = draft.builder.memory(information).value_or(number(0));
    draft.set(Field::len, draft.random.one_of<uint64_t>({P_ALL, P_PID, P_PID, 77}));
    draft.set(Field::file_index, draft.random.one_of<uint64_t>({WEXITED, WEXITED | WNOHANG, WEXITED | WNOWAIT, 0}));
    // Any child will do for P_ALL.
    if (!draft.builder.take(children_key, Access::exclusive)) return false;
    if (draft.random.percent(60)) return draft.use_resource({child}, Access::exclusive);
    draft.set(Field::fd, draft.random.one_of<uint64_t>({0, 1, 999'999}));
    return true;
}

bool make_pipe(Draft& draft) {
    Memory fds;
    fds.label = "unstable";
    fds.size = 8;
    draft[Field::addr] = draft.builder.memory(fds).value_or(number(0));
    // Both ends go into the table of registered files, since nobody would close descriptors.
    if (!draft.builder.take(fixed_table_key, Access::exclusive)) return false;
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
    if (!draft.builder.take(fixed_table_key, Access::shared)) return false;
    draft.set(Field::fd, draft.random.below(4));
    draft.set(Field::op_flags, draft.random.below(2));
    draft.always_fixed = true;
    return true;
}

bool socket_command(Draft& draft) {
    draft.set(Field::off, draft.random.one_of<uint64_t>({SOCKET_URING_OP_SIOCINQ, SOCKET_URING_OP_SIOCOUTQ, 99}));
    if (draft.random.percent(50)) return draft.use_resource({udp_socket, inet_socket}, Access::exclusive);
    return draft.use_channel({stream, datagram}, 1, false);
}

constexpr Operation table[] = {
    {.opcode = IORING_OP_SPLICE, .weight = 4, .fill = splice, .untouchable_fields = bit(Field::len)},
    {.opcode = IORING_OP_TEE, .weight = 2, .fill = tee, .untouchable_fields = bit(Field::len)},
    {.opcode = IORING_OP_EPOLL_CTL, .weight = 3, .fill = epoll_ctl, .untouchable_fields = bit(Field::off)},
    {.opcode = IORING_OP_EPOLL_WAIT, .weight = 2, .fill = epoll_wait},
    {.opcode = IORING_OP_MSG_RING, .weight = 3, .fill = msg_ring},
    {.opcode = IORING_OP_FUTEX_WAIT, .weight = 3, .fill = futex_wait},
    {.opcode = IORING_OP_FUTEX_WAITV, .weight = 2, .fill = futex_waitv},
    {.opcode = IORING_OP_FUTEX_WAKE, .weight = 4, .fill = futex_wake},
    {.opcode = IORING_OP_WAITID, .weight = 2, .fill = waitid, .untouchable_fields = bit(Field::fd)},
    {.opcode = IORING_OP_PIPE, .weight = 2, .fill = make_pipe, .untouchable_fields = bit(Field::file_index)},
    {.opcode = IORING_OP_FILES_UPDATE, .weight = 3, .fill = files_update},
    {.opcode = IORING_OP_FIXED_FD_INSTALL, .weight = 2, .fill = fixed_fd_install},
    {.opcode = IORING_OP_URING_CMD, .weight = 2, .fill = socket_command},
};

}  // namespace

// A socket that is not connected has something to tell at once.
bool watch_something(Draft& draft) {
    if (!draft.use_resource({epoll}, Access::exclusive)) return false;
    const auto target = draft.builder.resource({unix_socket}, Access::exclusive);
    if (!target) return false;
    watch(draft, *target);
    draft.set(Field::len, EPOLL_CTL_ADD);
    return true;
}

std::span<const Operation> other_operations() { return table; }

}  // namespace ringside::lab
