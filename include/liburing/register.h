/* SPDX-License-Identifier: MIT */
/*
 * Registrations: files, buffers, eventfds, credentials and limits of a ring; and queries about it. All functions
 * return a value >= 0 (0 unless the comment says otherwise), or -errno: -EINVAL if the ring does not know the call,
 * -EEXIST with IORING_SETUP_SINGLE_ISSUER if the caller is not the submitting thread.
 */
#ifndef LIBURING_REGISTER_H
#define LIBURING_REGISTER_H

#include <sched.h>
#include <sys/uio.h>

#include "liburing/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Buffers, for the ..._fixed operations --------------------------------------------------------------------- */

/* Registers `nr_iovecs` buffers. -EBUSY if there are some; -ENOMEM if they may not be locked. */
int io_uring_register_buffers(struct io_uring* ring, const struct iovec* iovecs, unsigned nr_iovecs);

/* The same with a tag each: user_data of a completion that comes when the buffer is no longer used (0: none). */
int io_uring_register_buffers_tags(struct io_uring* ring, const struct iovec* iovecs, const __u64* tags, unsigned nr);

/* A table of `nr` empty slots, for updates to fill. */
int io_uring_register_buffers_sparse(struct io_uring* ring, unsigned nr);

/* New buffers and tags for the `nr` slots from `off` on. Returns how many were done. */
int io_uring_register_buffers_update_tag(struct io_uring* ring, unsigned off, const struct iovec* iovecs,
                                         const __u64* tags, unsigned nr);

/* Waits for requests that use them, then ends the registration. -ENXIO if there is none. */
int io_uring_unregister_buffers(struct io_uring* ring);

/* The buffers of `src` become those of `dst` too. -EBUSY if dst has some. Linux 6.12. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* In C++ it has the name of a structure, and the compiler says so. */
int io_uring_clone_buffers(struct io_uring* dst, struct io_uring* src);
#pragma GCC diagnostic pop
int __io_uring_clone_buffers(struct io_uring* dst, struct io_uring* src, unsigned int flags);

/* `nr` of them (0: all) from slot `src_off` to slot `dst_off`, with IORING_REGISTER_DST_REPLACE as flag. Linux 6.13. */
int io_uring_clone_buffers_offset(struct io_uring* dst, struct io_uring* src, unsigned int dst_off,
                                  unsigned int src_off, unsigned int nr, unsigned int flags);
int __io_uring_clone_buffers_offset(struct io_uring* dst, struct io_uring* src, unsigned int dst_off,
                                    unsigned int src_off, unsigned int nr, unsigned int flags);

/* --- Files, for IOSQE_FIXED_FILE and direct descriptors -------------------------------------------------------- */

/* Registers `nr_files` files; -1 makes an empty slot. The soft limit of open files is raised if it is in the way. */
int io_uring_register_files(struct io_uring* ring, const int* files, unsigned nr_files);

/* The same with a tag each: user_data of a completion that comes when the file is no longer used (0: none). */
int io_uring_register_files_tags(struct io_uring* ring, const int* files, const __u64* tags, unsigned nr);

/* A table of `nr` empty slots. */
int io_uring_register_files_sparse(struct io_uring* ring, unsigned nr);

/* New files for the `nr_files` slots from `off` on: -1 empties, IORING_REGISTER_FILES_SKIP leaves alone. How many. */
int io_uring_register_files_update(struct io_uring* ring, unsigned off, const int* files, unsigned nr_files);
int io_uring_register_files_update_tag(struct io_uring* ring, unsigned off, const int* files, const __u64* tags,
                                       unsigned nr_files);

/* Ends the registration. -ENXIO if there is none. */
int io_uring_unregister_files(struct io_uring* ring);

/* IORING_FILE_INDEX_ALLOC looks for free slots among the `len` from `off` on. */
int io_uring_register_file_alloc_range(struct io_uring* ring, unsigned off, unsigned len);

/* --- The ring itself -------------------------------------------------------------------------------------------- */

/* Starts a ring that was made with IORING_SETUP_R_DISABLED. -EBADFD if it is running. */
int io_uring_enable_rings(struct io_uring* ring);

/* Restricts what the ring may do, before it is enabled. See struct io_uring_restriction. */
int io_uring_register_restrictions(struct io_uring* ring, struct io_uring_restriction* res, unsigned int nr_res);

/* Gives the ring an index of this thread, so that enters need not look up its descriptor. Returns 1; -EEXIST if done.
 */
int io_uring_register_ring_fd(struct io_uring* ring);

/* Takes that back. Returns 1; -EINVAL if there is none. */
int io_uring_unregister_ring_fd(struct io_uring* ring);

/* Closes the descriptor of a ring that has an index; it goes on by index alone. Needs IORING_FEAT_REG_REG_RING. */
int io_uring_close_ring_fd(struct io_uring* ring);

/* Other sizes for a ring in use (IORING_SETUP_DEFER_TASKRUN only): p->sq_entries, p->cq_entries. Linux 6.13. */
int io_uring_resize_rings(struct io_uring* ring, struct io_uring_params* p);

/* Memory shared with the ring, such as for io_uring_submit_and_wait_reg(). Linux 6.13. */
int io_uring_register_region(struct io_uring* ring, struct io_uring_mem_region_reg* reg);

/* An older form of io_uring_register_region(). No released kernel has it: returns -EINVAL. */
int io_uring_register_wait_reg(struct io_uring* ring, struct io_uring_reg_wait* reg, int nr);

/* The clock of timeouts of waits. Linux 6.12. */
int io_uring_register_clock(struct io_uring* ring, struct io_uring_clock_register* arg);

/* Whether waits count as waiting for I/O (default: yes). -EOPNOTSUPP without IORING_FEAT_NO_IOWAIT. */
int io_uring_set_iowait(struct io_uring* ring, bool enable_iowait);

/* --- Telling and being told -------------------------------------------------------------------------------------- */

/* `fd` is an eventfd that is signalled for every completion; the second form, for those that did not come inline. */
int io_uring_register_eventfd(struct io_uring* ring, int fd);
int io_uring_register_eventfd_async(struct io_uring* ring, int fd);
int io_uring_unregister_eventfd(struct io_uring* ring);

/* Reports which of `nr` opcodes the ring knows; see io_uring_get_probe(). */
int io_uring_register_probe(struct io_uring* ring, struct io_uring_probe* p, unsigned nr);

/* Answers a chain of questions about io_uring, without a ring. Linux 6.18. */
int io_uring_register_query(struct io_uring_query_hdr* query);

/* Cancels requests and waits until they are gone. -ENOENT if there are none, -ETIME. */
int io_uring_register_sync_cancel(struct io_uring* ring, struct io_uring_sync_cancel_reg* reg);

/* Sends a message (io_uring_prep_msg_ring()) without having a ring. Linux 6.13. */
int io_uring_register_sync_msg(struct io_uring_sqe* sqe);

/* --- Credentials, workers, network ------------------------------------------------------------------------------- */

/* Keeps the caller's credentials; returns a number for sqe->personality. */
int io_uring_register_personality(struct io_uring* ring);
int io_uring_unregister_personality(struct io_uring* ring, int id);

/* On which processors the ring's workers run; `cpusz` is the bytes of *mask. */
int io_uring_register_iowq_aff(struct io_uring* ring, size_t cpusz, const cpu_set_t* mask);
int io_uring_unregister_iowq_aff(struct io_uring* ring);

/*
 * Limits the number of workers: values[IO_WQ_BOUND], values[IO_WQ_UNBOUND]. 0 changes nothing. `values` receives the
 * old limits.
 */
int io_uring_register_iowq_max_workers(struct io_uring* ring, unsigned int* values);

/* Busy polling of network devices while waiting. *napi becomes the old setting. Linux 6.9. */
int io_uring_register_napi(struct io_uring* ring, struct io_uring_napi* napi);
int io_uring_unregister_napi(struct io_uring* ring, struct io_uring_napi* napi);

/* Zero-copy receive: a queue of a network device, and commands to it. Linux 6.15. */
int io_uring_register_ifq(struct io_uring* ring, struct io_uring_zcrx_ifq_reg* reg);
int io_uring_register_zcrx_ctrl(struct io_uring* ring, struct zcrx_ctrl* ctrl);

/* BPF programs that allow or deny requests: of this ring, or of all rings that this task makes. Linux 7.0. */
int io_uring_register_bpf_filter(struct io_uring* ring, struct io_uring_bpf* bpf);
int io_uring_register_bpf_filter_task(struct io_uring_bpf* bpf);

#ifdef __cplusplus
}
#endif

#endif
