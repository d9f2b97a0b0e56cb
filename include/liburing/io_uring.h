/* SPDX-License-Identifier: MIT */
/*
 * The io_uring ABI: every number and structure that a program exchanges with the provider of its rings, the kernel or
 * ringside's engine. Usable from C11 and C++11 on; src/abi/ asserts each size and offset.
 *
 * The include guard is the one of the kernel's own <linux/io_uring.h>, since both declare the same names: a program
 * that includes both gets whichever came first, and they agree (tests/abi compares them).
 */
#ifndef LINUX_IO_URING_H
#define LINUX_IO_URING_H

#include <linux/fs.h>
#include <linux/time_types.h>
#include <linux/types.h>

/*
 * The ABI has anonymous structures and arrays of size zero, which no ISO standard allows in both languages. A
 * program that is compiled with -pedantic should be told of its own departures only.
 */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"

#include "liburing/io_uring/bpf_filter.h"
#include "liburing/io_uring/cqe.h"
#include "liburing/io_uring/enter.h"
#include "liburing/io_uring/opcodes.h"
#include "liburing/io_uring/query.h"
#include "liburing/io_uring/register.h"
#include "liburing/io_uring/setup.h"
#include "liburing/io_uring/sqe.h"
#include "liburing/io_uring/zcrx.h"

#pragma GCC diagnostic pop

#endif
