// Rings of threads, of forked children, of a program started by exec; and a child of vfork(), whose closing of its own
// descriptors leaves its parent's rings alone.
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

#include "raw.h"

enum { THREADS = 4, ROUNDS = 50 };

static void use_a_ring(void) {
    struct ring ring = ring_open(4);
    for (int i = 0; i < ROUNDS; ++i) {
        ring_push(&ring, (struct io_uring_sqe){.opcode = IORING_OP_NOP, .user_data = (uint64_t)i});
        CHECK(ring_enter(&ring, 1, 1) == 1);
        const struct completion completion = ring_reap(&ring);
        CHECK(completion.user_data == (uint64_t)i && completion.res == 0);
    }
    ring_close(&ring);
}

static void* in_thread(void* argument) {
    for (int i = 0; i < 5; ++i) use_a_ring();
    return argument;
}

static void check_threads(void) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; ++i) CHECK(pthread_create(&threads[i], NULL, in_thread, NULL) == 0);
    for (int i = 0; i < THREADS; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
}

static void check_child_succeeds(pid_t child) {
    int status = 0;
    CHECK(child > 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void check_fork(const struct ring* ring) {
    const pid_t child = fork();
    if (child == 0) {
        CHECK(close(ring->fd) == 0);
        use_a_ring();
        check_threads();
        _exit(0);
    }
    check_child_succeeds(child);
    ring_check_works(ring);
}

static void check_vfork(const struct ring* ring) {
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const pid_t child = vfork();
    if (child == 0) {
        close(ring->fd);
        dup2(null, ring->fd);
        close_range(3, ~0U, 0);
        _exit(0);
    }
    check_child_succeeds(child);
    ring_check_works(ring);
    CHECK(close(null) == 0);
}

// posix_spawn() closes what it is told to in a child that has no handler any more. A filter that trapped the closing of
// high numbers killed it.
static void check_spawn(const struct ring* ring) {
    const int high = fcntl(ring->fd, F_DUPFD_CLOEXEC, 960);
    CHECK(high >= 960);
    posix_spawn_file_actions_t actions;
    CHECK(posix_spawn_file_actions_init(&actions) == 0);
    for (int fd = high; fd < high + 20; ++fd) CHECK(posix_spawn_file_actions_addclose(&actions, fd) == 0);
    pid_t child = 0;
    char* const words[] = {"true", NULL};
    CHECK(posix_spawnp(&child, "true", &actions, NULL, words, environ) == 0);
    check_child_succeeds(child);
    CHECK(posix_spawn_file_actions_destroy(&actions) == 0);
    CHECK(close(high) == 0);
    ring_check_works(ring);
}

static void check_exec(const struct ring* ring) {
    const pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "processes", "again", (char*)NULL);
        _exit(126);
    }
    check_child_succeeds(child);
    ring_check_works(ring);
}

static void check_all_but_exec(const struct ring* ring) {
    ring_check_works(ring);
    check_threads();
    check_fork(ring);
    check_vfork(ring);
    check_spawn(ring);
}

int main(int argc, char** argv) {
    (void)argv;
    struct ring ring = ring_open(4);
    check_all_but_exec(&ring);
    if (argc == 1) check_exec(&ring);
    ring_close(&ring);
    return 0;
}
