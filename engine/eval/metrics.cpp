#include "engine/eval/metrics.h"

#include <cmath>
#include <limits>
#include <string>
#include <unordered_map>

namespace boneage::eval {
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

std::vector<double> absolute_errors(std::span<const Case> cases) {
    std::vector<double> errors;
    errors.reserve(cases.size());
    for (const Case& one : cases) {
        errors.push_back(std::abs(one.error_months()));
    }
    return errors;
}

double share_within(std::span<const double> absolute, double months) {
    int64_t inside = 0;
    for (const double error : absolute) {
        inside += error <= months ? 1 : 0;
    }
    return absolute.empty() ? kNothing : static_cast<double>(inside) / static_cast<double>(absolute.size());
}

}  // namespace

Metrics measure(std::span<const Case> cases, const Bootstrap& bootstrap, uint64_t stream) {
    std::vector<double> signed_errors;
    std::vector<double> squares;
    for (const Case& one : cases) {
        signed_errors.push_back(one.error_months());
        squares.push_back(one.error_months() * one.error_months());
    }
    const std::vector<double> absolute = absolute_errors(cases);
    Metrics metrics;
    metrics.n = static_cast<int64_t>(cases.size());
    metrics.mae_months = mean(absolute);
    metrics.rmse_months = std::sqrt(mean(squares));
    metrics.bias_months = mean(signed_errors);
    for (double& error : signed_errors) {
        error = (error - metrics.bias_months) * (error - metrics.bias_months);
    }
    const auto n = static_cast<double>(metrics.n);
    metrics.sd_months = metrics.n < 2 ? kNothing : std::sqrt(mean(signed_errors) * n / (n - 1.0));
    metrics.p90_months = quantile(absolute, 0.9);
    metrics.within_6 = share_within(absolute, 6.0);
    metrics.within_12 = share_within(absolute, 12.0);
    metrics.within_24 = share_within(absolute, 24.0);
    metrics.mae_interval = bootstrap_mean(absolute, bootstrap, stream);
    return metrics;
}

Confusion confuse(std::span<const Case> cases, const AgeBands& bands) {
    Confusion confusion;
    confusion.counts.assign(bands.count(), std::vector<int64_t>(bands.count(), 0));
    int64_t same = 0;
    int64_t near = 0;
    for (const Case& one : cases) {
        const size_t actual = bands.index_of(one.actual_months);
        const size_t predicted = bands.index_of(one.predicted_months);
        ++confusion.counts[actual][predicted];
        same += actual == predicted ? 1 : 0;
        near += actual <= predicted + 1 && predicted <= actual + 1 ? 1 : 0;
    }
    const auto n = static_cast<double>(cases.size());
    confusion.accuracy = cases.empty() ? kNothing : static_cast<double>(same) / n;
    confusion.within_one = cases.empty() ? kNothing : static_cast<double>(near) / n;
    return confusion;
}

Paired compare(std::span<const Case> own, std::span<const Case> other, const Bootstrap& bootstrap, uint64_t stream) {
    std::unordered_map<std::string, const Case*> by_id;
    for (const Case& one : other) {
        by_id.emplace(one.id, &one);
    }
    std::vector<Case> own_common;
    std::vector<Case> other_common;
    for (const Case& one : own) {
        if (const auto found = by_id.find(one.id); found != by_id.end()) {
            own_common.push_back(one);
            other_common.push_back(*found->second);
        }
    }
    Paired paired;
    const std::vector<double> own_errors = absolute_errors(own_common);
    std::vector<double> differences = absolute_errors(other_common);
    for (size_t i = 0; i < differences.size(); ++i) {
        differences[i] -= own_errors[i];
        paired.own_closer += differences[i] > 0.0 ? 1 : 0;
        paired.other_closer += differences[i] < 0.0 ? 1 : 0;
    }
    // One stream for all three: the same radiographs are drawn for both sides and for their difference.
    paired.own = measure(own_common, bootstrap, stream);
    paired.other = measure(other_common, bootstrap, stream);
    paired.mae_difference_months = mean(differences);
    paired.interval = bootstrap_mean(differences, bootstrap, stream);
    return paired;
}

}  // namespace boneage::eval
