// The few numbers that a list of samples comes down to.
#pragma once

#include <algorithm>
#include <vector>

namespace bench {

struct Quartiles {
    double low;
    double median;
    double high;
};

inline Quartiles quartiles(std::vector<double> samples) {
    std::sort(samples.begin(), samples.end());
    const auto at = [&](double share) {
        return samples[static_cast<size_t>(share * static_cast<double>(samples.size() - 1) + 0.5)];
    };
    return {at(0.25), at(0.5), at(0.75)};
}

}  // namespace bench
