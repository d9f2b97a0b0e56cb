// The functions that the rows of ops.def name, one family a file of the same name.
#pragma once

#include "state/operation.h"

namespace ringside::engine {

// --- nop.cc ---------------------------------------------------------------------------------------------------------
int nop_prep(Request&, const io_uring_sqe&);
Outcome nop_issue(Request&);

// --- rw.cc ----------------------------------------------------------------------------------------------------------
int read_prep(Request&, const io_uring_sqe&);
int write_prep(Request&, const io_uring_sqe&);
int readv_prep(Request&, const io_uring_sqe&);
int writev_prep(Request&, const io_uring_sqe&);
Outcome rw_issue(Request&);
Outcome rw_work(Request&);
Share read_together(Request&, unsigned);
Share read_fixed_together(Request&, unsigned);
Share write_together(Request&, unsigned);
bool rw_carry(Request&, iocb&);
bool rw_fixed_carry(Request&, iocb&);
int read_fixed_prep(Request&, const io_uring_sqe&);
int write_fixed_prep(Request&, const io_uring_sqe&);
int readv_fixed_prep(Request&, const io_uring_sqe&);
int writev_fixed_prep(Request&, const io_uring_sqe&);
Outcome rw_fixed_issue(Request&);
int read_multishot_prep(Request&, const io_uring_sqe&);
Outcome read_multishot_issue(Request&);

// --- stat_sync.cc ---------------------------------------------------------------------------------------------------
int fsync_prep(Request&, const io_uring_sqe&);
Outcome fsync_work(Request&);
int statx_prep(Request&, const io_uring_sqe&);
Outcome statx_issue(Request&);
Outcome statx_work(Request&);

// --- openclose.cc ---------------------------------------------------------------------------------------------------
int openat_prep(Request&, const io_uring_sqe&);
Outcome openat_issue(Request&);
Outcome openat_work(Request&);
int openat2_prep(Request&, const io_uring_sqe&);
int close_prep(Request&, const io_uring_sqe&);
Outcome close_issue(Request&);

// --- fs.cc ----------------------------------------------------------------------------------------------------------
int renameat_prep(Request&, const io_uring_sqe&);
Outcome renameat_work(Request&);
int unlinkat_prep(Request&, const io_uring_sqe&);
Outcome unlinkat_work(Request&);
int mkdirat_prep(Request&, const io_uring_sqe&);
Outcome mkdirat_work(Request&);
int symlinkat_prep(Request&, const io_uring_sqe&);
Outcome symlinkat_work(Request&);
int linkat_prep(Request&, const io_uring_sqe&);
Outcome linkat_work(Request&);

// --- space.cc -------------------------------------------------------------------------------------------------------
int sync_file_range_prep(Request&, const io_uring_sqe&);
Outcome sync_file_range_work(Request&);
int fallocate_prep(Request&, const io_uring_sqe&);
Outcome fallocate_work(Request&);
int ftruncate_prep(Request&, const io_uring_sqe&);
Outcome ftruncate_work(Request&);
int fadvise_prep(Request&, const io_uring_sqe&);
Outcome fadvise_issue(Request&);
Outcome fadvise_work(Request&);
int madvise_prep(Request&, const io_uring_sqe&);
Outcome madvise_work(Request&);

// --- xattr.cc -------------------------------------------------------------------------------------------------------
int fsetxattr_prep(Request&, const io_uring_sqe&);
Outcome fsetxattr_work(Request&);
int setxattr_prep(Request&, const io_uring_sqe&);
Outcome setxattr_work(Request&);
int fgetxattr_prep(Request&, const io_uring_sqe&);
Outcome fgetxattr_work(Request&);
int getxattr_prep(Request&, const io_uring_sqe&);
Outcome getxattr_work(Request&);

// --- splice.cc ------------------------------------------------------------------------------------------------------
int splice_prep(Request&, const io_uring_sqe&);
Outcome splice_issue(Request&);
Outcome splice_work(Request&);
int tee_prep(Request&, const io_uring_sqe&);
Outcome tee_work(Request&);

// --- pipe.cc --------------------------------------------------------------------------------------------------------
int pipe_prep(Request&, const io_uring_sqe&);
Outcome pipe_issue(Request&);

// --- futex_wait.cc --------------------------------------------------------------------------------------------------
int futex_wait_prep(Request&, const io_uring_sqe&);
Outcome futex_wait_issue(Request&);
int futex_waitv_prep(Request&, const io_uring_sqe&);
Outcome futex_waitv_issue(Request&);
int futex_unpark(Request&);

// --- futex_wake.cc --------------------------------------------------------------------------------------------------
int futex_wake_prep(Request&, const io_uring_sqe&);
Outcome futex_wake_issue(Request&);

// --- waitid.cc ------------------------------------------------------------------------------------------------------
int waitid_prep(Request&, const io_uring_sqe&);
Outcome waitid_issue(Request&);
int waitid_unpark(Request&);

// --- files_update.cc ------------------------------------------------------------------------------------------------
int files_update_prep(Request&, const io_uring_sqe&);
Outcome files_update_issue(Request&);
int fixed_fd_install_prep(Request&, const io_uring_sqe&);
Outcome fixed_fd_install_issue(Request&);

// --- provide_buffers.cc ---------------------------------------------------------------------------------------------
int provide_buffers_prep(Request&, const io_uring_sqe&);
Outcome provide_buffers_issue(Request&);
int remove_buffers_prep(Request&, const io_uring_sqe&);
Outcome remove_buffers_issue(Request&);

// --- msg_ring.cc ----------------------------------------------------------------------------------------------------
int msg_ring_prep(Request&, const io_uring_sqe&);
Outcome msg_ring_issue(Request&);
Outcome msg_ring_work(Request&);

// --- poll.cc --------------------------------------------------------------------------------------------------------
int poll_add_prep(Request&, const io_uring_sqe&);
Outcome poll_add_issue(Request&);
bool poll_add_carry(Request&, iocb&);
Outcome poll_add_work(Request&);
int poll_remove_prep(Request&, const io_uring_sqe&);
Outcome poll_remove_issue(Request&);

// --- timeout.cc -----------------------------------------------------------------------------------------------------
int timeout_prep(Request&, const io_uring_sqe&);
Outcome timeout_issue(Request&);
int timeout_remove_prep(Request&, const io_uring_sqe&);
Outcome timeout_remove_issue(Request&);
int link_timeout_prep(Request&, const io_uring_sqe&);
Outcome link_timeout_issue(Request&);
// Whether a link timeout that has not been armed yet expires at once when it is armed.
bool is_due_at_once(Request& link_timeout);

// --- cancel.cc ------------------------------------------------------------------------------------------------------
int async_cancel_prep(Request&, const io_uring_sqe&);
Outcome async_cancel_issue(Request&);

// --- net_send.cc ----------------------------------------------------------------------------------------------------
int send_prep(Request&, const io_uring_sqe&);
int sendmsg_prep(Request&, const io_uring_sqe&);
int send_zc_prep(Request&, const io_uring_sqe&);
int sendmsg_zc_prep(Request&, const io_uring_sqe&);
Outcome send_issue(Request&);
bool send_carry(Request&, iocb&);
Outcome send_work(Request&);

// --- net_recv.cc ----------------------------------------------------------------------------------------------------
int recv_prep(Request&, const io_uring_sqe&);
int recvmsg_prep(Request&, const io_uring_sqe&);
Outcome recv_issue(Request&);
bool recv_carry(Request&, iocb&);
int recv_zc_prep(Request&, const io_uring_sqe&);

// --- net_accept.cc --------------------------------------------------------------------------------------------------
int accept_prep(Request&, const io_uring_sqe&);
Outcome accept_issue(Request&);
Outcome accept_work(Request&);

// --- net_connect.cc -------------------------------------------------------------------------------------------------
int connect_prep(Request&, const io_uring_sqe&);
Outcome connect_issue(Request&);
Outcome connect_work(Request&);

// --- net_setup.cc ---------------------------------------------------------------------------------------------------
int socket_prep(Request&, const io_uring_sqe&);
Outcome socket_issue(Request&);
int bind_prep(Request&, const io_uring_sqe&);
Outcome bind_issue(Request&);
int listen_prep(Request&, const io_uring_sqe&);
Outcome listen_issue(Request&);
int shutdown_prep(Request&, const io_uring_sqe&);
Outcome shutdown_issue(Request&);

// --- net_cmd.cc -----------------------------------------------------------------------------------------------------
int uring_cmd_prep(Request&, const io_uring_sqe&);
Outcome uring_cmd_issue(Request&);

// --- net_epoll.cc ---------------------------------------------------------------------------------------------------
int epoll_ctl_prep(Request&, const io_uring_sqe&);
Outcome epoll_ctl_issue(Request&);
Outcome epoll_ctl_work(Request&);
int epoll_wait_prep(Request&, const io_uring_sqe&);
Outcome epoll_wait_issue(Request&);

}  // namespace ringside::engine
