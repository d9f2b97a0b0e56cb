// The layout of every structure of the io_uring ABI, checked by the compiler. Programs were built against these
// numbers, so a failure here is never fixed by changing the number.
#include "abi/layout.h"
#include "liburing/io_uring.h"

SIZE(io_uring_sqe, 64);
FIELD(io_uring_sqe, opcode, 0, 1);
FIELD(io_uring_sqe, flags, 1, 1);
FIELD(io_uring_sqe, ioprio, 2, 2);
FIELD(io_uring_sqe, fd, 4, 4);
FIELD(io_uring_sqe, off, 8, 8);
FIELD(io_uring_sqe, addr2, 8, 8);
FIELD(io_uring_sqe, cmd_op, 8, 4);
FIELD(io_uring_sqe, addr, 16, 8);
FIELD(io_uring_sqe, splice_off_in, 16, 8);
FIELD(io_uring_sqe, level, 16, 4);
FIELD(io_uring_sqe, optname, 20, 4);
FIELD(io_uring_sqe, len, 24, 4);
FIELD(io_uring_sqe, rw_flags, 28, 4);
FIELD(io_uring_sqe, fsync_flags, 28, 4);
FIELD(io_uring_sqe, poll_events, 28, 2);
FIELD(io_uring_sqe, poll32_events, 28, 4);
FIELD(io_uring_sqe, sync_range_flags, 28, 4);
FIELD(io_uring_sqe, msg_flags, 28, 4);
FIELD(io_uring_sqe, timeout_flags, 28, 4);
FIELD(io_uring_sqe, accept_flags, 28, 4);
FIELD(io_uring_sqe, cancel_flags, 28, 4);
FIELD(io_uring_sqe, open_flags, 28, 4);
FIELD(io_uring_sqe, statx_flags, 28, 4);
FIELD(io_uring_sqe, fadvise_advice, 28, 4);
FIELD(io_uring_sqe, splice_flags, 28, 4);
FIELD(io_uring_sqe, rename_flags, 28, 4);
FIELD(io_uring_sqe, unlink_flags, 28, 4);
FIELD(io_uring_sqe, hardlink_flags, 28, 4);
FIELD(io_uring_sqe, xattr_flags, 28, 4);
FIELD(io_uring_sqe, msg_ring_flags, 28, 4);
FIELD(io_uring_sqe, uring_cmd_flags, 28, 4);
FIELD(io_uring_sqe, waitid_flags, 28, 4);
FIELD(io_uring_sqe, futex_flags, 28, 4);
FIELD(io_uring_sqe, install_fd_flags, 28, 4);
FIELD(io_uring_sqe, nop_flags, 28, 4);
FIELD(io_uring_sqe, pipe_flags, 28, 4);
FIELD(io_uring_sqe, user_data, 32, 8);
FIELD(io_uring_sqe, buf_index, 40, 2);
FIELD(io_uring_sqe, buf_group, 40, 2);
FIELD(io_uring_sqe, personality, 42, 2);
FIELD(io_uring_sqe, splice_fd_in, 44, 4);
FIELD(io_uring_sqe, file_index, 44, 4);
FIELD(io_uring_sqe, zcrx_ifq_idx, 44, 4);
FIELD(io_uring_sqe, optlen, 44, 4);
FIELD(io_uring_sqe, addr_len, 44, 2);
FIELD(io_uring_sqe, addr3, 48, 8);
FIELD(io_uring_sqe, attr_ptr, 48, 8);
FIELD(io_uring_sqe, attr_type_mask, 56, 8);
FIELD(io_uring_sqe, optval, 48, 8);
OFFSET(io_uring_sqe, cmd, 48);

SIZE(io_uring_cqe, 16);
FIELD(io_uring_cqe, user_data, 0, 8);
FIELD(io_uring_cqe, res, 8, 4);
FIELD(io_uring_cqe, flags, 12, 4);
OFFSET(io_uring_cqe, big_cqe, 16);

SIZE(io_uring_params, 120);
FIELD(io_uring_params, sq_entries, 0, 4);
FIELD(io_uring_params, cq_entries, 4, 4);
FIELD(io_uring_params, flags, 8, 4);
FIELD(io_uring_params, sq_thread_cpu, 12, 4);
FIELD(io_uring_params, sq_thread_idle, 16, 4);
FIELD(io_uring_params, features, 20, 4);
FIELD(io_uring_params, wq_fd, 24, 4);
FIELD(io_uring_params, sq_off, 40, 40);
FIELD(io_uring_params, cq_off, 80, 40);

SIZE(io_sqring_offsets, 40);
FIELD(io_sqring_offsets, head, 0, 4);
FIELD(io_sqring_offsets, tail, 4, 4);
FIELD(io_sqring_offsets, ring_mask, 8, 4);
FIELD(io_sqring_offsets, ring_entries, 12, 4);
FIELD(io_sqring_offsets, flags, 16, 4);
FIELD(io_sqring_offsets, dropped, 20, 4);
FIELD(io_sqring_offsets, array, 24, 4);
FIELD(io_sqring_offsets, user_addr, 32, 8);

SIZE(io_cqring_offsets, 40);
FIELD(io_cqring_offsets, head, 0, 4);
FIELD(io_cqring_offsets, tail, 4, 4);
FIELD(io_cqring_offsets, ring_mask, 8, 4);
FIELD(io_cqring_offsets, ring_entries, 12, 4);
FIELD(io_cqring_offsets, overflow, 16, 4);
FIELD(io_cqring_offsets, cqes, 20, 4);
FIELD(io_cqring_offsets, flags, 24, 4);
FIELD(io_cqring_offsets, user_addr, 32, 8);

SIZE(io_uring_files_update, 16);
FIELD(io_uring_files_update, offset, 0, 4);
FIELD(io_uring_files_update, fds, 8, 8);

SIZE(io_uring_rsrc_register, 32);
FIELD(io_uring_rsrc_register, nr, 0, 4);
FIELD(io_uring_rsrc_register, flags, 4, 4);
FIELD(io_uring_rsrc_register, data, 16, 8);
FIELD(io_uring_rsrc_register, tags, 24, 8);

SIZE(io_uring_rsrc_update, 16);
FIELD(io_uring_rsrc_update, offset, 0, 4);
FIELD(io_uring_rsrc_update, data, 8, 8);

SIZE(io_uring_rsrc_update2, 32);
FIELD(io_uring_rsrc_update2, offset, 0, 4);
FIELD(io_uring_rsrc_update2, data, 8, 8);
FIELD(io_uring_rsrc_update2, tags, 16, 8);
FIELD(io_uring_rsrc_update2, nr, 24, 4);

SIZE(io_uring_probe_op, 8);
FIELD(io_uring_probe_op, op, 0, 1);
FIELD(io_uring_probe_op, flags, 2, 2);

SIZE(io_uring_probe, 16);
FIELD(io_uring_probe, last_op, 0, 1);
FIELD(io_uring_probe, ops_len, 1, 1);
OFFSET(io_uring_probe, ops, 16);

SIZE(io_uring_restriction, 16);
FIELD(io_uring_restriction, opcode, 0, 2);
FIELD(io_uring_restriction, register_op, 2, 1);
FIELD(io_uring_restriction, sqe_op, 2, 1);
FIELD(io_uring_restriction, sqe_flags, 2, 1);

SIZE(io_uring_buf, 16);
FIELD(io_uring_buf, addr, 0, 8);
FIELD(io_uring_buf, len, 8, 4);
FIELD(io_uring_buf, bid, 12, 2);

SIZE(io_uring_buf_ring, 16);
FIELD(io_uring_buf_ring, tail, 14, 2);
OFFSET(io_uring_buf_ring, bufs, 0);

SIZE(io_uring_buf_reg, 40);
FIELD(io_uring_buf_reg, ring_addr, 0, 8);
FIELD(io_uring_buf_reg, ring_entries, 8, 4);
FIELD(io_uring_buf_reg, bgid, 12, 2);
FIELD(io_uring_buf_reg, flags, 14, 2);
FIELD(io_uring_buf_reg, min_left, 16, 4);

SIZE(io_uring_buf_status, 40);
FIELD(io_uring_buf_status, buf_group, 0, 4);
FIELD(io_uring_buf_status, head, 4, 4);

SIZE(io_uring_napi, 16);
FIELD(io_uring_napi, busy_poll_to, 0, 4);
FIELD(io_uring_napi, prefer_busy_poll, 4, 1);

SIZE(io_uring_reg_wait, 64);
FIELD(io_uring_reg_wait, ts, 0, 16);
FIELD(io_uring_reg_wait, min_wait_usec, 16, 4);
FIELD(io_uring_reg_wait, flags, 20, 4);
FIELD(io_uring_reg_wait, sigmask, 24, 8);
FIELD(io_uring_reg_wait, sigmask_sz, 32, 4);
FIELD(io_uring_reg_wait, pad2, 48, 16);

SIZE(io_uring_getevents_arg, 24);
FIELD(io_uring_getevents_arg, sigmask, 0, 8);
FIELD(io_uring_getevents_arg, sigmask_sz, 8, 4);
FIELD(io_uring_getevents_arg, min_wait_usec, 12, 4);
FIELD(io_uring_getevents_arg, ts, 16, 8);

SIZE(io_uring_sync_cancel_reg, 64);
FIELD(io_uring_sync_cancel_reg, addr, 0, 8);
FIELD(io_uring_sync_cancel_reg, fd, 8, 4);
FIELD(io_uring_sync_cancel_reg, flags, 12, 4);
FIELD(io_uring_sync_cancel_reg, timeout, 16, 16);
FIELD(io_uring_sync_cancel_reg, opcode, 32, 1);
FIELD(io_uring_sync_cancel_reg, pad2, 40, 24);

SIZE(io_uring_file_index_range, 16);
FIELD(io_uring_file_index_range, off, 0, 4);
FIELD(io_uring_file_index_range, len, 4, 4);

SIZE(io_uring_recvmsg_out, 16);
FIELD(io_uring_recvmsg_out, namelen, 0, 4);
FIELD(io_uring_recvmsg_out, controllen, 4, 4);
FIELD(io_uring_recvmsg_out, payloadlen, 8, 4);
FIELD(io_uring_recvmsg_out, flags, 12, 4);

SIZE(io_uring_clock_register, 16);
FIELD(io_uring_clock_register, clockid, 0, 4);

SIZE(io_uring_clone_buffers, 32);
FIELD(io_uring_clone_buffers, src_fd, 0, 4);
FIELD(io_uring_clone_buffers, flags, 4, 4);
FIELD(io_uring_clone_buffers, src_off, 8, 4);
FIELD(io_uring_clone_buffers, dst_off, 12, 4);
FIELD(io_uring_clone_buffers, nr, 16, 4);

SIZE(io_uring_region_desc, 64);
FIELD(io_uring_region_desc, user_addr, 0, 8);
FIELD(io_uring_region_desc, size, 8, 8);
FIELD(io_uring_region_desc, flags, 16, 4);
FIELD(io_uring_region_desc, id, 20, 4);
FIELD(io_uring_region_desc, mmap_offset, 24, 8);

SIZE(io_uring_mem_region_reg, 32);
FIELD(io_uring_mem_region_reg, region_uptr, 0, 8);
FIELD(io_uring_mem_region_reg, flags, 8, 8);

SIZE(io_timespec, 16);
SIZE(io_uring_attr_pi, 32);
FIELD(io_uring_attr_pi, flags, 0, 2);
FIELD(io_uring_attr_pi, app_tag, 2, 2);
FIELD(io_uring_attr_pi, len, 4, 4);
FIELD(io_uring_attr_pi, addr, 8, 8);
FIELD(io_uring_attr_pi, seed, 16, 8);

SIZE(io_uring_query_hdr, 40);
FIELD(io_uring_query_hdr, query_data, 8, 8);
FIELD(io_uring_query_hdr, query_op, 16, 4);
FIELD(io_uring_query_hdr, size, 20, 4);
FIELD(io_uring_query_hdr, result, 24, 4);
SIZE(io_uring_query_opcode, 48);
FIELD(io_uring_query_opcode, feature_flags, 8, 8);
FIELD(io_uring_query_opcode, ring_setup_flags, 16, 8);
FIELD(io_uring_query_opcode, enter_flags, 24, 8);
FIELD(io_uring_query_opcode, sqe_flags, 32, 8);
SIZE(io_uring_query_zcrx, 40);
SIZE(io_uring_query_scq, 16);

SIZE(io_uring_zcrx_rqe, 16);
SIZE(io_uring_zcrx_cqe, 16);
SIZE(io_uring_zcrx_offsets, 32);
SIZE(io_uring_zcrx_area_reg, 48);
SIZE(io_uring_zcrx_ifq_reg, 96);
FIELD(io_uring_zcrx_ifq_reg, offsets, 32, 32);
FIELD(io_uring_zcrx_ifq_reg, zcrx_id, 64, 4);
SIZE(zcrx_ctrl, 72);

SIZE(io_uring_bpf_ctx, 40);
SIZE(io_uring_bpf_filter, 64);
FIELD(io_uring_bpf_filter, filter_ptr, 16, 8);
SIZE(io_uring_bpf, 72);
