// Asks for a ring; linked statically. Exits with 0, or with the errno of the refusal.
#include <errno.h>
#include <linux/io_uring.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
    struct io_uring_params params;

    memset(&params, 0, sizeof(params));
    return syscall(__NR_io_uring_setup, 4, &params) < 0 ? errno : 0;
}
