/*
 * Calls every function that liburing.so.2 has exported since 2.3 and checks what comes back. Compiled against liburing's
 * header and against ours, and run with either library: what the one compiled in must be what the other expects.
 *
 * Usage: calls_all. Says which check failed, and where.
 */
#include <liburing.h>
/* First, since it asks for what the others would hide. */
#include <dlfcn.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHECK(condition)                                                     \
    do {                                                                     \
        if (!(condition)) {                                                  \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);  \
            exit(1);                                                         \
        }                                                                    \
    } while (0)

/* Each group of calls has a ring of its own. */
static struct io_uring new_ring(unsigned flags) {
    struct io_uring ring;

    CHECK(io_uring_queue_init(8, &ring, flags) == 0);
    CHECK(ring.sq.ring_entries == 8 && ring.cq.ring_entries == 16);
    CHECK(ring.sq.ring_mask == 7 && *ring.sq.kring_mask == 7);
    return ring;
}

static void offer_nops(struct io_uring* ring, unsigned count) {
    while (count--) {
        struct io_uring_sqe* sqe = io_uring_get_sqe(ring);

        CHECK(sqe != NULL);
        io_uring_prep_nop(sqe);
        io_uring_sqe_set_data64(sqe, 40 + count);
    }
}

static void reap(struct io_uring* ring, unsigned count) {
    struct io_uring_cqe* cqe;

    while (count--) {
        CHECK(io_uring_wait_cqe(ring, &cqe) == 0);
        CHECK(cqe->res == 0);
        io_uring_cqe_seen(ring, cqe);
    }
    CHECK(io_uring_peek_cqe(ring, &cqe) == -EAGAIN);
}

static void submitting_and_waiting(void) {
    struct io_uring ring = new_ring(0);
    struct io_uring_cqe *cqe, *cqes[8];
    struct __kernel_timespec soon = {0, 1000000};

    offer_nops(&ring, 3);
    CHECK(io_uring_sq_ready(&ring) == 3 && io_uring_sq_space_left(&ring) == 5);
    CHECK(io_uring_submit(&ring) == 3);
    reap(&ring, 3);
    offer_nops(&ring, 2);
    CHECK(io_uring_submit_and_wait(&ring, 2) == 2);
    CHECK(io_uring_peek_batch_cqe(&ring, cqes, 8) == 2 && cqes[0]->user_data == 41 && cqes[1]->user_data == 40);
    io_uring_cq_advance(&ring, 2);
    offer_nops(&ring, 1);
    CHECK(io_uring_submit_and_wait_timeout(&ring, &cqe, 1, &soon, NULL) == 1 && cqe->user_data == 40);
    io_uring_cqe_seen(&ring, cqe);
    CHECK(io_uring_wait_cqe_timeout(&ring, &cqe, &soon) == -ETIME);
    CHECK(io_uring_wait_cqes(&ring, &cqe, 1, &soon, NULL) == -ETIME);
    offer_nops(&ring, 1);
    CHECK(io_uring_submit_and_get_events(&ring) == 1);
    CHECK(io_uring_get_events(&ring) == 0);
    reap(&ring, 1);
    CHECK(io_uring_ring_dontfork(&ring) == 0);
    io_uring_queue_exit(&ring);
}

/* The exported function of a name that is inline in the headers: programs compiled long ago call it. */
static void old_get_sqe(void) {
    struct io_uring ring = new_ring(0);
    struct io_uring_sqe* (*get_sqe)(struct io_uring*);
    unsigned count = 0;

    *(void**)&get_sqe = dlsym(RTLD_DEFAULT, "io_uring_get_sqe");
    CHECK(get_sqe != NULL);
    for (struct io_uring_sqe* sqe; (sqe = get_sqe(&ring)) != NULL; count++) io_uring_prep_nop(sqe);
    CHECK(count == 8);
    CHECK(io_uring_submit(&ring) == 8);
    reap(&ring, 8);
    io_uring_queue_exit(&ring);
}

static void bare_calls(void) {
    struct io_uring ring;
    struct io_uring_params params;
    int fd;

    memset(&params, 0, sizeof(params));
    fd = io_uring_setup(8, &params);
    CHECK(fd >= 0);
    CHECK(io_uring_queue_mmap(fd, &params, &ring) == 0);
    offer_nops(&ring, 1);
    CHECK(io_uring_submit(&ring) == 1);
    CHECK(io_uring_enter((unsigned)fd, 0, 1, IORING_ENTER_GETEVENTS, NULL) == 0);
    CHECK(io_uring_enter2((unsigned)fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 8) == 0);
    CHECK(io_uring_register((unsigned)fd, IORING_UNREGISTER_BUFFERS, NULL, 0) == -ENXIO);
    reap(&ring, 1);
    io_uring_queue_exit(&ring);
    CHECK(io_uring_enter((unsigned)fd, 0, 0, 0, NULL) == -EBADF);

    memset(&params, 0, sizeof(params));
    params.flags = IORING_SETUP_CQSIZE;
    params.cq_entries = 64;
    CHECK(io_uring_queue_init_params(4, &ring, &params) == 0);
    CHECK(params.cq_entries == 64 && ring.cq.ring_entries == 64 && ring.features == params.features);
    io_uring_queue_exit(&ring);
    CHECK(io_uring_mlock_size(8, 0) >= 0 && io_uring_mlock_size_params(8, &params) >= 0);
}

static void probing(void) {
    struct io_uring ring = new_ring(0);
    struct io_uring_probe* probe = io_uring_get_probe();

    CHECK(probe != NULL && io_uring_opcode_supported(probe, IORING_OP_READ));
    io_uring_free_probe(probe);
    probe = io_uring_get_probe_ring(&ring);
    CHECK(probe != NULL && io_uring_opcode_supported(probe, IORING_OP_SEND_ZC));
    CHECK(!io_uring_opcode_supported(probe, 250));
    CHECK(io_uring_register_probe(&ring, probe, 1) == -EINVAL);
    io_uring_free_probe(probe);
    io_uring_queue_exit(&ring);
}

static void registering_buffers(void) {
    static char memory[2][4096];
    struct io_uring ring = new_ring(0);
    struct iovec vectors[2] = {{memory[0], sizeof(memory[0])}, {memory[1], sizeof(memory[1])}};
    __u64 tags[2] = {0, 0};

    CHECK(io_uring_register_buffers(&ring, vectors, 2) == 0);
    CHECK(io_uring_register_buffers(&ring, vectors, 2) == -EBUSY);
    CHECK(io_uring_unregister_buffers(&ring) == 0);
    CHECK(io_uring_register_buffers_tags(&ring, vectors, tags, 2) == 0);
    CHECK(io_uring_unregister_buffers(&ring) == 0);
    CHECK(io_uring_register_buffers_sparse(&ring, 4) == 0);
    CHECK(io_uring_register_buffers_update_tag(&ring, 1, vectors, tags, 2) == 2);
    CHECK(io_uring_unregister_buffers(&ring) == 0);
    io_uring_queue_exit(&ring);
}

static void registering_files(void) {
    struct io_uring ring = new_ring(0);
    int ends[2];
    __u64 tags[2] = {0, 0};
    struct io_uring_sqe* sqe;

    CHECK(pipe(ends) == 0);
    CHECK(io_uring_register_files(&ring, ends, 2) == 0);
    sqe = io_uring_get_sqe(&ring);
    io_uring_prep_write(sqe, 1, "", 0, 0);
    io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
    CHECK(io_uring_submit(&ring) == 1);
    reap(&ring, 1);
    CHECK(io_uring_register_files_update(&ring, 0, ends, 2) == 2);
    CHECK(io_uring_unregister_files(&ring) == 0);
    CHECK(io_uring_register_files_tags(&ring, ends, tags, 2) == 0);
    CHECK(io_uring_register_files_update_tag(&ring, 0, ends, tags, 1) == 1);
    CHECK(io_uring_unregister_files(&ring) == 0);
    CHECK(io_uring_register_files_sparse(&ring, 8) == 0);
    CHECK(io_uring_register_file_alloc_range(&ring, 2, 3) == 0);
    CHECK(io_uring_unregister_files(&ring) == 0);
    close(ends[0]);
    close(ends[1]);
    io_uring_queue_exit(&ring);
}

static void registering_the_rest(void) {
    struct io_uring ring = new_ring(0);
    const int event = eventfd(0, EFD_NONBLOCK);
    struct io_uring_sync_cancel_reg cancel;
    unsigned limits[2] = {0, 0};
    cpu_set_t cpus;
    eventfd_t events;
    int id;

    CHECK(io_uring_register_eventfd(&ring, event) == 0);
    offer_nops(&ring, 1);
    CHECK(io_uring_submit(&ring) == 1);
    reap(&ring, 1);
    CHECK(eventfd_read(event, &events) == 0 && events == 1);
    CHECK(io_uring_unregister_eventfd(&ring) == 0);
    CHECK(io_uring_register_eventfd_async(&ring, event) == 0);
    CHECK(io_uring_unregister_eventfd(&ring) == 0);
    id = io_uring_register_personality(&ring);
    CHECK(id > 0 && io_uring_unregister_personality(&ring, id) == 0);
    CHECK(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
    CHECK(io_uring_register_iowq_aff(&ring, sizeof(cpus), &cpus) == 0);
    CHECK(io_uring_unregister_iowq_aff(&ring) == 0);
    CHECK(io_uring_register_iowq_max_workers(&ring, limits) == 0 && limits[0] > 0);
    memset(&cancel, 0, sizeof(cancel));
    cancel.fd = -1;
    cancel.timeout.tv_sec = -1;
    cancel.timeout.tv_nsec = -1;
    CHECK(io_uring_register_sync_cancel(&ring, &cancel) == -ENOENT);
    CHECK(io_uring_register_ring_fd(&ring) == 1);
    offer_nops(&ring, 1);
    CHECK(io_uring_submit_and_wait(&ring, 1) == 1);
    reap(&ring, 1);
    CHECK(io_uring_unregister_ring_fd(&ring) == 1);
    close(event);
    io_uring_queue_exit(&ring);
}

static void providing_buffers(void) {
    struct io_uring ring = new_ring(0);
    struct io_uring_buf_reg registration;
    struct io_uring_buf_ring* buffers;
    struct io_uring_sqe* sqe;
    struct io_uring_cqe* cqe;
    char bytes[4][16];
    int ends[2];

    CHECK(posix_memalign((void**)&buffers, 4096, 4096) == 0 && pipe(ends) == 0);
    memset(&registration, 0, sizeof(registration));
    registration.ring_addr = (unsigned long)buffers;
    registration.ring_entries = 4;
    registration.bgid = 7;
    CHECK(io_uring_register_buf_ring(&ring, &registration, 0) == 0);
    io_uring_buf_ring_init(buffers);
    for (int i = 0; i < 4; i++)
        io_uring_buf_ring_add(buffers, bytes[i], 16, (unsigned short)(i + 5), io_uring_buf_ring_mask(4), i);
    io_uring_buf_ring_advance(buffers, 4);
    CHECK(write(ends[1], "hello", 5) == 5);
    sqe = io_uring_get_sqe(&ring);
    io_uring_prep_read(sqe, ends[0], NULL, 16, 0);
    sqe->flags = IOSQE_BUFFER_SELECT;
    sqe->buf_group = 7;
    CHECK(io_uring_submit_and_wait(&ring, 1) == 1 && io_uring_peek_cqe(&ring, &cqe) == 0);
    CHECK(cqe->res == 5 && cqe->flags >> IORING_CQE_BUFFER_SHIFT == 5 && memcmp(bytes[0], "hello", 5) == 0);
    io_uring_buf_ring_cq_advance(&ring, buffers, 1);
    CHECK(io_uring_unregister_buf_ring(&ring, 7) == 0);
    free(buffers);
    close(ends[0]);
    close(ends[1]);
    io_uring_queue_exit(&ring);
}

static int is_readable(int fd) {
    struct pollfd entry = {fd, POLLIN, 0};

    return poll(&entry, 1, 0) == 1;
}

/* An event loop that reaps by what is inline in the headers: the library is not told that nothing is left. */
static void polling(void) {
    struct io_uring ring = new_ring(0);
    struct io_uring_cqe* cqe;
    unsigned head, count = 0;
    int looks = 0;

    CHECK(!is_readable(ring.ring_fd));
    offer_nops(&ring, 3);
    CHECK(io_uring_submit(&ring) == 3);
    CHECK(is_readable(ring.ring_fd));
    io_uring_for_each_cqe(&ring, head, cqe) count++;
    CHECK(count == 3);
    io_uring_cq_advance(&ring, count);
    while (is_readable(ring.ring_fd)) {
        CHECK(looks++ < 10000);
        usleep(1000);
    }
    io_uring_queue_exit(&ring);
}

static void submission_thread(void) {
    struct io_uring ring = new_ring(IORING_SETUP_SQPOLL);

    for (int round = 0; round < 4; round++) {
        offer_nops(&ring, 8);
        CHECK(io_uring_submit(&ring) == 8);
        CHECK(io_uring_sqring_wait(&ring) >= 0);
        reap(&ring, 8);
    }
    io_uring_queue_exit(&ring);
}

int main(void) {
    submitting_and_waiting();
    old_get_sqe();
    bare_calls();
    probing();
    registering_buffers();
    registering_files();
    registering_the_rest();
    providing_buffers();
    polling();
    submission_thread();
    puts("all calls answer as they should");
    return 0;
}
