// The scalar formulas of contrast.h, compiled by both twins.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/image/contrast.h"

namespace boneage {

// Where a percentile lies among n sorted pixels: between the ones at `below` and `below + 1` (clamped), `t` of the way.
struct PercentilePosition {
    int64_t below = 0;
    double t = 0;
};

BONEAGE_HD inline PercentilePosition percentile_position(int64_t n, double q) {
    const double position = static_cast<double>(n - 1) * q;
    const double below = std::floor(position);
    return {static_cast<int64_t>(below), position - below};
}

BONEAGE_HD inline double percentile_between(double a, double b, double t) {
    const double difference = b - a;
    return t < 0.5 ? a + difference * t : b - difference * (1.0 - t);
}

template <class P>
BONEAGE_HD inline ContrastStats contrast_stats(double p1, double p99, double threshold) {
    ContrastStats stats;
    stats.p1 = p1;
    stats.p99 = p99;
    stats.spread = (p99 - p1) / static_cast<double>(std::numeric_limits<P>::max());
    stats.low = stats.spread < threshold ? 1 : 0;
    return stats;
}

}  // namespace boneage
