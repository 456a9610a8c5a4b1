// The regions and the decision of polarity.h, compiled by both twins.
#pragma once

#include "kernels/base/numeric.h"

#include <cstdint>

namespace boneage {

// Rows [top, bottom) and columns [left, right).
struct Region {
    int64_t top = 0;
    int64_t bottom = 0;
    int64_t left = 0;
    int64_t right = 0;
    [[nodiscard]] BONEAGE_HD int64_t pixels() const { return (bottom - top) * (right - left); }
};

inline constexpr int kPolarityRegions = 4;

// Region 0, 1, 2: the bands along the top, left and right side; 3: the middle. Never empty for h, w >= 1.
BONEAGE_HD inline Region polarity_region(int64_t height, int64_t width, int which) {
    const int64_t gap_y = height / 20;
    const int64_t gap_x = width / 20;
    const int64_t thick_y = height / 10 > 1 ? height / 10 : 1;
    const int64_t thick_x = width / 10 > 1 ? width / 10 : 1;
    switch (which) {
        case 0:
            return {gap_y, gap_y + thick_y, 0, width};
        case 1:
            return {0, height, gap_x, gap_x + thick_x};
        case 2:
            return {0, height, width - gap_x - thick_x, width - gap_x};
        default:
            return {height / 4, height - height / 4, width / 4, width - width / 4};
    }
}

// The sum of the pixels of every region of an image. Of the type that CUDA adds to atomically.
struct RegionSums {
    unsigned long long of[kPolarityRegions];
};

BONEAGE_HD inline uint8_t is_inverted(int64_t height, int64_t width, const RegionSums& sums) {
    double means[kPolarityRegions];
    for (int i = 0; i < kPolarityRegions; ++i) {
        means[i] = static_cast<double>(static_cast<int64_t>(sums.of[i])) /
                   static_cast<double>(polarity_region(height, width, i).pixels());
    }
    const double a = means[0];
    const double b = means[1];
    const double c = means[2];
    const double low = a < b ? a : b;
    const double high = a < b ? b : a;
    const double median = c < low ? low : (c > high ? high : c);
    return median > means[3] ? 1 : 0;
}

}  // namespace boneage
