// How the benchmarks time and summarise.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

namespace boneage::bench {

// The value that `fraction` of all values lie below; not for an empty list.
inline double quantile(std::vector<double> values, double fraction) {
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(static_cast<double>(values.size() - 1) * fraction);
    std::nth_element(values.begin(), at, values.end());
    return *at;
}

inline double milliseconds(const auto& call) {
    const auto begin = std::chrono::steady_clock::now();
    call();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace boneage::bench
