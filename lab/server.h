// A child process that runs programs on one provider, many in a row: a process for each would cost more than the
// programs. It takes a program as text and leaves the trace in shared memory, so that what was written before a crash
// can still be read. A crash or a hang is an outcome of the program that was running; a new child takes over.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "provider/provider.h"

namespace ringside::lab {

using Trace = std::vector<std::string>;

class Server {
  public:
    // `scratch`: a directory that the child may create and fill.
    Server(provider::Kind kind, std::string scratch, unsigned programs_per_child);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Hands a program over; the child works on it while the caller does something else.
    void begin(const std::string& program);

    // Waits for the trace. A crash or hang shows as its last line.
    Trace finish(int limit_ms);

    Trace run(const std::string& program, int limit_ms) {
        begin(program);
        return finish(limit_ms);
    }

    // The next program gets a new process.
    void retire();

  private:
    struct Shared;

    void spawn();
    [[noreturn]] void serve(int commands, int replies);
    void reap_child(bool kill_first, std::string* how);

    provider::Kind kind_;
    std::string scratch_;
    unsigned programs_per_child_;
    unsigned served_ = 0;
    Shared* shared_;
    pid_t child_ = -1;
    int command_ = -1;
    int reply_ = -1;
};

}  // namespace ringside::lab
