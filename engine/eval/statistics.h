// Means, quantiles and bootstrap intervals of plain numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace boneage::eval {

struct Interval {
    double low = 0.0;
    double high = 0.0;
};

// NaN of no values. Summed from the first to the last, in double.
double mean(std::span<const double> values);

// NumPy's linear quantile: the value at position (n - 1) * q of the sorted values, between neighbours a straight line.
// 0 <= q <= 1; NaN of no values.
double quantile(std::vector<double> values, double q);

struct Bootstrap {
    uint64_t seed = 1;
    int64_t resamples = 2000;
};

// The 95 % percentile interval of the mean: `resamples` times n values are drawn with replacement, and the 2.5 % and
// 97.5 % quantiles of their means taken. Draws are words of Rng(seed, stream), so the same arguments give the same
// bits; two streams are independent. None of fewer than two values or of fewer than one resample.
std::optional<Interval> bootstrap_mean(std::span<const double> values, const Bootstrap& bootstrap, uint64_t stream);

}  // namespace boneage::eval
