// Names of the numbers of the ABI, for texts that people read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ringside::lab {

struct Name {
    uint64_t value;
    const char* text;
};

std::span<const Name> opcode_names();
std::span<const Name> register_names();
std::span<const Name> sqe_flag_names();
std::span<const Name> setup_flag_names();
std::span<const Name> enter_flag_names();
std::span<const Name> resource_names();
std::span<const Name> event_names();
std::span<const Name> word_names();

// A value by name ("READ"), or the number.
std::string name_of(std::span<const Name> names, uint64_t value);
std::optional<uint64_t> value_of(std::span<const Name> names, std::string_view text);

// Bits by name, joined with '|'; bits without a name as one number.
std::string bits_of(std::span<const Name> names, uint64_t bits);
std::optional<uint64_t> bits_from(std::span<const Name> names, std::string_view text);

// 123, 0x7b or -1.
std::optional<uint64_t> number_from(std::string_view text);

// "ENOENT (-2)" for a negative errno, else the number.
std::string result_text(int64_t result);

}  // namespace ringside::lab
