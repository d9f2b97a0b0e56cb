// Two traces of one program, side by side.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "program.h"
#include "server.h"

namespace ringside::lab {

// What differs, as lines that begin with "- " (first trace only) or "+ " (second only).
using Difference = std::vector<std::string>;

// Nothing where the traces agree, after the rules in compare.cc have removed what timing alone decides.
std::optional<Difference> compare(const Program& program, Trace first, Trace second);

// A name for the kind of difference, the same for programs that differ in the same way: which operations, which
// results, no numbers that are the program's own.
std::string signature(const Program& program, const Difference& difference);

}  // namespace ringside::lab
