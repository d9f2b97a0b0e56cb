#include "cli/operations.h"

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "provider/kernel.h"
#include "state/operation.h"

namespace ringside::cli {
namespace {

using nlohmann::json;

struct Row {
    unsigned opcode;
    std::string name;
    std::string since;
    bool engine;
    std::optional<bool> kernel;  // none: the kernel was not asked
    std::string difference;
};

// In words, or empty. An operation has one row at most.
const char* difference_of(unsigned opcode) {
    switch (opcode) {
#define DIFFERS(name, what) \
    case IORING_OP_##name:  \
        return what;
#include "ops/differences.def"
#undef DIFFERS
        default:
            return "";
    }
}

// The opcodes that the kernel supports, by IORING_REGISTER_PROBE. None if the kernel refuses a ring.
std::optional<std::vector<bool>> probe_kernel() {
    constexpr unsigned count = engine::operation_count;
    struct Answer {
        alignas(io_uring_probe) unsigned char head[sizeof(io_uring_probe)];
        io_uring_probe_op ops[count];
    } probe = {};
    io_uring_params params = {};
    const int fd = kernel::setup(1, &params);
    if (fd < 0) return std::nullopt;
    const int result = kernel::register_call(static_cast<unsigned>(fd), IORING_REGISTER_PROBE, &probe, count);
    close(fd);
    if (result < 0) return std::nullopt;
    std::vector<bool> supported;
    for (const io_uring_probe_op& op : probe.ops) supported.push_back(op.flags & IO_URING_OP_SUPPORTED);
    return supported;
}

std::vector<Row> collect(bool ask_kernel) {
    const auto kernel = ask_kernel ? probe_kernel() : std::nullopt;
    std::vector<Row> rows;
    for (unsigned opcode = 0; opcode < engine::operation_count; ++opcode) {
        const engine::Operation& operation = engine::operations[opcode];
        rows.push_back({opcode, operation.name, fmt::format("{}.{}", operation.since / 100, operation.since % 100),
                        true,  // the engine has all that stand in its table
                        kernel ? std::optional<bool>((*kernel)[opcode]) : std::nullopt, difference_of(opcode)});
    }
    return rows;
}

const char* word(bool supported) { return supported ? "yes" : "no"; }

std::string as_table(const std::vector<Row>& rows) {
    std::string text = fmt::format("{:>3} {:<17} {:<6} {:<7} {:<7} {}\n", "op", "IORING_OP_", "Linux", "engine",
                                   "kernel", "on the engine (see docs/differences.md)");
    for (const Row& row : rows) {
        const char* kernel = row.kernel ? word(*row.kernel) : "?";
        std::string line = fmt::format("{:>3} {:<17} {:<6} {:<7} {:<7} {}", row.opcode, row.name, row.since,
                                       word(row.engine), kernel, row.difference);
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + '\n';
    }
    return text;
}

std::string as_json(const std::vector<Row>& rows) {
    json list = json::array();
    for (const Row& row : rows) {
        list.push_back({{"opcode", row.opcode},
                        {"name", "IORING_OP_" + row.name},
                        {"since", row.since},
                        {"engine", row.engine},
                        {"kernel", row.kernel ? json(*row.kernel) : json(nullptr)},
                        {"difference", row.difference.empty() ? json(nullptr) : json(row.difference)}});
    }
    return json{{"operations", list}}.dump(2) + '\n';
}

std::string as_markdown(const std::vector<Row>& rows) {
    std::string text =
        "# The operations\n\n"
        "Generated from the operation table (src/ops/ops.def, src/ops/differences.def) by\n"
        "`cmake --build build/release --target opcodes`; `ringside doctor --ops` says the same and asks this machine's "
        "kernel, too.\n"
        "What each difference is, and why it cannot be removed, stands in [differences.md](differences.md).\n\n"
        "| opcode | `IORING_OP_` | Linux | engine | different on the engine |\n"
        "| ---: | --- | --- | --- | --- |\n";
    for (const Row& row : rows) {
        const std::string difference =
            row.difference.empty() ? "" : fmt::format("[{}](differences.md)", row.difference);
        text += fmt::format("| {} | `{}` | {} | {} | {} |\n", row.opcode, row.name, row.since, word(row.engine),
                            difference);
    }
    return text;
}

}  // namespace

std::string list_operations(OperationsFormat format, bool ask_kernel) {
    switch (format) {
        case OperationsFormat::json:
            return as_json(collect(ask_kernel));
        case OperationsFormat::markdown:
            return as_markdown(collect(false));
        case OperationsFormat::table:
            break;
    }
    return as_table(collect(ask_kernel));
}

}  // namespace ringside::cli
