// Signals around the three calls: all blocked, a handler of the program's own for SIGSYS, a wait that a signal
// interrupts, a mask for the time of the wait.
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "raw.h"

static volatile sig_atomic_t alarms;
static volatile sig_atomic_t sigsys_count;

static void on_alarm(int number) {
    (void)number;
    ++alarms;
}

static void on_sigsys(int number, siginfo_t* info, void* context) {
    (void)info, (void)context;
    CHECK(number == SIGSYS);
    ++sigsys_count;
}

static void check_all_blocked(const struct ring* ring) {
    sigset_t all, before;
    sigfillset(&all);
    CHECK(sigprocmask(SIG_SETMASK, &all, &before) == 0);
    ring_check_works(ring);
    CHECK(sigprocmask(SIG_SETMASK, &before, NULL) == 0);
    CHECK(pthread_sigmask(SIG_BLOCK, &all, &before) == 0);
    ring_check_works(ring);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
}

static void check_own_handler(const struct ring* ring) {
    struct sigaction old;
    CHECK(sigaction(SIGSYS, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
    struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
    sigfillset(&action.sa_mask);
    CHECK(sigaction(SIGSYS, &action, NULL) == 0);
    ring_check_works(ring);
    CHECK(sigsys_count == 0);
    CHECK(raise(SIGSYS) == 0);
    CHECK(sigsys_count == 1);
    CHECK(sigaction(SIGSYS, NULL, &old) == 0 && old.sa_sigaction == on_sigsys);
    CHECK(signal(SIGSYS, SIG_IGN) == (void (*)(int))(void*)on_sigsys);
    CHECK(raise(SIGSYS) == 0);
    ring_check_works(ring);
    CHECK(signal(SIGSYS, SIG_DFL) == SIG_IGN);
    ring_check_works(ring);
}

static void set_alarm(void) {
    const struct itimerval soon = {.it_value = {0, 30 * 1000}};
    CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
}

static void check_interrupted_wait(const struct ring* ring) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    set_alarm();
    CHECK(ring_enter(ring, 0, 1) == -EINTR);
    CHECK(alarms == 1);
    ring_check_works(ring);
}

// The mask given to io_uring_enter is in force while it waits and not afterwards.
static void check_mask_of_wait(const struct ring* ring) {
    sigset_t blocked, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    CHECK(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0);
    CHECK(raise(SIGALRM) == 0 && alarms == 1);
    const long kernel_size = 8;
    CHECK(raw_call(__NR_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS, (long)&none, kernel_size) == -EINTR);
    CHECK(alarms == 2);
    CHECK(raise(SIGALRM) == 0 && alarms == 2);
    CHECK(sigprocmask(SIG_UNBLOCK, &blocked, NULL) == 0 && alarms == 3);
}

// errno is libc's: an inline call leaves it alone, and one through libc does unless it fails.
static void check_errno(const struct ring* ring) {
    errno = 4711;
    ring_check_works(ring);
    CHECK(errno == 4711);
}

int main(void) {
    struct ring ring = ring_open(4);
    check_all_blocked(&ring);
    check_own_handler(&ring);
    check_interrupted_wait(&ring);
    check_mask_of_wait(&ring);
    check_errno(&ring);
    ring_close(&ring);
    return 0;
}
