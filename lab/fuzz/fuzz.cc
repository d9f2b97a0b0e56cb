// What libFuzzer calls. Flags of our own begin with two dashes, which it leaves alone:
//
//   --scribble           rewrite rings while they are entered; findings may need several runs to come back
//   --last-input=FILE    where the input that is being run always stands, since the thread that crashes sees no files
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "fuzz/confinement.h"
#include "fuzz/runner.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace ringside::fuzz {
namespace {

constexpr size_t last_input_size = most_steps * sizeof(Step);
int last_input = -1;
uint8_t* last_input_bytes = nullptr;

void open_last_input(const char* path) {
    last_input = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (last_input < 0 || ftruncate(last_input, last_input_size) != 0) report_defect("%s: cannot be written", path);
    void* mapping = mmap(nullptr, last_input_size, PROT_READ | PROT_WRITE, MAP_SHARED, last_input, 0);
    if (mapping == MAP_FAILED) report_defect("%s: cannot be mapped", path);
    last_input_bytes = static_cast<uint8_t*>(mapping);
}

// The rest is zero: a ring of no entries, which is refused.
void note_input(std::span<const Step> steps) {
    if (last_input_bytes == nullptr) return;
    memset(last_input_bytes, 0, last_input_size);
    memcpy(last_input_bytes, steps.data(), steps.size_bytes());
}

}  // namespace
}  // namespace ringside::fuzz

int LLVMFuzzerInitialize(int* argc, char*** argv) {
    using namespace ringside::fuzz;
    constexpr std::string_view last_input_flag = "--last-input=";
    bool scribble = false;
    confine_process();
    for (int index = 1; index < *argc; ++index) {
        const std::string_view argument = (*argv)[index];
        if (argument == "--scribble") scribble = true;
        if (argument.starts_with(last_input_flag)) open_last_input(argument.substr(last_input_flag.size()).data());
    }
    runner::start(scribble);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace ringside::fuzz;
    std::vector<Step> steps(steps_in(size));
    if (steps.empty()) return 0;
    memcpy(steps.data(), data, steps.size() * sizeof(Step));
    note_input(steps);
    runner::run(steps);
    return 0;
}
