// The operations, one by one: since when there are, who has them here, and what is different on the engine.
#pragma once

#include <string>

namespace ringside::cli {

enum class OperationsFormat { table, json, markdown };

// `ask_kernel` says whether this machine's kernel may be asked which it has: asking can be deadly. The document
// (OperationsFormat::markdown) is the same everywhere and asks nobody.
std::string list_operations(OperationsFormat format, bool ask_kernel);

}  // namespace ringside::cli
