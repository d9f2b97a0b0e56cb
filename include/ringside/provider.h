/* SPDX-License-Identifier: MIT */
/*
 * The functions that ringside adds to the liburing API: which provider runs a ring, and why. From C11 and C++11 on.
 *
 * A program that uses liburing.h only needs none of this. The environment variable
 * RINGSIDE_PROVIDER=auto|kernel|engine chooses the provider. The default, auto, takes the engine if the kernel
 * refuses io_uring for good.
 */
#ifndef RINGSIDE_PROVIDER_H
#define RINGSIDE_PROVIDER_H

#include "liburing/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The two providers. */
enum ringside_provider {
    RINGSIDE_PROVIDER_KERNEL = 0,
    RINGSIDE_PROVIDER_ENGINE = 1, /* ringside's own, in user space */
};

/* The provider that a program wishes. */
enum ringside_wish {
    RINGSIDE_WISH_AUTO = 0,
    RINGSIDE_WISH_KERNEL = 1,
    RINGSIDE_WISH_ENGINE = 2, /* no io_uring system call is ever made: a policy may kill for one */
};

/* The choice for the rings that are set up from now on. */
struct ringside_choice {
    enum ringside_provider provider;
    enum ringside_wish wish;
    int refusal;        /* errno with which the kernel refused io_uring, 0 where it did not or was not asked */
    const char* reason; /* an English sentence without a full stop; never freed */
};

/* Returns the choice. With RINGSIDE_WISH_AUTO the first call makes it: it tries to set up a smallest ring in the
 * kernel. */
struct ringside_choice ringside_choose(void);

/* Overrides RINGSIDE_PROVIDER for the rings that this process sets up from now on. */
void ringside_set_wish(enum ringside_wish wish);

/* The provider that runs this ring. */
enum ringside_provider ringside_provider_of(const struct io_uring* ring);

/* "kernel" or "engine". */
const char* ringside_provider_name(enum ringside_provider provider);

/* io_uring_queue_init_params() on a provider of the caller's wish; RINGSIDE_WISH_AUTO leaves it to the process. */
int ringside_queue_init(unsigned entries, struct io_uring* ring, struct io_uring_params* p, enum ringside_wish wish);

/*
 * The likely cause of an error of io_uring_queue_init() and its kin, and what to do about it: an English sentence
 * without a full stop, never freed. `error` is an errno, of either sign.
 */
const char* ringside_explain_setup(int error);

#ifdef __cplusplus
}
#endif

#endif
