#include "compare.h"

#include <algorithm>
#include <sstream>

#include "names.h"

namespace ringside::lab {
namespace {

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
}

// The two lines are about one request; its operation, or 255.
uint8_t operation_of(const Program& program, const std::vector<std::string>& words) {
    if (words.size() < 2) return 255;
    const Sqe* sqe = find_sqe(program, number_from(words[1]).value_or(0));
    return sqe == nullptr ? 255 : sqe->opcode();
}

}  // namespace

std::optional<Difference> compare(const Program&, const Trace& first, const Trace& second) {
    if (first == second) return std::nullopt;
    // The longest common beginning and end are of no interest; between them, lines that the other side lacks.
    Difference difference;
    std::vector<std::string> left = first;
    std::vector<std::string> right = second;
    const auto skip = [](const std::vector<std::string>& a, const std::vector<std::string>& b) {
        return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
    };
    const size_t same_start = skip(left, right);
    left.erase(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(same_start));
    right.erase(right.begin(), right.begin() + static_cast<std::ptrdiff_t>(same_start));
    while (!left.empty() && !right.empty() && left.back() == right.back()) {
        left.pop_back();
        right.pop_back();
    }
    for (const std::string& line : left) difference.push_back("- " + line);
    for (const std::string& line : right) difference.push_back("+ " + line);
    return difference;
}

std::string signature(const Program& program, const Difference& difference) {
    // A crash or a hang is the cause of every other difference.
    for (const std::string& line : difference) {
        if (line.starts_with("+ CRASH") || line.starts_with("+ HANG")) return line;
    }
    // The first lines tell the cause; what follows is mostly its consequence.
    std::string text;
    for (const char side : {'-', '+'}) {
        const auto line = std::find_if(difference.begin(), difference.end(),
                                       [&](const std::string& each) { return each[0] == side; });
        if (line == difference.end()) {
            text += std::string(1, side) + " nothing ";
            continue;
        }
        std::vector<std::string> words = words_of(line->substr(2));
        text += std::string(1, side) + " ";
        if (words[0] == "cqe") {
            const uint8_t opcode = operation_of(program, words);
            words[1] = opcode == 255 ? "?" : name_of(opcode_names(), opcode);
        }
        if (words[0] == "file" || words[0] == "memory" || words[0] == "fd") words.resize(1);
        for (std::string& word : words) {
            // Positive numbers are lengths and the like.
            const bool is_number = number_from(word).has_value() && !word.starts_with("0x");
            text += (is_number ? "N" : word) + " ";
        }
    }
    return text;
}

}  // namespace ringside::lab
