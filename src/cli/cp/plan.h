// Turns the command line into a list of what to copy to where, by the rules of cp(1).
#pragma once

#include <vector>

#include "cli/cp/item.h"
#include "cli/cp/options.h"

namespace ringside::cli::cp {

class Report;

// One item for each source that can be copied; the others are reported.
std::vector<Item> plan(const Options& options, Report& report);

}  // namespace ringside::cli::cp
