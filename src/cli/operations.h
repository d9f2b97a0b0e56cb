// The list of operations: the kernel version of each, which providers have it here, and how the engine differs.
#pragma once

#include <string>

namespace ringside::cli {

enum class OperationsFormat { table, json, markdown };

// `ask_kernel`: probe this machine's kernel for its operations. A policy may kill the process for the call. The
// document (OperationsFormat::markdown) is the same on every machine and does not probe.
std::string list_operations(OperationsFormat format, bool ask_kernel);

}  // namespace ringside::cli
