/* SPDX-License-Identifier: MIT */
/*
 * Taking apart the buffers of a multishot recvmsg: a header (struct io_uring_recvmsg_out), the sender's address,
 * control messages, the payload. `msgh` is the msghdr of the request, whose msg_namelen and msg_controllen say how much
 * room the middle parts have; `o` is what io_uring_recvmsg_validate() returned.
 */
#ifndef LIBURING_RECVMSG_H
#define LIBURING_RECVMSG_H

#include <sys/socket.h>

#include "liburing/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The header of a buffer of which `buf_len` bytes (the completion's res) were filled; null if they cannot hold one. */
IOURINGINLINE struct io_uring_recvmsg_out* io_uring_recvmsg_validate(void* buf, int buf_len, struct msghdr* msgh) {
    const size_t least = sizeof(struct io_uring_recvmsg_out) + msgh->msg_namelen + msgh->msg_controllen;

    if (buf_len < 0 || (size_t)buf_len < least) return NULL;
    return (struct io_uring_recvmsg_out*)buf;
}

/* The sender's address: o->namelen bytes, or msg_namelen if that is less. */
IOURINGINLINE void* io_uring_recvmsg_name(struct io_uring_recvmsg_out* o) { return (void*)(o + 1); }

/* The first control message, or null. */
IOURINGINLINE struct cmsghdr* io_uring_recvmsg_cmsg_firsthdr(struct io_uring_recvmsg_out* o, struct msghdr* msgh) {
    if (o->controllen < sizeof(struct cmsghdr)) return NULL;
    return (struct cmsghdr*)(void*)((unsigned char*)io_uring_recvmsg_name(o) + msgh->msg_namelen);
}

/* The control message after `cmsg`, or null. */
IOURINGINLINE struct cmsghdr* io_uring_recvmsg_cmsg_nexthdr(struct io_uring_recvmsg_out* o, struct msghdr* msgh,
                                                            struct cmsghdr* cmsg) {
    unsigned char* const first = (unsigned char*)io_uring_recvmsg_name(o) + msgh->msg_namelen;
    unsigned char* const end = first + o->controllen;
    unsigned char* next;

    /* A length that is no length ends the walk, as it does in CMSG_NXTHDR. */
    if (cmsg->cmsg_len < sizeof(struct cmsghdr)) return NULL;
    if (cmsg->cmsg_len > (size_t)(end - (unsigned char*)cmsg)) return NULL;
    if (CMSG_ALIGN(cmsg->cmsg_len) > (size_t)(end - (unsigned char*)cmsg)) return NULL;
    next = (unsigned char*)cmsg + CMSG_ALIGN(cmsg->cmsg_len);
    if ((size_t)(end - next) < sizeof(struct cmsghdr)) return NULL;
    cmsg = (struct cmsghdr*)(void*)next;
    if (cmsg->cmsg_len > (size_t)(end - next)) return NULL;
    return cmsg;
}

/* The payload. */
IOURINGINLINE void* io_uring_recvmsg_payload(struct io_uring_recvmsg_out* o, struct msghdr* msgh) {
    return (unsigned char*)io_uring_recvmsg_name(o) + msgh->msg_namelen + msgh->msg_controllen;
}

/*
 * The bytes of the payload that are in the buffer, of which `buf_len` were filled. o->payloadlen is the length of the
 * whole payload.
 */
IOURINGINLINE unsigned int io_uring_recvmsg_payload_length(struct io_uring_recvmsg_out* o, int buf_len,
                                                           struct msghdr* msgh) {
    const unsigned char* const start = (const unsigned char*)io_uring_recvmsg_payload(o, msgh);
    const unsigned char* const end = (const unsigned char*)o + buf_len;

    return (unsigned int)(end - start);
}

#ifdef __cplusplus
}
#endif

#endif
