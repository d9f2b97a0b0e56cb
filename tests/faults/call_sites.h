// Calls by where they stand: in the source, in the list (own_calls.def), in the program.
#pragma once

#include <stdint.h>

#include <string>
#include <string_view>
#include <vector>

namespace ringside::test {

struct ListedCall {
    std::string_view source;  // under src/
    std::string_view call;
    long number;
    int error;                  // to fail with; 0 for what is not failed
    std::string_view scenario;  // that is sure to make it
};

extern const std::vector<ListedCall> listed_calls;

// The object file from which the linker has put the code at this address into this program; "" for what is not the
// engine's.
std::string engine_object_at(uintptr_t place);

// Whether the source is compiled into this object, by itself or with others.
bool is_compiled_into(std::string_view source, const std::string& object);

std::string text_of_file(const std::string& path);

}  // namespace ringside::test
