#include "compare.h"

#include <algorithm>
#include <sstream>

#include "liburing/io_uring.h"
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

// A rule. Whether a waiting request sits in a worker or at a poller is the provider's affair, and the kernel's own
// choice varies with the state of its workers. One that is cancelled in a worker says -EINTR (the kernel even lets its
// inner ERESTARTSYS, 512, through) and not -ECANCELED, and who cancels many may not have it in the count.
bool is_interruption(const std::string& result) { return result == "-EINTR" || result == "-512"; }

bool interrupted(const Trace& trace) {
    return std::any_of(trace.begin(), trace.end(), [](const std::string& line) {
        const std::vector<std::string> words = words_of(line);
        return words.size() > 2 && words[0] == "cqe" && is_interruption(words[2]);
    });
}

void forget_interruptions(const Program& program, Trace& trace) {
    for (std::string& line : trace) {
        std::vector<std::string> words = words_of(line);
        if (words.size() < 3) continue;
        const bool cancels = words[0] == "cqe" ? operation_of(program, words) == IORING_OP_ASYNC_CANCEL
                                               : words[1] == "REGISTER_SYNC_CANCEL";
        if (cancels) words[2] = "cancelled";
        else if (words[0] == "cqe" && is_interruption(words[2])) words[2] = "-ECANCELED";
        else continue;
        line.clear();
        for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
    }
}

// A rule. A receive that got a part of what it asked for, since the rest of its memory is not there or urgent data
// comes next, has no hint that there is more on the engine: asking costs as much as receiving (docs/differences.md).
bool is_cut_short(const Program& program, const std::vector<std::string>& words) {
    if (words.size() < 4 || words[0] != "cqe" || operation_of(program, words) != IORING_OP_RECV) return false;
    const Value& length = (*find_sqe(program, number_from(words[1]).value_or(0)))[Field::len];
    const uint64_t received = number_from(words[2]).value_or(0);
    return length.kind == Value::Kind::number && received > 0 && received < length.number;
}

void forget_hints(const Program& program, Trace& trace) {
    for (std::string& line : trace) {
        if (!is_cut_short(program, words_of(line)) || !line.ends_with("flags=0x4")) continue;
        line.back() = '0';
    }
}

}  // namespace

std::optional<Difference> compare(const Program& program, Trace first, Trace second) {
    if (first == second) return std::nullopt;
    if (interrupted(first) || interrupted(second)) {
        forget_interruptions(program, first);
        forget_interruptions(program, second);
        if (first == second) return std::nullopt;
    }
    forget_hints(program, first);
    forget_hints(program, second);
    if (first == second) return std::nullopt;
    // The longest common beginning and end are of no interest; between them, lines that the other side lacks.
    Difference difference;
    std::vector<std::string>& left = first;
    std::vector<std::string>& right = second;
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
