// One thing that is compared, for one case: a worker process, asked for one sample at a time.
#pragma once

#include <stdio.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace bench {

class Column {
  public:
    // Starts the worker. A provider is handed down in RINGSIDE_PROVIDER; workers without ringside do not look at it.
    Column(const std::string& worker, const std::string& provider, const std::vector<std::string>& arguments);
    ~Column();
    Column(const Column&) = delete;
    Column& operator=(const Column&) = delete;

    // Takes one more sample: nanoseconds an operation. Throws std::runtime_error if the worker has gone.
    double sample();

  private:
    std::string title_;  // for messages
    pid_t pid_;
    FILE* requests_;
    FILE* answers_;
};

// What a command prints. Throws std::runtime_error if it fails.
std::string output_of(const std::string& command);

}  // namespace bench
