#include "faults/call_sites.h"

#include <errno.h>
#include <link.h>
#include <sys/syscall.h>

#include <fstream>
#include <sstream>

#include "faults/injector.h"

// Newer than some C libraries.
#ifndef __NR_cachestat
#define __NR_cachestat 451
#endif
#ifndef __NR_futex_wake
#define __NR_futex_wake 454
#define __NR_futex_wait 455
#define __NR_futex_requeue 456
#endif

namespace ringside::test {
namespace {

struct Code {
    uintptr_t begin, end;
    std::string object;
};

// What the linker's map says of the engine's objects, in lines like ` .text 0xADDRESS 0xSIZE OBJECT`; a long name of a
// section has a line of its own. Addresses are those in the file.
std::vector<Code> read_map() {
    std::istringstream words(text_of_file(RINGSIDE_FAULTS_MAP));
    std::vector<Code> code;
    for (std::string word; words >> word;) {
        uintptr_t begin, size;
        std::string object;
        if (word.rfind(".text", 0) != 0 || !(words >> std::hex >> begin >> size >> object)) {
            words.clear();
        } else if (object.find("ringside-core.dir/") != std::string::npos) {
            code.push_back({begin, begin + size, object});
        }
    }
    return code;
}

// How far from there the program was loaded: it comes first in the list of what was.
uintptr_t load_offset() {
    uintptr_t offset = 0;
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* result) {
            *static_cast<uintptr_t*>(result) = info->dlpi_addr;
            return 1;
        },
        &offset);
    return offset;
}

bool ends_with(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

const std::vector<ListedCall> listed_calls = {
#define OWN(source, call, error, scenario) {source, #call, __NR_##call, error, #scenario},
#define ALLOCATES(source, call, scenario) {source, #call, call_##call, ENOMEM, #scenario},
#define NOT_FAILED(source, call, reason) {source, #call, __NR_##call, 0, ""},
#include "faults/own_calls.def"
#undef OWN
#undef ALLOCATES
#undef NOT_FAILED
};

std::string engine_object_at(uintptr_t place) {
    static const std::vector<Code> map = read_map();
    // Where a thread was started.
    if (place == 0) return "ringside-core.dir/os/threads.cc.o";
    // What is told is where the call returns to, which may be the end of a function.
    const uintptr_t address = place - load_offset() - 1;
    for (const Code& code : map) {
        if (address >= code.begin && address < code.end) return code.object;
    }
    return "";
}

bool is_compiled_into(std::string_view source, const std::string& object) {
    if (ends_with(source, ".h")) return true;
    if (ends_with(object, "ringside-core.dir/" + std::string(source) + ".o")) return true;
    if (object.find("/Unity/") == std::string::npos) return false;
    const std::string together = RINGSIDE_BUILD "/" + object.substr(0, object.size() - 2);
    return text_of_file(together).find("/src/" + std::string(source) + "\"") != std::string::npos;
}

std::string text_of_file(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

}  // namespace ringside::test
