/*
 * The functions that are inline in the headers, once more as functions that liburing-ffi.so.2 exports: the headers are
 * compiled here with nothing in the place of "static inline". (io_uring_get_sqe() stays out: exports.cc has it for every
 * library.)
 */
#pragma GCC visibility push(default)
#define IOURINGINLINE
#include "liburing.h"
#pragma GCC visibility pop
