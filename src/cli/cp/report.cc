#include "cli/cp/report.h"

#include <fmt/format.h>
#include <string.h>

#include "cli/cp/progress.h"

namespace ringside::cli::cp {

std::string quoted(std::string_view name) {
    std::string text = "'";
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\'' || c == '\\') {
            text += '\\';
            text += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            text += fmt::format("\\x{:02x}", byte);
        } else {
            text += c;
        }
    }
    return text + "'";
}

void Report::failure(std::string_view sentence) {
    any_ = true;
    progress_.hide();
    fmt::print(stderr, "ringside cp: {}\n", sentence);
}

void Report::failure(std::string_view action, std::string_view path, int error) {
    failure(fmt::format("cannot {} {}: {}", action, quoted(path), strerror(error)));
}

}  // namespace ringside::cli::cp
