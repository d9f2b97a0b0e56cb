// Calls io_uring_enter() from the same places again and again, in each form that a compiler gives to such a place, from
// several threads that come there at the same time; and looks after each call whether all is kept that a system call keeps.
// With CALL_SITES_CHANGE=1 or =0 in the environment the places must have been rewritten in the end, or not.
#include "raw.h"

#include <pthread.h>

enum { threads = 4, rounds = 20000 };

#if defined(INLINE_CALLS) && defined(__x86_64__)
struct state {
    uint64_t rax, rdi, rsi, rdx, r10, r8, r9, r12, r13, r14, r15, rbp;
    uint64_t flags;
    uint64_t red_zone;
    uint8_t vectors[16][16];
};

// Each place: long NAME(struct state*) loads all registers from the state, makes the call and stores all of them again. The
// word before the stack's end is in the red zone, which a function may use that calls no other.
__asm__(R"(
    .macro move_vectors from
    .set index, 0
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .if \from
    movups 112+16*\number(%rbx), %xmm\number
    .else
    movups %xmm\number, 112+16*\number(%rbx)
    .endif
    .endr
    .endm

    .macro place name, load:vararg
    .text
    .globl \name, \name\()_load
    .p2align 6
\name:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rdi, %rbx
    mov 8(%rbx), %rdi
    mov 16(%rbx), %rsi
    mov 24(%rbx), %rdx
    mov 32(%rbx), %r10
    mov 40(%rbx), %r8
    mov 48(%rbx), %r9
    mov 56(%rbx), %r12
    mov 64(%rbx), %r13
    mov 72(%rbx), %r14
    mov 80(%rbx), %r15
    mov 88(%rbx), %rbp
    move_vectors 1
    pushq 96(%rbx)
    popfq
    mov 104(%rbx), %rax
    mov %rax, -8(%rsp)
\name\()_load:
    \load
    syscall
    mov -8(%rsp), %rcx
    mov %rcx, 104(%rbx)
    pushfq
    popq 96(%rbx)
    mov %rax, (%rbx)
    mov %rdi, 8(%rbx)
    mov %rsi, 16(%rbx)
    mov %rdx, 24(%rbx)
    mov %r10, 32(%rbx)
    mov %r8, 40(%rbx)
    mov %r9, 48(%rbx)
    mov %r12, 56(%rbx)
    mov %r13, 64(%rbx)
    mov %r14, 72(%rbx)
    mov %r15, 80(%rbx)
    mov %rbp, 88(%rbx)
    move_vectors 0
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .endm

    .macro load_number_and_arguments
    mov $426, %eax
    mov %r8, %r9
    mov $1, %edx
    .endm

    place place_with_number, mov $426, %eax
    place place_with_arguments, load_number_and_arguments
    place place_with_register, mov %r15d, %eax

    .macro move_wide from
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    .if \from
    vmovups 64*\number(%rbx), %zmm\number
    .else
    vmovups %zmm\number, 64*\number(%rbx)
    .endif
    .endr
    .irp number, 0, 1, 2, 3, 4, 5, 6, 7
    .if \from
    kmovq 2048+8*\number(%rbx), %k\number
    .else
    kmovq %k\number, 2048+8*\number(%rbx)
    .endif
    .endr
    .endm

    .globl place_with_wide_vectors
place_with_wide_vectors:
    push %rbx
    mov %rdi, %rbx
    mov %esi, %edi
    xor %esi, %esi
    xor %edx, %edx
    xor %r10d, %r10d
    move_wide 1
    mov $426, %eax
    syscall
    move_wide 0
    vzeroupper
    pop %rbx
    ret
)");
// All 32 vectors of 64 bytes and the 8 masks, for processors that have them.
struct wide_vectors {
    uint8_t bytes[32 * 64 + 8 * 8];
};
extern long place_with_wide_vectors(struct wide_vectors* vectors, int fd);
extern void place_with_number(struct state* state);
extern void place_with_arguments(struct state* state);
extern void place_with_register(struct state* state);
extern const unsigned char place_with_number_load[], place_with_arguments_load[], place_with_register_load[];

// 1: carry, 2: always set, 0x200: interrupts, 0x800: overflow.
enum { flags_before = 0xa03 };

static struct state state_for(long number, int fd, unsigned submit, unsigned wait) {
    struct state state = {.rdi = fd, .rsi = submit, .rdx = wait, .r10 = IORING_ENTER_GETEVENTS, .r8 = 0, .r9 = 0};
    state.r12 = 0x1212121212121212;
    state.r13 = 0x1313131313131313;
    state.r14 = 0x1414141414141414;
    state.r15 = number;
    state.rbp = 0x1515151515151515;
    state.flags = flags_before;
    state.red_zone = 0x1616161616161616;
    for (unsigned i = 0; i < sizeof(state.vectors); i++) ((uint8_t*)state.vectors)[i] = (uint8_t)(i * 7 + fd);
    return state;
}

static long call_from(void (*place)(struct state*), long number, int fd, unsigned submit, unsigned wait) {
    const struct state before = state_for(number, fd, submit, wait);
    struct state after = before;
    place(&after);
    CHECK(memcmp(&before.rdi, &after.rdi, sizeof(after) - sizeof(after.rax)) == 0);
    return (long)after.rax;
}

static void enter_with_wide_vectors(const struct ring* ring) {
    struct wide_vectors before, after;
    if (!__builtin_cpu_supports("avx512bw")) return;
    for (unsigned i = 0; i < sizeof(before); i++) before.bytes[i] = (uint8_t)(i * 11 + i / 256);
    after = before;
    CHECK(place_with_wide_vectors(&after, ring->fd) == 0);
    CHECK(memcmp(&before, &after, sizeof(after)) == 0);
}

static void enter_from_each(const struct ring* ring) {
    void (*const places[])(struct state*) = {place_with_number, place_with_arguments, place_with_register};
    for (int i = 0; i < 3; i++) {
        ring_push(ring, (struct io_uring_sqe){.opcode = IORING_OP_NOP, .user_data = 7});
        CHECK(call_from(places[i], __NR_io_uring_enter, ring->fd, 1, 1) == 1);
        CHECK(ring_reap(ring).user_data == 7);
        CHECK(call_from(places[i], __NR_io_uring_enter, -1, 1, 1) == -EBADF);
    }
    enter_with_wide_vectors(ring);
    // Another call than io_uring's comes along a place as it would.
    CHECK(call_from(place_with_register, __NR_getppid, ring->fd, 0, 0) == getppid());
}

static void check_places(void) {
    const char* change = getenv("CALL_SITES_CHANGE");
    if (change == NULL) return;
    const unsigned char jump = 0xe9;
    CHECK((place_with_number_load[0] == jump) == (*change == '1'));
    CHECK((place_with_arguments_load[0] == jump) == (*change == '1'));
    CHECK((place_with_register_load[0] == jump) == (*change == '1'));
}
#else
static void enter_from_each(const struct ring* ring) {
    ring_push(ring, (struct io_uring_sqe){.opcode = IORING_OP_NOP, .user_data = 7});
    CHECK(ring_enter(ring, 1, 1) == 1);
    CHECK(ring_reap(ring).user_data == 7);
}
static void check_places(void) {}
#endif

static pthread_barrier_t start;

static void* work(void* unused) {
    struct ring ring = ring_open(4);
    pthread_barrier_wait(&start);
    for (int i = 0; i < rounds; i++) enter_from_each(&ring);
    ring_close(&ring);
    return unused;
}

int main(void) {
    pthread_t others[threads];

    CHECK(pthread_barrier_init(&start, NULL, threads) == 0);
    for (int i = 0; i < threads; i++) CHECK(pthread_create(&others[i], NULL, work, NULL) == 0);
    for (int i = 0; i < threads; i++) CHECK(pthread_join(others[i], NULL) == 0);
    check_places();
    return 0;
}
