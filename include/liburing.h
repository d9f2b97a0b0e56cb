/* SPDX-License-Identifier: MIT */
/*
 * The liburing API over the kernel's io_uring, or over ringside's engine if the kernel refuses io_uring. Usable from
 * C11 and C++11 on.
 *
 * The headers, in the order in which a program needs them:
 *   setup.h      making and ending a ring
 *   sqe.h        getting a submission queue entry and filling in what all operations share
 *   prep_rw.h, prep_net.h, prep_fs.h, prep_wait.h, prep_ring.h    filling in an operation
 *   submit.h     handing requests over, waiting
 *   cq.h         reaping completions
 *   buf_ring.h, recvmsg.h, register.h, version.h
 *
 * Functions return a value >= 0, or -errno; errno itself is not touched.
 */
#ifndef LIB_URING_H
#define LIB_URING_H

/* sigset_t, cpu_set_t, idtype_t and others are declared only to programs that ask for more than ISO C. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <features.h>
#if defined(__GLIBC__) && !defined(__USE_MISC)
#error "liburing.h must come before other headers under -std=c11, or _GNU_SOURCE be defined: sigset_t is hidden now"
#endif

/* Programs that use these without including them have found them here since liburing's first version. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/swab.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "liburing/barrier.h"
#include "liburing/io_uring.h"
#include "liburing/types.h"

#include "liburing/setup.h"
#include "liburing/sqe.h"

#include "liburing/prep_fs.h"
#include "liburing/prep_net.h"
#include "liburing/prep_ring.h"
#include "liburing/prep_rw.h"
#include "liburing/prep_wait.h"

#include "liburing/cq.h"
#include "liburing/submit.h"

#include "liburing/buf_ring.h"
#include "liburing/recvmsg.h"
#include "liburing/register.h"
#include "liburing/version.h"

#endif
