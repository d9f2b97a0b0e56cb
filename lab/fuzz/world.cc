#include "fuzz/world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <filesystem>

#include "fuzz/confinement.h"

namespace ringside::fuzz::world {
namespace {

int next;

void opened(int fd, const char* what) {
    if (fd != next++) report_defect("%s is descriptor %d, not %d: %s", what, fd, next - 1, strerror(errno));
}

// Both listen; the first connection is there to be accepted.
void open_listener() {
    const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    opened(listener, "a listener");
    sockaddr_in address{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
    socklen_t size = sizeof(address);
    bind(listener, reinterpret_cast<sockaddr*>(&address), size);
    listen(listener, 4);
    getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    const int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    opened(client, "a client");
    connect(client, reinterpret_cast<sockaddr*>(&address), size);
}

void open_pair(int type, const char* what) {
    int ends[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) report_defect("%s: %s", what, strerror(errno));
    opened(ends[0], what);
    opened(ends[1], what);
    // Something to read, in one direction.
    send(ends[1], "data", 4, MSG_DONTWAIT);
}

}  // namespace

void open_files() {
    // A request may have closed it.
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null_fd, fd);
    next = first_fd;
    opened(open("/a", O_RDWR | O_CREAT | O_CLOEXEC, 0600), "a file");
    if (write(first_fd, "what is in the file", 19) != 19) report_defect("the file system is full");
    opened(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "the directory");
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) report_defect("a pipe: %s", strerror(errno));
    opened(ends[0], "a pipe");
    opened(ends[1], "a pipe");
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) report_defect("a pipe: %s", strerror(errno));
    opened(ends[0], "a pipe");
    opened(ends[1], "a pipe");
    open_pair(SOCK_STREAM, "a stream");
    open_pair(SOCK_DGRAM, "datagrams");
    open_listener();
    opened(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "a datagram socket");
    opened(eventfd(1, EFD_CLOEXEC), "an eventfd");
    opened(epoll_create1(EPOLL_CLOEXEC), "an epoll");
    opened(open("/a", O_PATH | O_CLOEXEC), "a path");
    opened(open("/a", O_RDWR | O_DIRECT | O_CLOEXEC), "a file past the page cache");
    if (next != first_fd + file_count) report_defect("there are %d files", next - first_fd);
}

void clear() {
    close_range(3, engines_first_fd - 1, 0);
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/", ignored)) {
        std::filesystem::remove_all(entry.path(), ignored);
    }
}

int engines_descriptors() {
    int count = 0;
    for (int fd = engines_first_fd; fd < report_fd; ++fd) count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

}  // namespace ringside::fuzz::world
