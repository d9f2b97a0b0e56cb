#include "names.h"

#include <string.h>

#include <charconv>

#include "liburing/io_uring.h"
#include "program.h"

namespace ringside::lab {

std::span<const Name> opcode_names() {
    static const Name names[] = {
        {IORING_OP_NOP, "NOP"},
        {IORING_OP_READV, "READV"},
        {IORING_OP_WRITEV, "WRITEV"},
        {IORING_OP_FSYNC, "FSYNC"},
        {IORING_OP_READ_FIXED, "READ_FIXED"},
        {IORING_OP_WRITE_FIXED, "WRITE_FIXED"},
        {IORING_OP_POLL_ADD, "POLL_ADD"},
        {IORING_OP_POLL_REMOVE, "POLL_REMOVE"},
        {IORING_OP_SYNC_FILE_RANGE, "SYNC_FILE_RANGE"},
        {IORING_OP_SENDMSG, "SENDMSG"},
        {IORING_OP_RECVMSG, "RECVMSG"},
        {IORING_OP_TIMEOUT, "TIMEOUT"},
        {IORING_OP_TIMEOUT_REMOVE, "TIMEOUT_REMOVE"},
        {IORING_OP_ACCEPT, "ACCEPT"},
        {IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL"},
        {IORING_OP_LINK_TIMEOUT, "LINK_TIMEOUT"},
        {IORING_OP_CONNECT, "CONNECT"},
        {IORING_OP_FALLOCATE, "FALLOCATE"},
        {IORING_OP_OPENAT, "OPENAT"},
        {IORING_OP_CLOSE, "CLOSE"},
        {IORING_OP_FILES_UPDATE, "FILES_UPDATE"},
        {IORING_OP_STATX, "STATX"},
        {IORING_OP_READ, "READ"},
        {IORING_OP_WRITE, "WRITE"},
        {IORING_OP_FADVISE, "FADVISE"},
        {IORING_OP_MADVISE, "MADVISE"},
        {IORING_OP_SEND, "SEND"},
        {IORING_OP_RECV, "RECV"},
        {IORING_OP_OPENAT2, "OPENAT2"},
        {IORING_OP_EPOLL_CTL, "EPOLL_CTL"},
        {IORING_OP_SPLICE, "SPLICE"},
        {IORING_OP_PROVIDE_BUFFERS, "PROVIDE_BUFFERS"},
        {IORING_OP_REMOVE_BUFFERS, "REMOVE_BUFFERS"},
        {IORING_OP_TEE, "TEE"},
        {IORING_OP_SHUTDOWN, "SHUTDOWN"},
        {IORING_OP_RENAMEAT, "RENAMEAT"},
        {IORING_OP_UNLINKAT, "UNLINKAT"},
        {IORING_OP_MKDIRAT, "MKDIRAT"},
        {IORING_OP_SYMLINKAT, "SYMLINKAT"},
        {IORING_OP_LINKAT, "LINKAT"},
        {IORING_OP_MSG_RING, "MSG_RING"},
        {IORING_OP_FSETXATTR, "FSETXATTR"},
        {IORING_OP_SETXATTR, "SETXATTR"},
        {IORING_OP_FGETXATTR, "FGETXATTR"},
        {IORING_OP_GETXATTR, "GETXATTR"},
        {IORING_OP_SOCKET, "SOCKET"},
        {IORING_OP_URING_CMD, "URING_CMD"},
        {IORING_OP_SEND_ZC, "SEND_ZC"},
        {IORING_OP_SENDMSG_ZC, "SENDMSG_ZC"},
        {IORING_OP_READ_MULTISHOT, "READ_MULTISHOT"},
        {IORING_OP_WAITID, "WAITID"},
        {IORING_OP_FUTEX_WAIT, "FUTEX_WAIT"},
        {IORING_OP_FUTEX_WAKE, "FUTEX_WAKE"},
        {IORING_OP_FUTEX_WAITV, "FUTEX_WAITV"},
        {IORING_OP_FIXED_FD_INSTALL, "FIXED_FD_INSTALL"},
        {IORING_OP_FTRUNCATE, "FTRUNCATE"},
        {IORING_OP_BIND, "BIND"},
        {IORING_OP_LISTEN, "LISTEN"},
        {IORING_OP_RECV_ZC, "RECV_ZC"},
        {IORING_OP_EPOLL_WAIT, "EPOLL_WAIT"},
        {IORING_OP_READV_FIXED, "READV_FIXED"},
        {IORING_OP_WRITEV_FIXED, "WRITEV_FIXED"},
        {IORING_OP_PIPE, "PIPE"},
        {IORING_OP_NOP128, "NOP128"},
        {IORING_OP_URING_CMD128, "URING_CMD128"},
    };
    return names;
}

std::span<const Name> register_names() {
    static const Name names[] = {
        {IORING_REGISTER_BUFFERS, "REGISTER_BUFFERS"},
        {IORING_REGISTER_FILES, "REGISTER_FILES"},
        {IORING_REGISTER_EVENTFD, "REGISTER_EVENTFD"},
        {IORING_REGISTER_FILES_UPDATE, "REGISTER_FILES_UPDATE"},
        {IORING_REGISTER_EVENTFD_ASYNC, "REGISTER_EVENTFD_ASYNC"},
        {IORING_REGISTER_PROBE, "REGISTER_PROBE"},
        {IORING_REGISTER_PERSONALITY, "REGISTER_PERSONALITY"},
        {IORING_REGISTER_RESTRICTIONS, "REGISTER_RESTRICTIONS"},
        {IORING_REGISTER_ENABLE_RINGS, "REGISTER_ENABLE_RINGS"},
        {IORING_REGISTER_FILES2, "REGISTER_FILES2"},
        {IORING_REGISTER_FILES_UPDATE2, "REGISTER_FILES_UPDATE2"},
        {IORING_REGISTER_BUFFERS2, "REGISTER_BUFFERS2"},
        {IORING_REGISTER_BUFFERS_UPDATE, "REGISTER_BUFFERS_UPDATE"},
        {IORING_REGISTER_IOWQ_AFF, "REGISTER_IOWQ_AFF"},
        {IORING_REGISTER_IOWQ_MAX_WORKERS, "REGISTER_IOWQ_MAX_WORKERS"},
        {IORING_REGISTER_RING_FDS, "REGISTER_RING_FDS"},
        {IORING_REGISTER_PBUF_RING, "REGISTER_PBUF_RING"},
        {IORING_REGISTER_SYNC_CANCEL, "REGISTER_SYNC_CANCEL"},
        {IORING_REGISTER_FILE_ALLOC_RANGE, "REGISTER_FILE_ALLOC_RANGE"},
        {IORING_REGISTER_PBUF_STATUS, "REGISTER_PBUF_STATUS"},
        {IORING_REGISTER_NAPI, "REGISTER_NAPI"},
        {IORING_REGISTER_CLOCK, "REGISTER_CLOCK"},
        {IORING_REGISTER_CLONE_BUFFERS, "REGISTER_CLONE_BUFFERS"},
        {IORING_REGISTER_SEND_MSG_RING, "REGISTER_SEND_MSG_RING"},
        {IORING_REGISTER_ZCRX_IFQ, "REGISTER_ZCRX_IFQ"},
        {IORING_REGISTER_RESIZE_RINGS, "REGISTER_RESIZE_RINGS"},
        {IORING_REGISTER_MEM_REGION, "REGISTER_MEM_REGION"},
        {IORING_REGISTER_QUERY, "REGISTER_QUERY"},
        {IORING_REGISTER_ZCRX_CTRL, "REGISTER_ZCRX_CTRL"},
        {IORING_REGISTER_BPF_FILTER, "REGISTER_BPF_FILTER"},
        {IORING_UNREGISTER_BUFFERS, "UNREGISTER_BUFFERS"},
        {IORING_UNREGISTER_FILES, "UNREGISTER_FILES"},
        {IORING_UNREGISTER_EVENTFD, "UNREGISTER_EVENTFD"},
        {IORING_UNREGISTER_PERSONALITY, "UNREGISTER_PERSONALITY"},
        {IORING_UNREGISTER_IOWQ_AFF, "UNREGISTER_IOWQ_AFF"},
        {IORING_UNREGISTER_RING_FDS, "UNREGISTER_RING_FDS"},
        {IORING_UNREGISTER_PBUF_RING, "UNREGISTER_PBUF_RING"},
        {IORING_UNREGISTER_NAPI, "UNREGISTER_NAPI"},
    };
    return names;
}

std::span<const Name> sqe_flag_names() {
    static const Name names[] = {
        {IOSQE_FIXED_FILE, "FIXED_FILE"},
        {IOSQE_IO_DRAIN, "IO_DRAIN"},
        {IOSQE_IO_LINK, "IO_LINK"},
        {IOSQE_IO_HARDLINK, "IO_HARDLINK"},
        {IOSQE_ASYNC, "ASYNC"},
        {IOSQE_BUFFER_SELECT, "BUFFER_SELECT"},
        {IOSQE_CQE_SKIP_SUCCESS, "CQE_SKIP_SUCCESS"},
    };
    return names;
}

std::span<const Name> setup_flag_names() {
    static const Name names[] = {
        {IORING_SETUP_IOPOLL, "IOPOLL"},
        {IORING_SETUP_SQPOLL, "SQPOLL"},
        {IORING_SETUP_SQ_AFF, "SQ_AFF"},
        {IORING_SETUP_CQSIZE, "CQSIZE"},
        {IORING_SETUP_CLAMP, "CLAMP"},
        {IORING_SETUP_ATTACH_WQ, "ATTACH_WQ"},
        {IORING_SETUP_R_DISABLED, "R_DISABLED"},
        {IORING_SETUP_SUBMIT_ALL, "SUBMIT_ALL"},
        {IORING_SETUP_COOP_TASKRUN, "COOP_TASKRUN"},
        {IORING_SETUP_TASKRUN_FLAG, "TASKRUN_FLAG"},
        {IORING_SETUP_SQE128, "SQE128"},
        {IORING_SETUP_CQE32, "CQE32"},
        {IORING_SETUP_SINGLE_ISSUER, "SINGLE_ISSUER"},
        {IORING_SETUP_DEFER_TASKRUN, "DEFER_TASKRUN"},
        {IORING_SETUP_NO_MMAP, "NO_MMAP"},
        {IORING_SETUP_REGISTERED_FD_ONLY, "REGISTERED_FD_ONLY"},
        {IORING_SETUP_NO_SQARRAY, "NO_SQARRAY"},
        {IORING_SETUP_HYBRID_IOPOLL, "HYBRID_IOPOLL"},
        {IORING_SETUP_CQE_MIXED, "CQE_MIXED"},
        {IORING_SETUP_SQE_MIXED, "SQE_MIXED"},
        {IORING_SETUP_SQ_REWIND, "SQ_REWIND"},
    };
    return names;
}

std::span<const Name> enter_flag_names() {
    static const Name names[] = {
        {IORING_ENTER_GETEVENTS, "GETEVENTS"},
        {IORING_ENTER_SQ_WAKEUP, "SQ_WAKEUP"},
        {IORING_ENTER_SQ_WAIT, "SQ_WAIT"},
        {IORING_ENTER_EXT_ARG, "EXT_ARG"},
        {IORING_ENTER_REGISTERED_RING, "REGISTERED_RING"},
        {IORING_ENTER_ABS_TIMER, "ABS_TIMER"},
        {IORING_ENTER_EXT_ARG_REG, "EXT_ARG_REG"},
        {IORING_ENTER_NO_IOWAIT, "NO_IOWAIT"},
    };
    return names;
}

std::span<const Name> resource_names() {
    static const Name names[] = {
        {uint64_t(ResourceKind::file), "file"},
        {uint64_t(ResourceKind::directory), "directory"},
        {uint64_t(ResourceKind::scratch), "scratch"},
        {uint64_t(ResourceKind::path_only), "path_only"},
        {uint64_t(ResourceKind::pipe), "pipe"},
        {uint64_t(ResourceKind::stream), "stream"},
        {uint64_t(ResourceKind::datagram), "datagram"},
        {uint64_t(ResourceKind::seqpacket), "seqpacket"},
        {uint64_t(ResourceKind::eventfd), "eventfd"},
        {uint64_t(ResourceKind::null), "null"},
        {uint64_t(ResourceKind::zero), "zero"},
        {uint64_t(ResourceKind::epoll), "epoll"},
        {uint64_t(ResourceKind::memfd), "memfd"},
        {uint64_t(ResourceKind::listener), "listener"},
        {uint64_t(ResourceKind::inet_listener), "inet_listener"},
        {uint64_t(ResourceKind::unix_socket), "unix_socket"},
        {uint64_t(ResourceKind::inet_socket), "inet_socket"},
        {uint64_t(ResourceKind::udp_socket), "udp_socket"},
        {uint64_t(ResourceKind::ring), "ring"},
        {uint64_t(ResourceKind::child), "child"},
    };
    return names;
}

std::span<const Name> event_names() {
    static const Name names[] = {
        {uint64_t(EventKind::write), "write"},     {uint64_t(EventKind::read), "read"},
        {uint64_t(EventKind::close), "close"},     {uint64_t(EventKind::shutdown), "shutdown"},
        {uint64_t(EventKind::connect), "connect"},
    };
    return names;
}

std::span<const Name> word_names() {
    static const Name names[] = {
        {uint64_t(Word::sq_tail), "sq_tail"},       {uint64_t(Word::sq_array), "sq_array"},
        {uint64_t(Word::sq_head), "sq_head"},       {uint64_t(Word::sq_flags), "sq_flags"},
        {uint64_t(Word::sq_dropped), "sq_dropped"}, {uint64_t(Word::cq_overflow), "cq_overflow"},
        {uint64_t(Word::cq_flags), "cq_flags"},
    };
    return names;
}

std::string name_of(std::span<const Name> names, uint64_t value) {
    for (const Name& name : names) {
        if (name.value == value) return name.text;
    }
    return std::to_string(value);
}

std::optional<uint64_t> number_from(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    const bool hexadecimal = text.starts_with("0x");
    if (hexadecimal) text.remove_prefix(2);
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), value, hexadecimal ? 16 : 10);
    if (error != std::errc() || end != text.end()) return std::nullopt;
    return negative ? uint64_t{0} - value : value;
}

std::optional<uint64_t> value_of(std::span<const Name> names, std::string_view text) {
    for (const Name& name : names) {
        if (name.text == text) return name.value;
    }
    return number_from(text);
}

std::string bits_of(std::span<const Name> names, uint64_t bits) {
    std::string text;
    const auto add = [&](const std::string& part) { text += (text.empty() ? "" : "|") + part; };
    for (const Name& name : names) {
        if ((bits & name.value) == 0) continue;
        add(name.text);
        bits &= ~name.value;
    }
    if (bits != 0 || text.empty()) add(std::to_string(bits));
    return text;
}

std::optional<uint64_t> bits_from(std::span<const Name> names, std::string_view text) {
    uint64_t bits = 0;
    while (!text.empty()) {
        const size_t end = std::min(text.find('|'), text.size());
        const std::optional<uint64_t> part = value_of(names, text.substr(0, end));
        if (!part) return std::nullopt;
        bits |= *part;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return bits;
}

std::string result_text(int64_t result) {
    if (result >= 0) return std::to_string(result);
    const char* name = result >= -4095 ? strerrorname_np(static_cast<int>(-result)) : nullptr;
    return name == nullptr ? std::to_string(result) : std::string("-").append(name);
}

}  // namespace ringside::lab
