// SPDX-License-Identifier: MIT
// count-lines FILE...: counts the lines of many files at once by ringside::Ring: each file has a read in flight at any
// time, and whichever completes is worked on next.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <ringside/ringside.hpp>
#include <vector>

namespace {

struct File {
    const char* path;
    int fd;
    __u64 offset = 0;
    unsigned long lines = 0;
    int error = 0;
    char block[64 * 1024];
};

// Queues the next read of a file. A full queue is handed over first.
void read_on(ringside::Ring& ring, File& file) {
    io_uring_sqe* sqe = ring.get_sqe();
    if (sqe == nullptr) {
        (void)ring.submit();
        sqe = ring.get_sqe();
    }
    io_uring_prep_read(sqe, file.fd, file.block, sizeof(file.block), file.offset);
    io_uring_sqe_set_data(sqe, &file);
}

// Takes in what a read brought. Returns whether there is more to read.
bool take(File& file, int result) {
    if (result < 0) file.error = -result;
    if (result <= 0) return false;
    file.lines += static_cast<unsigned long>(std::count(file.block, file.block + result, '\n'));
    file.offset += static_cast<__u64>(result);
    return true;
}

void count(ringside::Ring& ring, const std::vector<std::unique_ptr<File>>& files) {
    size_t in_flight = 0;
    for (const auto& file : files) {
        if (file->fd < 0) continue;
        read_on(ring, *file);
        ++in_flight;
    }
    while (in_flight > 0) {
        if (const auto submitted = ring.submit_and_wait(1); !submitted && submitted.error() != EINTR) return;
        ring.for_each_ready([&](const io_uring_cqe& cqe) {
            File& file = *static_cast<File*>(io_uring_cqe_get_data(&cqe));
            if (take(file, cqe.res)) read_on(ring, file);
            else --in_flight;
        });
    }
}

int run(int argc, char** argv) {
    ringside::Ring ring(64);
    std::fprintf(stderr, "count-lines: on the %s: %s\n",
                 ring.provider() == ringside::Provider::kernel ? "kernel" : "engine", ring.provider_reason());
    std::vector<std::unique_ptr<File>> files;
    for (int i = 1; i < argc; ++i) {
        auto file = std::make_unique<File>();
        file->path = argv[i];
        file->fd = open(argv[i], O_RDONLY | O_CLOEXEC);
        if (file->fd < 0) file->error = errno;
        files.push_back(std::move(file));
    }
    count(ring, files);
    int status = 0;
    for (const auto& file : files) {
        if (file->error != 0) {
            std::fprintf(stderr, "count-lines: %s: %s\n", file->path, std::strerror(file->error));
            status = 1;
        } else {
            std::printf("%lu %s\n", file->lines, file->path);
        }
        if (file->fd >= 0) close(file->fd);
    }
    return status;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "count-lines: %s\n", error.what());
        return 1;
    }
}
