// A ring for a case: set up or the program ends, and batches whose results are all checked.
#pragma once

#include <errno.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

namespace bench {

[[noreturn]] inline void die(const char* what, int error) {
    fprintf(stderr, "bench: %s: %s\n", what, strerror(error < 0 ? -error : error));
    exit(1);
}

class Ring {
  public:
    explicit Ring(unsigned entries, unsigned flags = 0) {
        if (const int result = io_uring_queue_init(entries, &ring_, flags); result < 0)
            die("io_uring_queue_init", result);
    }
    ~Ring() { io_uring_queue_exit(&ring_); }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    // Prepares `count` requests with prepare(sqe), submits them, waits for all, and checks that each completes with
    // `expected`.
    template <typename Prepare>
    unsigned batch(unsigned count, int expected, Prepare prepare) {
        for (unsigned i = 0; i < count; ++i) {
            io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
            prepare(sqe);
        }
        const int submitted = io_uring_submit_and_wait(&ring_, count);
        if (submitted != static_cast<int>(count)) die("io_uring_submit_and_wait", submitted);
        unsigned head, reaped = 0;
        io_uring_cqe* cqe;
        io_uring_for_each_cqe(&ring_, head, cqe) {
            if (cqe->res != expected) die("a request", cqe->res < 0 ? cqe->res : EIO);
            ++reaped;
        }
        io_uring_cq_advance(&ring_, reaped);
        if (reaped != count) die("completions are missing", EIO);
        return count;
    }

  private:
    io_uring ring_;
};

}  // namespace bench
