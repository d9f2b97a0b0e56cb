// The table on the terminal: a line for each case, and one for each peer below it.
#pragma once

#include "measure.h"
#include "results.h"

namespace bench {

void print_head(const Plan& plan);
void print_lines(const CaseResult& result);

}  // namespace bench
