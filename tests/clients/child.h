// A program that a test starts: what it prints is kept, and it never outlives its time.
#pragma once

#include <sys/types.h>

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "support/files.h"

namespace ringside::test {

struct Ended {
    int status = 0;      // the exit status, or 0 where a signal ended it
    int signal = 0;      // the signal that ended it, or 0
    std::string output;  // standard output and standard error, as they were written

    bool operator==(const Ended&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Ended& ended);

class Child {
  public:
    // Starts `command`, found through PATH unless it has a slash. `prepare` runs in the new process just before the
    // program does, and may change what the program inherits. After a minute the kernel ends it with SIGALRM.
    explicit Child(const std::vector<std::string>& command, const std::function<void()>& prepare = {});
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    pid_t pid() const { return pid_; }
    void send(int signal) const;
    Ended wait();

  private:
    Fd output_;
    pid_t pid_;
};

// Starts a program and waits for its end.
Ended run(const std::vector<std::string>& command, const std::function<void()>& prepare = {});

}  // namespace ringside::test
