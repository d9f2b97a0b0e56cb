/* SPDX-License-Identifier: MIT */
/* The version of the liburing API that is offered here: that of these headers, and that of the library loaded. */
#ifndef LIBURING_VERSION_H
#define LIBURING_VERSION_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IO_URING_VERSION_MAJOR 2
#define IO_URING_VERSION_MINOR 15

/* 0 if the headers have at least that version. (Yes, 0.) */
#define IO_URING_CHECK_VERSION(major, minor) \
    ((major) > IO_URING_VERSION_MAJOR || ((major) == IO_URING_VERSION_MAJOR && (minor) > IO_URING_VERSION_MINOR))

/* The version of the library. */
int io_uring_major_version(void);
int io_uring_minor_version(void);

/* False if the library has at least that version. (Yes, false.) */
bool io_uring_check_version(int major, int minor);

#ifdef __cplusplus
}
#endif

#endif
