// The command line of `ringside cp`.
#pragma once

#include <string>
#include <vector>

#include "ringside/options.hpp"

namespace ringside::cli::cp {

struct Options {
    std::vector<std::string> sources;
    std::string destination;
    bool recursive = false;
    bool fsync = false;
    bool progress = true;  // where standard error is a terminal
    Wish provider = Wish::automatic;
    unsigned depth = 64;  // requests in flight
};

}  // namespace ringside::cli::cp
