// Threads that sleep in poll() for a ring, and what wakes them: whatever completes by itself, other threads, time. And
// those that leave such a sleep without coming back from it.
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "raw.h"

enum { LONG_MS = 20 * 1000 };

static struct ring ring;
static int pipes[2];
static char byte;

static long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleep_ms(long ms) {
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static int poll_ring(int timeout_ms) {
    struct pollfd entries[] = {{-1, POLLIN, 0}, {ring.fd, POLLIN, 0}};
    const int result = poll(entries, 2, timeout_ms);
    CHECK(result < 0 || (result == (entries[1].revents == POLLIN)));
    return result;
}

static void submit(struct io_uring_sqe sqe) {
    ring_push(&ring, sqe);
    CHECK(ring_enter(&ring, 1, 0) == 1);
}

static void read_pipe(unsigned flags) {
    submit((struct io_uring_sqe){.opcode = IORING_OP_READ,
                                 .flags = (uint8_t)flags,
                                 .fd = pipes[0],
                                 .addr = (uintptr_t)&byte,
                                 .len = 1,
                                 .off = (uint64_t)-1});
}

static void* write_soon(void* unused) {
    (void)unused;
    sleep_ms(30);
    CHECK(write(pipes[1], "x", 1) == 1);
    return NULL;
}

static void* submit_soon(void* unused) {
    (void)unused;
    sleep_ms(30);
    submit((struct io_uring_sqe){.opcode = IORING_OP_NOP});
    return NULL;
}

static pthread_t start(void* (*body)(void*)) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, body, NULL) == 0);
    return thread;
}

static void end(pthread_t thread) { CHECK(pthread_join(thread, NULL) == 0); }

// --- What wakes ------------------------------------------------------------------------------------------------------

static void check_woken_by_what_completes(unsigned flags) {
    read_pipe(flags);
    CHECK(poll_ring(20) == 0);
    const pthread_t writer = start(write_soon);
    CHECK(poll_ring(LONG_MS) == 1);
    // Until it is reaped.
    CHECK(poll_ring(LONG_MS) == 1);
    CHECK(ring_reap(&ring).res == 1);
    CHECK(poll_ring(0) == 0);
    end(writer);
}

static void check_woken_by_another_thread(void) {
    const pthread_t submitter = start(submit_soon);
    CHECK(poll_ring(LONG_MS) == 1);
    end(submitter);
    CHECK(ring_reap(&ring).res == 0);
}

static int open_file(int flags) { return open("/tmp", O_TMPFILE | O_RDWR | flags, 0600); }

static void check_woken_by_disk(void) {
    enum { SIZE = 4096, TIMES = 200 };
    int file = open_file(O_DIRECT);
    if (file < 0) file = open_file(0);
    char* memory = aligned_alloc(SIZE, SIZE);
    memset(memory, 'd', SIZE);
    CHECK(file >= 0 && pwrite(file, memory, SIZE, 0) == SIZE);
    const struct iovec {
        void* base;
        size_t length;
    } vector = {memory, SIZE};
    for (int i = 0; i < TIMES; ++i) {
        memset(memory, 0, SIZE);
        const int vectored = i % 2;
        submit((struct io_uring_sqe){.opcode = vectored ? IORING_OP_READV : IORING_OP_READ,
                                     .fd = file,
                                     .addr = vectored ? (uintptr_t)&vector : (uintptr_t)memory,
                                     .len = vectored ? 1 : SIZE});
        CHECK(poll_ring(LONG_MS) == 1);
        CHECK(ring_reap(&ring).res == SIZE);
        CHECK(memory[0] == 'd' && memory[SIZE - 1] == 'd');
    }
    free(memory);
    CHECK(close(file) == 0);
}

// Time that is the ring's alone wakes nobody.
static void check_wakes_for_completions_alone(void) {
    struct __kernel_timespec soon = {0, 10 * 1000 * 1000};
    submit((struct io_uring_sqe){.opcode = IORING_OP_TIMEOUT,
                                 .flags = IOSQE_CQE_SKIP_SUCCESS,
                                 .fd = -1,
                                 .addr = (uintptr_t)&soon,
                                 .len = 1,
                                 .timeout_flags = IORING_TIMEOUT_ETIME_SUCCESS});
    const long begun = now_ms();
    CHECK(poll_ring(100) == 0);
    CHECK(now_ms() - begun >= 99);
}

static void check_something_else_wakes(void) {
    read_pipe(0);
    int other[2];
    CHECK(pipe(other) == 0);
    CHECK(write(other[1], "x", 1) == 1);
    struct pollfd entries[] = {{ring.fd, POLLIN, 0}, {other[0], POLLIN, 0}};
    CHECK(poll(entries, 2, LONG_MS) == 1);
    CHECK(entries[0].revents == 0 && entries[1].revents == POLLIN);
    CHECK(write(pipes[1], "x", 1) == 1);
    entries[1].fd = -1;
    CHECK(poll(entries, 2, LONG_MS) == 1);
    CHECK(entries[0].revents == POLLIN && entries[1].revents == 0);
    CHECK(ring_reap(&ring).res == 1);
    CHECK(close(other[0]) == 0 && close(other[1]) == 0);
}

// --- Several ---------------------------------------------------------------------------------------------------------

static _Atomic int woken;

static void* poll_long(void* unused) {
    (void)unused;
    CHECK(poll_ring(LONG_MS) == 1);
    ++woken;
    return NULL;
}

static void* wait_long(void* unused) {
    (void)unused;
    CHECK(ring_enter(&ring, 0, 1) == 0);
    ++woken;
    return NULL;
}

static void check_several_are_woken(void) {
    read_pipe(0);
    woken = 0;
    const pthread_t threads[] = {start(poll_long), start(poll_long), start(wait_long), start(poll_long)};
    sleep_ms(50);
    CHECK(woken == 0);
    CHECK(write(pipes[1], "x", 1) == 1);
    for (int i = 0; i < 4; ++i) end(threads[i]);
    CHECK(woken == 4);
    CHECK(ring_reap(&ring).res == 1);
}

// --- Leaving without a word ------------------------------------------------------------------------------------------

static sigjmp_buf way_out;

static void jump(int number) { siglongjmp(way_out, number); }

static void leave_by_jump(void) {
    const struct sigaction action = {.sa_handler = jump};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    if (sigsetjmp(way_out, 1) == 0) {
        ualarm(30 * 1000, 0);
        poll_ring(LONG_MS);
        CHECK(!"left by a jump");
    }
}

static void mask_alarm(int how) {
    sigset_t alarm_alone;
    sigemptyset(&alarm_alone);
    sigaddset(&alarm_alone, SIGALRM);
    CHECK(pthread_sigmask(how, &alarm_alone, NULL) == 0);
}

static void* leave_by_jump_in_thread(void* unused) {
    (void)unused;
    mask_alarm(SIG_UNBLOCK);
    leave_by_jump();
    return NULL;
}

static void* be_cancelled(void* unused) {
    (void)unused;
    poll_ring(LONG_MS);
    CHECK(!"cancelled");
    return NULL;
}

static void leave_by_cancellation(void) {
    const pthread_t thread = start(be_cancelled);
    sleep_ms(30);
    CHECK(pthread_cancel(thread) == 0);
    end(thread);
}

static void leave_from_a_thread(void) {
    mask_alarm(SIG_BLOCK);
    end(start(leave_by_jump_in_thread));
    mask_alarm(SIG_UNBLOCK);
}

// Nobody calls for the ring, which is looked at in memory.
static void check_completes_by_itself(void) {
    CHECK(write(pipes[1], "x", 1) == 1);
    _Atomic unsigned* head = ring_number(&ring, ring.params.cq_off.head);
    _Atomic unsigned* tail = ring_number(&ring, ring.params.cq_off.tail);
    for (const long begun = now_ms(); *head == *tail;) {
        CHECK(now_ms() - begun < LONG_MS);
        sleep_ms(1);
    }
    CHECK(ring_reap(&ring).res == 1);
}

static void check_after(void (*leave)(void)) {
    read_pipe(0);
    leave();
    const pthread_t writer = start(write_soon);
    CHECK(ring_enter(&ring, 0, 1) == 0);
    end(writer);
    CHECK(ring_reap(&ring).res == 1);

    read_pipe(0);
    leave();
    woken = 0;
    const pthread_t threads[] = {start(wait_long), start(poll_long)};
    sleep_ms(30);
    CHECK(write(pipes[1], "x", 1) == 1);
    for (int i = 0; i < 2; ++i) end(threads[i]);
    CHECK(ring_reap(&ring).res == 1);

    read_pipe(0);
    leave();
    check_completes_by_itself();
    check_woken_by_what_completes(0);
}

// --- Signals ---------------------------------------------------------------------------------------------------------

// What comes in pieces, for a receive that waits for the whole: each piece is something to be done for the ring, but no
// completion, so the poll goes on. A signal ends it whenever it comes.
enum { DISTURBANCES = 3000 };
static int ends[2];
static pthread_t polling_thread;
static long polling_id;
static _Atomic int polls_begun;

static void ignore(int number) { (void)number; }

static int sleeps(long id) {
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%ld/stat", id);
    FILE* const file = fopen(path, "r");
    CHECK(file != NULL && fgets(text, sizeof text, file) != NULL && fclose(file) == 0);
    const char* const state = strrchr(text, ')');
    return state != NULL && state[2] == 'S';
}

static void* disturb(void* unused) {
    (void)unused;
    for (int i = 0; i < DISTURBANCES; ++i) {
        while (polls_begun <= i || !sleeps(polling_id)) sched_yield();
        CHECK(send(ends[1], "x", 1, 0) == 1);
        for (volatile int spin = 0; spin < i % 300 * 100; ++spin) continue;
        CHECK(pthread_kill(polling_thread, SIGUSR1) == 0);
    }
    return NULL;
}

static void check_signals_end_a_poll(void) {
    static char piece[2 * DISTURBANCES];
    const struct sigaction action = {.sa_handler = ignore};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    submit((struct io_uring_sqe){.opcode = IORING_OP_RECV,
                                 .fd = ends[0],
                                 .addr = (uintptr_t)piece,
                                 .len = sizeof piece,
                                 .msg_flags = MSG_WAITALL});
    polling_thread = pthread_self();
    polling_id = syscall(SYS_gettid);
    const pthread_t disturber = start(disturb);
    for (int i = 0; i < DISTURBANCES; ++i) {
        ++polls_begun;
        CHECK(poll_ring(LONG_MS) == -1 && errno == EINTR);
    }
    end(disturber);
    CHECK(close(ends[1]) == 0);
    CHECK(poll_ring(LONG_MS) == 1);
    CHECK(ring_reap(&ring).res == DISTURBANCES);
    CHECK(close(ends[0]) == 0);
}

static void* close_soon(void* unused) {
    (void)unused;
    sleep_ms(30);
    ring_close(&ring);
    return NULL;
}

int main(void) {
    CHECK(pipe(pipes) == 0);
    ring = ring_open(8);
    CHECK(poll_ring(20) == 0);
    for (int i = 0; i < 3; ++i) {
        check_woken_by_what_completes(0);
        check_woken_by_what_completes(IOSQE_ASYNC);
        check_woken_by_another_thread();
        check_woken_by_disk();
        check_wakes_for_completions_alone();
        check_something_else_wakes();
        check_several_are_woken();
    }
    check_signals_end_a_poll();
    check_after(leave_by_jump);
    check_after(leave_from_a_thread);
    check_after(leave_by_cancellation);
    ring_check_works(&ring);

    // Its end wakes nobody either, and is seen by whoever looks afterwards.
    const pthread_t closer = start(close_soon);
    const long begun = now_ms();
    struct pollfd entry = {ring.fd, POLLIN, 0};
    CHECK(poll(&entry, 1, 150) == 1 && entry.revents == POLLNVAL);
    CHECK(now_ms() - begun >= 149);
    end(closer);
    return 0;
}
