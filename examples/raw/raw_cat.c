// raw_cat [FILE...]: copies files (or standard input) to standard output with io_uring, without any library: the
// program makes the three system calls through libc's syscall() and keeps the rings itself.
//
// Where the kernel refuses io_uring, this binary runs unchanged as `ringside run -- raw_cat FILE`.
//
// Each block is a pair of linked requests, a read and the write of what was read; a link breaks when the read is short,
// so that the rest of a file goes out as a write of its own.
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ENTRIES = 8, BLOCK_BYTES = 16 * 1024, READING = 1, WRITING = 2 };

static struct {
    int fd;
    _Atomic unsigned* sq_tail;
    unsigned* sq_array;
    unsigned sq_mask;
    _Atomic unsigned* cq_head;
    _Atomic unsigned* cq_tail;
    unsigned cq_mask;
    struct io_uring_sqe* sqes;
    struct io_uring_cqe* cqes;
} ring;

static void fail(const char* what, int error) {
    fprintf(stderr, "raw_cat: %s: %s\n", what, strerror(error));
    exit(1);
}

static void* map(size_t size, uint64_t offset) {
    void* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, (off_t)offset);
    if (memory == MAP_FAILED) fail("mmap", errno);
    return memory;
}

static void set_up(void) {
    struct io_uring_params params = {0};
    ring.fd = (int)syscall(__NR_io_uring_setup, ENTRIES, &params);
    if (ring.fd < 0) fail("io_uring_setup", errno);
    if (!(params.features & IORING_FEAT_SINGLE_MMAP)) fail("io_uring before Linux 5.4", ENOSYS);

    const size_t sq_size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    const size_t cq_size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    char* memory = map(sq_size > cq_size ? sq_size : cq_size, IORING_OFF_SQ_RING);
    ring.sq_tail = (_Atomic unsigned*)(memory + params.sq_off.tail);
    ring.sq_array = (unsigned*)(memory + params.sq_off.array);
    ring.sq_mask = *(unsigned*)(memory + params.sq_off.ring_mask);
    ring.cq_head = (_Atomic unsigned*)(memory + params.cq_off.head);
    ring.cq_tail = (_Atomic unsigned*)(memory + params.cq_off.tail);
    ring.cq_mask = *(unsigned*)(memory + params.cq_off.ring_mask);
    ring.cqes = (struct io_uring_cqe*)(memory + params.cq_off.cqes);
    ring.sqes = map(params.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
}

static void push(int opcode, int fd, void* buffer, unsigned length, unsigned flags, uint64_t user_data) {
    const unsigned tail = atomic_load_explicit(ring.sq_tail, memory_order_relaxed);
    const unsigned index = tail & ring.sq_mask;
    struct io_uring_sqe* sqe = &ring.sqes[index];
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = (uint8_t)opcode;
    sqe->flags = (uint8_t)flags;
    sqe->fd = fd;
    sqe->addr = (uintptr_t)buffer;
    sqe->len = length;
    sqe->off = UINT64_MAX;  // at the file's own position
    sqe->user_data = user_data;
    ring.sq_array[index] = index;
    atomic_store_explicit(ring.sq_tail, tail + 1, memory_order_release);
}

// Submits what was pushed and waits for as many completions; results[] is indexed by user_data.
static void submit_and_wait(unsigned count, int results[]) {
    unsigned submitted = 0;
    unsigned reaped = 0;
    while (reaped < count) {
        const long now =
            syscall(__NR_io_uring_enter, ring.fd, count - submitted, count - reaped, IORING_ENTER_GETEVENTS, NULL, 0);
        if (now < 0 && errno != EINTR) fail("io_uring_enter", errno);
        if (now > 0) submitted += (unsigned)now;
        unsigned head = atomic_load_explicit(ring.cq_head, memory_order_relaxed);
        for (; head != atomic_load_explicit(ring.cq_tail, memory_order_acquire); ++head, ++reaped) {
            const struct io_uring_cqe* cqe = &ring.cqes[head & ring.cq_mask];
            results[cqe->user_data] = cqe->res;
        }
        atomic_store_explicit(ring.cq_head, head, memory_order_release);
    }
}

static void write_all(const char* bytes, int length) {
    int results[3];
    for (int done = 0; done < length; done += results[WRITING]) {
        push(IORING_OP_WRITE, STDOUT_FILENO, (void*)(bytes + done), (unsigned)(length - done), 0, WRITING);
        submit_and_wait(1, results);
        if (results[WRITING] < 0) fail("write", -results[WRITING]);
    }
}

static void copy(int fd, const char* name) {
    static char block[BLOCK_BYTES];
    for (;;) {
        int results[3];
        push(IORING_OP_READ, fd, block, BLOCK_BYTES, IOSQE_IO_LINK, READING);
        push(IORING_OP_WRITE, STDOUT_FILENO, block, BLOCK_BYTES, 0, WRITING);
        submit_and_wait(2, results);
        if (results[READING] < 0) fail(name, -results[READING]);
        if (results[READING] == 0) return;
        const int written = results[WRITING] == -ECANCELED ? 0 : results[WRITING];
        if (written < 0) fail("write", -written);
        write_all(block + written, results[READING] - written);
    }
}

int main(int argc, char** argv) {
    set_up();
    if (argc == 1) copy(STDIN_FILENO, "standard input");
    for (int i = 1; i < argc; ++i) {
        const int fd = open(argv[i], O_RDONLY | O_CLOEXEC);
        if (fd < 0) fail(argv[i], errno);
        copy(fd, argv[i]);
        close(fd);
    }
    return 0;
}
