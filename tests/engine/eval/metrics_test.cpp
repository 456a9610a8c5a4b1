#include "engine/eval/metrics.h"

#include "kernels/base/error.h"
#include "kernels/base/rng.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>

namespace boneage::eval {
namespace {

using pipeline::Sex;

std::vector<Case> cases_of(const std::vector<std::pair<double, double>>& actual_and_predicted) {
    std::vector<Case> cases;
    for (const auto& [actual, predicted] : actual_and_predicted) {
        cases.push_back({std::to_string(cases.size()), "", Sex::male, actual, predicted});
    }
    return cases;
}

std::vector<Case> random_cases(int count, uint64_t seed, double bias, double sd) {
    Rng rng(seed);
    std::vector<std::pair<double, double>> pairs;
    for (int i = 0; i < count; ++i) {
        const double actual = 228.0 * static_cast<double>(rng.uniform());
        pairs.emplace_back(actual, actual + bias + sd * static_cast<double>(rng.normal()));
    }
    return cases_of(pairs);
}

TEST(metrics, of_five_cases_are_what_a_hand_computes) {
    // Errors 2, -4, 6, -12, 30.
    const auto cases = cases_of({{100, 102}, {50, 46}, {24, 30}, {150, 138}, {200, 230}});
    const Metrics m = measure(cases, {}, 0);
    EXPECT_EQ(m.n, 5);
    EXPECT_DOUBLE_EQ(m.mae_months, 54.0 / 5.0);
    EXPECT_DOUBLE_EQ(m.bias_months, 22.0 / 5.0);
    EXPECT_DOUBLE_EQ(m.rmse_months, std::sqrt(1100.0 / 5.0));
    EXPECT_DOUBLE_EQ(m.sd_months, std::sqrt((1100.0 - 22.0 * 22.0 / 5.0) / 4.0));
    EXPECT_DOUBLE_EQ(m.p90_months, 12.0 + 0.6 * 18.0) << "position 3.6 of 2, 4, 6, 12, 30";
    EXPECT_DOUBLE_EQ(m.within_6, 0.6) << "an error of exactly 6 counts";
    EXPECT_DOUBLE_EQ(m.within_12, 0.8);
    EXPECT_DOUBLE_EQ(m.within_24, 0.8);
}

TEST(metrics, equal_a_second_implementation) {
    const auto cases = random_cases(777, 3, 2.0, 11.0);
    const Metrics m = measure(cases, {}, 0);
    // Running moments, and order statistics by counting, in another order and wider.
    long double absolute = 0, square = 0, running_mean = 0, running_m2 = 0;
    std::vector<double> sorted;
    int64_t n = 0, within_12 = 0;
    for (const Case& one : std::vector<Case>(cases.rbegin(), cases.rend())) {
        const long double e = static_cast<long double>(one.predicted_months) - one.actual_months;
        absolute += std::abs(e);
        square += e * e;
        ++n;
        const long double delta = e - running_mean;
        running_mean += delta / static_cast<long double>(n);
        running_m2 += delta * (e - running_mean);
        sorted.push_back(std::abs(one.predicted_months - one.actual_months));
        within_12 += std::abs(e) <= 12.0L ? 1 : 0;
    }
    std::sort(sorted.begin(), sorted.end());
    EXPECT_NEAR(m.mae_months, static_cast<double>(absolute / 777), 1e-10);
    EXPECT_NEAR(m.rmse_months, static_cast<double>(std::sqrt(square / 777)), 1e-10);
    EXPECT_NEAR(m.bias_months, static_cast<double>(running_mean), 1e-10);
    EXPECT_NEAR(m.sd_months, static_cast<double>(std::sqrt(running_m2 / 776)), 1e-10);
    EXPECT_NEAR(m.p90_months, sorted[698] + 0.4 * (sorted[699] - sorted[698]), 1e-10) << "position 776 * 0.9 = 698.4";
    EXPECT_DOUBLE_EQ(m.within_12, static_cast<double>(within_12) / 777.0);
}

TEST(metrics, of_one_case_have_no_spread_and_of_none_no_value) {
    const Metrics one = measure(cases_of({{100, 103}}), {}, 0);
    EXPECT_EQ(one.mae_months, 3.0);
    EXPECT_EQ(one.p90_months, 3.0);
    EXPECT_TRUE(std::isnan(one.sd_months));
    EXPECT_FALSE(one.mae_interval);
    const Metrics none = measure({}, {}, 0);
    EXPECT_EQ(none.n, 0);
    for (const double value : {none.mae_months, none.rmse_months, none.bias_months, none.p90_months, none.within_6}) {
        EXPECT_TRUE(std::isnan(value));
    }
}

// Positions 0, 1.75, 3.5, 6.3 and 7 of 1, 1, 2, 3, 4, 5, 6, 9.
TEST(statistics, quantiles_lie_on_straight_lines_between_neighbours) {
    const std::vector<double> values{3, 1, 4, 1, 5, 9, 2, 6};
    EXPECT_DOUBLE_EQ(quantile(values, 0.0), 1.0);
    EXPECT_DOUBLE_EQ(quantile(values, 0.25), 1.75);
    EXPECT_DOUBLE_EQ(quantile(values, 0.5), 3.5);
    EXPECT_DOUBLE_EQ(quantile(values, 0.9), 6.9);
    EXPECT_DOUBLE_EQ(quantile(values, 1.0), 9.0);
    EXPECT_THROW(quantile(values, 1.1), ContractError);
    EXPECT_TRUE(std::isnan(quantile({}, 0.5)));
}

TEST(bootstrap, the_same_seed_gives_the_same_bits_and_another_does_not) {
    std::vector<double> values;
    for (const Case& one : random_cases(100, 1, 0.0, 10.0)) {
        values.push_back(one.error_months());
    }
    const auto first = bootstrap_mean(values, {7, 500}, 3);
    const auto again = bootstrap_mean(values, {7, 500}, 3);
    const auto other_seed = bootstrap_mean(values, {8, 500}, 3);
    const auto other_stream = bootstrap_mean(values, {7, 500}, 4);
    EXPECT_EQ(first->low, again->low);
    EXPECT_EQ(first->high, again->high);
    EXPECT_NE(first->low, other_seed->low);
    EXPECT_NE(first->low, other_stream->low);
}

TEST(bootstrap, is_as_wide_as_the_normal_interval_of_many_values) {
    std::vector<double> values;
    Rng rng(11);
    for (int i = 0; i < 2000; ++i) {
        values.push_back(5.0 + 3.0 * static_cast<double>(rng.normal()));
    }
    const auto interval = bootstrap_mean(values, {1, 4000}, 0);
    double square = 0.0;
    for (const double value : values) {
        square += (value - mean(values)) * (value - mean(values));
    }
    const double half = 1.959964 * std::sqrt(square / 2000.0 / 2000.0);
    EXPECT_NEAR(interval->low, mean(values) - half, 0.1 * half);
    EXPECT_NEAR(interval->high, mean(values) + half, 0.1 * half);
}

TEST(bootstrap, covers_the_true_mean_in_nineteen_of_twenty_samples) {
    // 400 samples of 60: a binomial of 0.95 leaves 0.92 .. 0.98 once in hundreds of trials; the percentile interval of
    // samples of this size covers a little less.
    Rng rng(2026);
    int covered = 0;
    for (int sample = 0; sample < 400; ++sample) {
        std::vector<double> values;
        for (int i = 0; i < 60; ++i) {
            values.push_back(10.0 + 4.0 * static_cast<double>(rng.normal()));
        }
        const auto interval = bootstrap_mean(values, {1, 400}, static_cast<uint64_t>(sample));
        covered += interval->low <= 10.0 && 10.0 <= interval->high ? 1 : 0;
    }
    EXPECT_GE(covered, 364);
    EXPECT_LE(covered, 392);
}

TEST(bootstrap, draws_every_value_equally_often) {
    // Of 0 and 1s the mean's interval is the binomial's: 300 of 1000 give 0.3 +- 0.0284.
    std::vector<double> values(1000, 0.0);
    std::fill(values.begin(), values.begin() + 300, 1.0);
    const auto first = bootstrap_mean(values, {1, 4000}, 0);
    std::reverse(values.begin(), values.end());
    const auto last = bootstrap_mean(values, {1, 4000}, 0);
    for (const auto& interval : {first, last}) {
        EXPECT_NEAR(interval->low, 0.3 - 0.0284, 0.003);
        EXPECT_NEAR(interval->high, 0.3 + 0.0284, 0.003);
    }
}

TEST(bootstrap, of_too_little_is_none) {
    EXPECT_FALSE(bootstrap_mean(std::vector<double>{}, {}, 0));
    EXPECT_FALSE(bootstrap_mean(std::vector<double>{1.0}, {}, 0));
    EXPECT_FALSE(bootstrap_mean(std::vector<double>{1.0, 2.0}, {1, 0}, 0));
}

TEST(age_bands, hold_their_lower_edge_and_the_last_one_both) {
    const AgeBands bands;
    EXPECT_EQ(bands.count(), 10U);
    EXPECT_EQ(bands.index_of(0.0), 0U);
    EXPECT_EQ(bands.index_of(23.999), 0U);
    EXPECT_EQ(bands.index_of(24.0), 1U);
    EXPECT_EQ(bands.index_of(216.0), 9U);
    EXPECT_EQ(bands.index_of(240.0), 9U);
    EXPECT_EQ(bands.index_of(-7.0), 0U) << "predictions may lie outside";
    EXPECT_EQ(bands.index_of(500.0), 9U);
    EXPECT_EQ(bands.name(1), "24-48");
    EXPECT_THROW(AgeBands({1.0}), ContractError);
    EXPECT_THROW(AgeBands({1.0, 1.0}), ContractError);
}

TEST(confusion, counts_labelled_against_predicted_bands) {
    const AgeBands bands({0, 50, 100, 150});
    const Confusion confusion = confuse(cases_of({{10, 20}, {10, 60}, {60, 60}, {60, 99}, {120, 10}}), bands);
    const std::vector<std::vector<int64_t>> want{{1, 1, 0}, {0, 2, 0}, {1, 0, 0}};
    EXPECT_EQ(confusion.counts, want);
    EXPECT_DOUBLE_EQ(confusion.accuracy, 0.6);
    EXPECT_DOUBLE_EQ(confusion.within_one, 0.8);
}

TEST(paired_comparison, uses_the_cases_in_common_by_id_in_any_order) {
    std::vector<Case> own = cases_of({{100, 110}, {100, 95}, {100, 100}, {100, 170}});
    std::vector<Case> other = cases_of({{100, 104}, {100, 95}, {100, 92}});
    std::reverse(other.begin(), other.end());
    const Paired paired = compare(own, other, {}, 0);
    EXPECT_EQ(paired.own.n, 3);
    EXPECT_EQ(paired.other.n, 3);
    EXPECT_DOUBLE_EQ(paired.own.mae_months, 5.0);
    EXPECT_DOUBLE_EQ(paired.other.mae_months, 17.0 / 3.0);
    EXPECT_DOUBLE_EQ(paired.mae_difference_months, 2.0 / 3.0);
    EXPECT_EQ(paired.own_closer, 1);
    EXPECT_EQ(paired.other_closer, 1);
}

TEST(paired_comparison, is_sharper_than_two_separate_intervals) {
    const std::vector<Case> own = random_cases(400, 5, 0.0, 10.0);
    std::vector<Case> other = own;
    for (Case& one : other) {
        one.predicted_months = one.actual_months + 1.1 * one.error_months();
    }
    const Paired paired = compare(own, other, {}, 0);
    EXPECT_NEAR(paired.mae_difference_months, 0.1 * paired.own.mae_months, 1e-9);
    EXPECT_GT(paired.interval->low, 0.0);
    EXPECT_LT(paired.interval->high - paired.interval->low,
              0.2 * (paired.own.mae_interval->high - paired.own.mae_interval->low));
}

}  // namespace
}  // namespace boneage::eval
