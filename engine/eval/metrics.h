// How far predicted ages are from known ones, in months.
#pragma once

#include "engine/eval/age_bands.h"
#include "engine/eval/cases.h"
#include "engine/eval/statistics.h"

#include <optional>
#include <span>

namespace boneage::eval {

// Of e = predicted - actual over n cases. All NaN when n is 0.
struct Metrics {
    int64_t n = 0;
    double mae_months = 0.0;   // mean |e|
    double rmse_months = 0.0;  // sqrt(mean e^2)
    double bias_months = 0.0;  // mean e: positive when ages are predicted too high
    double sd_months = 0.0;    // of e, with n - 1; NaN when n is 1
    double p90_months = 0.0;   // the 90 % quantile of |e|, NumPy's linear one
    double within_6 = 0.0;     // the share of cases with |e| <= 6 months, and so on
    double within_12 = 0.0;
    double within_24 = 0.0;
    std::optional<Interval> mae_interval;  // 95 %, by bootstrap over the cases
};

Metrics measure(std::span<const Case> cases, const Bootstrap& bootstrap, uint64_t stream);

// How often the predicted age falls into the band of the actual one.
struct Confusion {
    std::vector<std::vector<int64_t>> counts;  // [actual band][predicted band]
    double accuracy = 0.0;                     // the share in the same band; NaN of no cases
    double within_one = 0.0;                   // in the same or a neighbouring one
};

Confusion confuse(std::span<const Case> cases, const AgeBands& bands);

// Two sets of predictions on the radiographs that both scored.
struct Paired {
    Metrics own;
    Metrics other;
    double mae_difference_months = 0.0;  // other's MAE - own: positive when the other one errs more
    std::optional<Interval> interval;    // 95 % of that difference, by bootstrap over the pairs
    int64_t own_closer = 0;              // radiographs on which own is strictly closer
    int64_t other_closer = 0;
};

Paired compare(std::span<const Case> own, std::span<const Case> other, const Bootstrap& bootstrap, uint64_t stream);

}  // namespace boneage::eval
