#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <stdexcept>

#include "execute.h"
#include "program.h"
#include "ring_memory.h"
#include "world.h"

namespace ringside::lab {

struct Server::Shared {
    std::atomic<uint32_t> program_length;
    std::atomic<uint32_t> trace_length;
    char program[1 << 17];
    char trace[1 << 20];
};

namespace {

// Pipe ends of the child are moved up here, out of the way of the descriptors that programs see.
constexpr int first_own_fd = 900;

void must(bool condition, const char* what) {
    if (!condition) throw std::runtime_error(fmt::format("{}: {}", what, strerror(errno)));
}

int move_up(int fd) {
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, first_own_fd);
    close(fd);
    return moved;
}

// A program may ask for a file of any size: no more of it than this, or the machine runs out of memory (but the
// sparse file that an engine ring may live in must fit). And should it
// come to that all the same, this process goes first.
void limit_damage() {
    constexpr rlim_t largest_file = rlim_t{4} << 30;
    const rlimit limit = {largest_file, largest_file};
    setrlimit(RLIMIT_FSIZE, &limit);
    const rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "1000", 4) != 4) fmt::print(stderr, "lab child: oom_score_adj stays as it is\n");
    close(fd);
}

void settle_number_of_workers(provider::Kind kind) {
    io_uring_params params = {};
    const int ring = provider::setup(kind, entries_for_all_workers, &params, engine::Face::mappable);
    must(ring >= 0, "the first ring");
    provider::close(kind, ring);
}

Trace lines_of(std::string_view text) {
    Trace lines;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

}  // namespace

Server::Server(provider::Kind kind, std::string scratch, unsigned programs_per_child)
    : kind_(kind), scratch_(std::move(scratch)), programs_per_child_(programs_per_child) {
    void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(memory != MAP_FAILED, "mmap");
    shared_ = static_cast<Shared*>(memory);
}

Server::~Server() {
    retire();
    munmap(shared_, sizeof(Shared));
}

void Server::spawn() {
    int commands[2];
    int replies[2];
    must(pipe2(commands, O_CLOEXEC) == 0 && pipe2(replies, O_CLOEXEC) == 0, "pipe2");
    child_ = fork();
    must(child_ >= 0, "fork");
    if (child_ == 0) {
        close(commands[1]);
        close(replies[0]);
        serve(move_up(commands[0]), move_up(replies[1]));
    }
    close(commands[0]);
    close(replies[1]);
    command_ = commands[1];
    reply_ = replies[0];
    served_ = 0;
}

void Server::serve(int commands, int replies) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit_damage();
    const int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDIN_FILENO);
    // Other descriptors of the driver would only be found and used by chance.
    close_range(3, first_own_fd - 1, 0);
    try {
        settle_number_of_workers(kind_);
        World world(kind_, scratch_);
        char byte = 0;
        while (read(commands, &byte, 1) == 1) {
            const std::optional<Program> program = parse({shared_->program, shared_->program_length.load()});
            const auto sink = [this](const std::string& line) {
                const uint32_t length = shared_->trace_length.load();
                if (length + line.size() + 1 > sizeof(shared_->trace)) return;
                memcpy(shared_->trace + length, line.data(), line.size());
                shared_->trace[length + line.size()] = '\n';
                shared_->trace_length.store(length + static_cast<uint32_t>(line.size()) + 1);
            };
            execute(kind_, program.value(), world, sink);
            if (write(replies, &byte, 1) != 1) break;
        }
    } catch (const std::exception& error) {
        fmt::print(stderr, "lab child: {}\n", error.what());
        _exit(3);
    }
    _exit(0);
}

void Server::begin(const std::string& program) {
    must(program.size() <= sizeof(shared_->program), "program too long");
    if (child_ >= 0 && served_ >= programs_per_child_) retire();
    if (child_ < 0) spawn();
    ++served_;
    memcpy(shared_->program, program.data(), program.size());
    shared_->program_length = static_cast<uint32_t>(program.size());
    shared_->trace_length = 0;
    // A child that is gone already shows when its answer is awaited.
    if (write(command_, "p", 1) != 1) return;
}

Trace Server::finish(int limit_ms) {
    pollfd answer = {reply_, POLLIN, 0};
    int ready = 0;
    do ready = poll(&answer, 1, limit_ms);
    while (ready < 0 && errno == EINTR);
    char byte = 0;
    std::string outcome;
    if (ready == 0) {
        reap_child(true, nullptr);
        outcome = "HANG";
    } else if (read(reply_, &byte, 1) != 1) {
        reap_child(false, &outcome);
    }
    Trace trace = lines_of({shared_->trace, shared_->trace_length.load()});
    if (!outcome.empty()) trace.push_back(outcome);
    // Requests that ought to have completed may still do so, in the middle of the next program.
    const bool unfinished = std::any_of(trace.begin(), trace.end(), [](const std::string& line) {
        return line.starts_with("waited for ") || line == "restless";
    });
    if (unfinished) retire();
    return trace;
}

void Server::reap_child(bool kill_first, std::string* how) {
    if (kill_first) kill(child_, SIGKILL);
    int status = 0;
    waitpid(child_, &status, 0);
    if (how != nullptr && WIFSIGNALED(status)) *how = fmt::format("CRASH signal {}", WTERMSIG(status));
    if (how != nullptr && WIFEXITED(status)) *how = fmt::format("CRASH exit {}", WEXITSTATUS(status));
    close(command_);
    close(reply_);
    child_ = -1;
}

void Server::retire() {
    if (child_ < 0) return;
    // Closing the command pipe would end it as well, but a child with requests in flight may take its time.
    reap_child(true, nullptr);
}

}  // namespace ringside::lab
