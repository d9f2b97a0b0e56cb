// raw_count FILE...: counts the lines and bytes of files with io_uring, making the three system calls with the
// processor's own instruction, as some languages' runtimes do. No library sees these calls; `ringside run -- raw_count
// FILE` serves them all the same where the kernel refuses them.
//
// Opening, reading and closing are requests too: one at a time, since the point here is the calls.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
static long call(long number, long a, long b, long c, long d, long e, long f) {
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = e;
    register long sixth __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return number;
}
#elif defined(__aarch64__)
static long call(long number, long a, long b, long c, long d, long e, long f) {
    register long which __asm__("x8") = number;
    register long first __asm__("x0") = a;
    register long second __asm__("x1") = b;
    register long third __asm__("x2") = c;
    register long fourth __asm__("x3") = d;
    register long fifth __asm__("x4") = e;
    register long sixth __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(first)
                     : "r"(which), "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "memory");
    return first;
}
#else
#error "this example knows x86-64 and arm64"
#endif

static struct {
    long fd;
    char* rings;
    struct io_uring_sqe* sqe;  // of the only entry
    struct io_uring_params params;
} ring;

static void fail(const char* what, long error) {
    fprintf(stderr, "raw_count: %s: %s\n", what, strerror((int)-error));
    exit(1);
}

static _Atomic unsigned* number_at(unsigned offset) { return (_Atomic unsigned*)(ring.rings + offset); }

static void* map(size_t size, uint64_t offset) {
    void* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, (int)ring.fd, (off_t)offset);
    if (memory == MAP_FAILED) fail("mmap", -1);
    return memory;
}

static void set_up(void) {
    ring.fd = call(__NR_io_uring_setup, 1, (long)&ring.params, 0, 0, 0, 0);
    if (ring.fd < 0) fail("io_uring_setup", ring.fd);
    const struct io_uring_params* params = &ring.params;
    const size_t sq_size = params->sq_off.array + params->sq_entries * sizeof(unsigned);
    const size_t cq_size = params->cq_off.cqes + params->cq_entries * sizeof(struct io_uring_cqe);
    ring.rings = map(sq_size > cq_size ? sq_size : cq_size, IORING_OFF_SQ_RING);
    ring.sqe = map(params->sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
}

// Carries one request out and returns its result. The ring's only entry is always number 0, which is what the index
// array holds from the beginning.
static int perform(struct io_uring_sqe request) {
    *ring.sqe = request;
    atomic_fetch_add_explicit(number_at(ring.params.sq_off.tail), 1, memory_order_release);
    const long submitted = call(__NR_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, 0, 0);
    if (submitted != 1) fail("io_uring_enter", submitted);
    const struct io_uring_cqe* cqes = (struct io_uring_cqe*)(ring.rings + ring.params.cq_off.cqes);
    const unsigned mask = *number_at(ring.params.cq_off.ring_mask);
    const unsigned head = atomic_load_explicit(number_at(ring.params.cq_off.head), memory_order_relaxed);
    const int result = cqes[head & mask].res;
    atomic_store_explicit(number_at(ring.params.cq_off.head), head + 1, memory_order_release);
    return result;
}

static void count(const char* path) {
    static char block[64 * 1024];
    uint64_t bytes = 0;
    uint64_t lines = 0;
    const int fd = perform((struct io_uring_sqe){
        .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (uintptr_t)path, .open_flags = O_RDONLY | O_CLOEXEC});
    if (fd < 0) fail(path, fd);
    for (;;) {
        const int length = perform((struct io_uring_sqe){
            .opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)block, .len = sizeof block, .off = bytes});
        if (length < 0) fail(path, length);
        if (length == 0) break;
        bytes += (uint64_t)length;
        for (int i = 0; i < length; ++i) lines += block[i] == '\n';
    }
    const int closed = perform((struct io_uring_sqe){.opcode = IORING_OP_CLOSE, .fd = fd});
    if (closed < 0) fail(path, closed);
    printf("%llu %llu %s\n", (unsigned long long)lines, (unsigned long long)bytes, path);
}

int main(int argc, char** argv) {
    set_up();
    for (int i = 1; i < argc; ++i) count(argv[i]);
    call(__NR_close, ring.fd, 0, 0, 0, 0, 0);
    return 0;
}
