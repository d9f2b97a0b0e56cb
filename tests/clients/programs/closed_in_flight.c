// A ring closed with a request in flight: the request ends with it, so that its buffer and its file are the program's
// again.
#include <poll.h>
#include <time.h>

#include "raw.h"

static const struct timespec moment = {0, 20 * 1000 * 1000};

int main(void) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    char buffer[8] = "before";
    struct ring ring = ring_open(4);
    ring_push(&ring,
              (struct io_uring_sqe){.opcode = IORING_OP_READ, .fd = ends[0], .addr = (uintptr_t)buffer, .len = 8});
    CHECK(ring_enter(&ring, 1, 0) == 1);
    ring_close(&ring);
    // The kernel takes its rings apart a little later than close() returns.
    nanosleep(&moment, NULL);
    CHECK(write(ends[1], "after", 6) == 6);
    nanosleep(&moment, NULL);
    CHECK(strcmp(buffer, "before") == 0);
    struct pollfd entry = {ends[0], POLLIN, 0};
    CHECK(poll(&entry, 1, 0) == 1);
    CHECK(read(ends[0], buffer, sizeof buffer) == 6 && strcmp(buffer, "after") == 0);
    return 0;
}
