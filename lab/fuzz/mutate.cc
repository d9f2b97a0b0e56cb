// How libFuzzer changes an input: by steps first, by bytes within a step after that.
#include <algorithm>
#include <cstring>
#include <vector>

#include "fuzz/generate.h"
#include "fuzz/generate_scene.h"
#include "fuzz/step.h"
#include "random.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed);
extern "C" size_t LLVMFuzzerCustomCrossOver(const uint8_t* first, size_t first_size, const uint8_t* second,
                                            size_t second_size, uint8_t* out, size_t most, unsigned seed);

namespace ringside::fuzz {
namespace {

using Steps = std::vector<Step>;

Steps read(const uint8_t* data, size_t size) {
    Steps steps(steps_in(size));
    if (!steps.empty()) memcpy(steps.data(), data, steps.size() * sizeof(Step));
    return steps;
}

size_t write(const Steps& steps, uint8_t* data, size_t most) {
    const size_t count = std::min(steps.size(), steps_in(most));
    if (count > 0) memcpy(data, steps.data(), count * sizeof(Step));
    return count * sizeof(Step);
}

void insert(Steps& steps, const Step& step, lab::Random& random) {
    steps.insert(steps.begin() + static_cast<std::ptrdiff_t>(random.below(steps.size() + 1)), step);
}

void insert_scene(Steps& steps, lab::Random& random) {
    const Steps scene = random_scene(random);
    if (steps.size() + scene.size() > most_steps) return;
    const auto at = steps.begin() + static_cast<std::ptrdiff_t>(random.below(steps.size() + 1));
    steps.insert(at, scene.begin(), scene.end());
}

void mutate(Steps& steps, lab::Random& random) {
    if (steps.empty()) {
        steps.push_back(random_set_up(random));
        if (random.percent(50)) return insert_scene(steps, random);
        for (uint64_t more = random.between(1, 6); more > 0; --more) steps.push_back(random_step(random));
        return;
    }
    if (random.percent(6)) return insert_scene(steps, random);
    Step& chosen = steps[random.below(steps.size())];
    const uint64_t roll = random.below(100);
    if (roll < 25 && steps.size() < most_steps) return insert(steps, random_step(random), random);
    if (roll < 30 && steps.size() < most_steps) return insert(steps, Step(chosen), random);
    if (roll < 37 && steps.size() > 1) {
        steps.erase(steps.begin() + (&chosen - steps.data()));
    } else if (roll < 42) {
        std::swap(chosen, steps[random.below(steps.size())]);
    } else if (roll < 80) {
        vary(chosen, random);
    } else {
        LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(&chosen), sizeof(Step), sizeof(Step));
    }
}

}  // namespace
}  // namespace ringside::fuzz

size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
    using namespace ringside;
    lab::Random random(seed);
    fuzz::Steps steps = fuzz::read(data, size);
    for (uint64_t count = random.between(1, 3); count > 0; --count) fuzz::mutate(steps, random);
    return fuzz::write(steps, data, most);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t* first, size_t first_size, const uint8_t* second, size_t second_size,
                                 uint8_t* out, size_t most, unsigned seed) {
    using namespace ringside;
    lab::Random random(seed);
    fuzz::Steps steps = fuzz::read(first, first_size);
    const fuzz::Steps others = fuzz::read(second, second_size);
    steps.resize(random.below(steps.size() + 1));
    steps.insert(steps.end(), others.begin() + static_cast<std::ptrdiff_t>(random.below(others.size() + 1)),
                 others.end());
    return fuzz::write(steps, out, most);
}
