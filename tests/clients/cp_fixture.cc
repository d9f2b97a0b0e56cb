#include "clients/cp_fixture.h"

namespace ringside::test {

std::string Copy::add_large(std::string_view name, size_t size) const {
    std::string content(size, '\0');
    uint32_t value = 1;
    for (char& byte : content) {
        value = value * 1664525 + 1013904223;  // a linear congruential generator: no two blocks are alike
        byte = static_cast<char>(value >> 24);
    }
    return add(name, content);
}

std::vector<std::string> Copy::command(std::initializer_list<std::string> arguments) {
    std::vector<std::string> words = {RINGSIDE_BIN "/ringside", "cp", "--provider", GetParam()};
    words.insert(words.end(), arguments);
    return words;
}

}  // namespace ringside::test
