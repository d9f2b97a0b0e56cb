#include "column.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <system_error>

namespace bench {
namespace {

struct Pipe {
    int read_end;
    int write_end;

    Pipe() {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::system_category(), "pipe");
        read_end = ends[0];
        write_end = ends[1];
    }
};

[[noreturn]] void become(const std::string& worker, const std::string& provider,
                         const std::vector<std::string>& arguments, int input, int output) {
    std::vector<char*> words = {const_cast<char*>(worker.c_str())};
    for (const auto& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
    words.push_back(nullptr);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    setenv("RINGSIDE_PROVIDER", provider.c_str(), 1);
    execv(words[0], words.data());
    perror(words[0]);
    _exit(127);
}

}  // namespace

Column::Column(const std::string& worker, const std::string& provider, const std::vector<std::string>& arguments)
    : title_(worker.substr(worker.rfind('/') + 1) + " " + arguments.front()) {
    const Pipe to_worker;
    const Pipe from_worker;
    pid_ = fork();
    if (pid_ < 0) throw std::system_error(errno, std::system_category(), "fork");
    if (pid_ == 0) become(worker, provider, arguments, to_worker.read_end, from_worker.write_end);
    close(to_worker.read_end);
    close(from_worker.write_end);
    requests_ = fdopen(to_worker.write_end, "w");
    answers_ = fdopen(from_worker.read_end, "r");
}

// The worker ends when nothing more can be asked of it.
Column::~Column() {
    fclose(requests_);
    fclose(answers_);
    waitpid(pid_, nullptr, 0);
}

double Column::sample() {
    double nanoseconds;
    fputc('\n', requests_);
    if (fflush(requests_) != 0 || fscanf(answers_, "%lf", &nanoseconds) != 1)
        throw std::runtime_error(title_ + " has ended");
    return nanoseconds;
}

std::string output_of(const std::string& command) {
    FILE* const stream = popen(command.c_str(), "r");
    if (stream == nullptr) throw std::system_error(errno, std::system_category(), command);
    std::string output;
    for (int byte; (byte = fgetc(stream)) != EOF;) output += static_cast<char>(byte);
    if (pclose(stream) != 0) throw std::runtime_error(command + " failed");
    return output;
}

}  // namespace bench
