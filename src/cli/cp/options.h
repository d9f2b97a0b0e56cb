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
    std::string provider;  // auto, kernel or engine; empty for what the environment says
    unsigned depth = 64;   // requests in flight
};

}  // namespace ringside::cli::cp
