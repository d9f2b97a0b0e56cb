// The few numbers that a list of samples comes down to.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace bench {

struct Quartiles {
    double low;
    double median;
    double high;
};

// Of at least one sample; between two samples where a quartile falls between them.
inline Quartiles quartiles(std::vector<double> samples) {
    std::sort(samples.begin(), samples.end());
    const auto at = [&](double share) {
        const double place = share * static_cast<double>(samples.size() - 1);
        const auto below = static_cast<size_t>(place);
        const auto above = std::min(below + 1, samples.size() - 1);
        return std::lerp(samples[below], samples[above], place - static_cast<double>(below));
    };
    return {at(0.25), at(0.5), at(0.75)};
}

}  // namespace bench
