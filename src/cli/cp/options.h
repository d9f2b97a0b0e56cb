// What `ringside cp` was asked to do.
#pragma once

#include <string>
#include <vector>

namespace ringside::cli::cp {

struct Options {
    std::vector<std::string> sources;
    std::string destination;
    bool recursive = false;
    bool fsync = false;
    bool progress = true;  // where standard error is a terminal
    unsigned depth = 64;   // requests in flight
};

}  // namespace ringside::cli::cp
