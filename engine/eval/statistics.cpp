#include "engine/eval/statistics.h"

#include "kernels/base/error.h"
#include "kernels/base/rng.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace boneage::eval {
namespace {

double quantile_of_sorted(std::span<const double> sorted, double q) {
    const double position = static_cast<double>(sorted.size() - 1) * q;
    const auto below = static_cast<size_t>(std::floor(position));
    const size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (sorted[above] - sorted[below]) * (position - static_cast<double>(below));
}

}  // namespace

double mean(std::span<const double> values) {
    double sum = 0.0;
    for (const double value : values) {
        sum += value;
    }
    return values.empty() ? std::numeric_limits<double>::quiet_NaN() : sum / static_cast<double>(values.size());
}

double quantile(std::vector<double> values, double q) {
    expects(q >= 0.0 && q <= 1.0, "0 <= q <= 1");
    if (values.empty()) {
        return std::numeric_limits<double>::quiet_NaN();
    }
    std::ranges::sort(values);
    return quantile_of_sorted(values, q);
}

std::optional<Interval> bootstrap_mean(std::span<const double> values, const Bootstrap& bootstrap, uint64_t stream) {
    if (values.size() < 2 || bootstrap.resamples < 1) {
        return std::nullopt;
    }
    Rng rng(bootstrap.seed, stream);
    const uint64_t n = values.size();
    std::vector<double> means(static_cast<size_t>(bootstrap.resamples));
    for (double& resampled : means) {
        double sum = 0.0;
        for (uint64_t i = 0; i < n; ++i) {
            // The high half of a product maps a word onto 0 .. n-1; the bias is below n / 2^32.
            sum += values[static_cast<size_t>((rng.next_u32() * n) >> 32)];
        }
        resampled = sum / static_cast<double>(n);
    }
    std::ranges::sort(means);
    return Interval{quantile_of_sorted(means, 0.025), quantile_of_sorted(means, 0.975)};
}

}  // namespace boneage::eval
