#include <fcntl.h>
#include <unistd.h>
#include <ringside/ringside.hpp>

#include <cstdio>

int main() {
    ringside::Ring ring(8);
    char text[4] = {};
    const int fd = open("/proc/self/exe", O_RDONLY);
    io_uring_prep_read(ring.get_sqe(), fd, text, sizeof text, 0);
    if (auto sent = ring.submit(); !sent) return 1;
    auto completion = ring.wait();
    close(fd);
    if (!completion || text[1] != 'E') return 1;
    std::puts("read");
}
