#include "cli/cp/interruption.h"

#include <errno.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <system_error>

namespace ringside::cli::cp {
namespace {

bool is_ignored(int number) {
    struct sigaction action;
    return sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Interruption::Interruption() {
    ::signal(SIGXFSZ, SIG_IGN);
    sigset_t taken;
    sigemptyset(&taken);
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
        if (!is_ignored(number)) sigaddset(&taken, number);
    }
    sigprocmask(SIG_BLOCK, &taken, &before_);
    fd_ = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd_ < 0) throw std::system_error(errno, std::system_category(), "cannot watch for signals");
}

Interruption::~Interruption() {
    close(fd_);
    sigprocmask(SIG_SETMASK, &before_, nullptr);
}

void Interruption::watch(RequestQueue& queue) {
    queue.submit(*this, [this](io_uring_sqe* sqe) { io_uring_prep_poll_add(sqe, fd_, POLLIN); });
}

void Interruption::complete(int) {
    signalfd_siginfo info;
    if (read(fd_, &info, sizeof info) == sizeof info) signal_ = static_cast<int>(info.ssi_signo);
    // A second signal ends the program at once, without cleaning up.
    sigprocmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace ringside::cli::cp
