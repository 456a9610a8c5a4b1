#include "engine/train/sampler.h"

#include "kernels/base/error.h"
#include "tests/support/folder.h"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>
#include <set>

namespace boneage::train {
namespace {

using testing::error_of;

// `counts[c]` ages in the middle of each 24-month category, the categories taking turns as long as they last.
std::vector<double> ages_with(std::vector<int64_t> counts) {
    std::vector<double> ages;
    while (std::any_of(counts.begin(), counts.end(), [](int64_t n) { return n > 0; })) {
        for (size_t c = 0; c < counts.size(); ++c) {
            if (counts[c]-- > 0) {
                ages.push_back(24.0 * static_cast<double>(c) + 12.0);
            }
        }
    }
    return ages;
}

// Pearson's statistic of counts against expected shares.
double chi_square(const std::vector<int64_t>& counts, const std::vector<double>& shares) {
    const auto all = static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
    double statistic = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
        if (shares[i] > 0) {
            const double difference = static_cast<double>(counts[i]) - all * shares[i];
            statistic += difference * difference / (all * shares[i]);
        }
    }
    return statistic;
}

TEST(AgeEdges, are_24_months_wide_from_birth_and_reach_past_the_oldest) {
    EXPECT_EQ(age_edges(std::vector<double>{100, 1}), (AgeEdges{0, 24, 48, 72, 96, 120}));
    EXPECT_EQ(age_edges(std::vector<double>{0}), (AgeEdges{0, 24}));
    EXPECT_EQ(age_edges(std::vector<double>{24}), (AgeEdges{0, 24, 48}));
    EXPECT_EQ(age_edges(std::vector<double>{35}, 12), (AgeEdges{0, 12, 24, 36}));
}

TEST(AgeEdges, an_age_on_an_edge_belongs_to_the_category_it_begins) {
    const std::vector<double> ages{0, 23.999, 24, 47, 48};
    const WeightedSampler sampler(ages, age_edges(ages));
    EXPECT_EQ(sampler.report({}).samples, (std::vector<int64_t>{2, 2, 1}));
}

TEST(WeightedSampler, weights_are_inverse_counts_that_sum_to_one) {
    const std::vector<double> ages = ages_with({1, 2, 0, 4});
    const SamplingReport report = WeightedSampler(ages, age_edges(ages)).report({});
    // 1 + 1/2 + 1/4 = 7/4
    EXPECT_DOUBLE_EQ(report.class_weights[0], 4.0 / 7);
    EXPECT_DOUBLE_EQ(report.class_weights[1], 2.0 / 7);
    EXPECT_EQ(report.class_weights[2], 0.0);
    EXPECT_DOUBLE_EQ(report.class_weights[3], 1.0 / 7);
    for (const size_t c : {0U, 1U, 3U}) {
        EXPECT_NEAR(report.shares[c], 1.0 / 3, 1e-15);
    }
    EXPECT_EQ(report.shares[2], 0.0);
    // Weights 4, 2, 2, 1, 1, 1, 1 (over 7): 12^2 / (16 + 4 + 4 + 4) = 144 / 28.
    EXPECT_DOUBLE_EQ(report.effective_samples, 144.0 / 28);
}

TEST(WeightedSampler, draws_every_category_and_every_sample_in_it_equally_often) {
    const std::vector<int64_t> counts{3, 40, 0, 117, 600, 9};
    const std::vector<double> ages = ages_with(counts);
    const WeightedSampler sampler(ages, age_edges(ages));
    const std::vector<int64_t> drawn = sampler.epoch(5, 0, 200'000);
    const SamplingReport report = sampler.report(drawn);
    EXPECT_EQ(report.samples, counts);
    EXPECT_EQ(report.draws[2], 0);
    // 4 degrees of freedom; 23.5 is exceeded once in 10,000 seeds.
    EXPECT_LT(chi_square(report.draws, report.shares), 23.5);
    std::vector<int64_t> of_sample(ages.size());
    std::vector<double> shares(ages.size());
    for (const int64_t sample : drawn) {
        ++of_sample[static_cast<size_t>(sample)];
    }
    for (size_t i = 0; i < ages.size(); ++i) {
        shares[i] = 1.0 / 5 / static_cast<double>(counts[static_cast<size_t>(ages[i] / 24)]);  // five categories
    }
    // 768 degrees of freedom; 919 is exceeded once in 10,000 seeds.
    EXPECT_LT(chi_square(of_sample, shares), 919);
}

TEST(WeightedSampler, power_mixes_between_the_samples_own_shares_and_equal_ones) {
    const std::vector<double> ages = ages_with({16, 4, 0, 1});
    const auto shares = [&](double power) { return WeightedSampler(ages, age_edges(ages), power).report({}).shares; };
    const auto expect = [](const std::vector<double>& got, const std::vector<double>& wanted) {
        ASSERT_EQ(got.size(), wanted.size());
        for (size_t c = 0; c < got.size(); ++c) {
            EXPECT_NEAR(got[c], wanted[c], 1e-15) << c;
        }
    };
    expect(shares(0), {16.0 / 21, 4.0 / 21, 0, 1.0 / 21});
    expect(shares(0.5), {4.0 / 7, 2.0 / 7, 0, 1.0 / 7});
    expect(shares(1), {1.0 / 3, 1.0 / 3, 0, 1.0 / 3});
    EXPECT_DOUBLE_EQ(WeightedSampler(ages, age_edges(ages), 0).report({}).effective_samples, 21);
    const WeightedSampler half(ages, age_edges(ages), 0.5);
    const SamplingReport report = half.report(half.epoch(11, 3, 100'000));
    EXPECT_LT(chi_square(report.draws, report.shares), 18.4);  // 2 degrees of freedom, once in 10,000
}

TEST(WeightedSampler, one_category_and_one_sample_are_enough) {
    const std::vector<double> ages{100, 101, 102};
    const WeightedSampler sampler(ages, age_edges(ages));
    const std::vector<int64_t> drawn = sampler.epoch(1, 0, 1000);
    EXPECT_EQ(std::set<int64_t>(drawn.begin(), drawn.end()), (std::set<int64_t>{0, 1, 2}));
    EXPECT_DOUBLE_EQ(sampler.report(drawn).effective_samples, 3);
    const std::vector<double> alone{7};
    EXPECT_EQ(WeightedSampler(alone, age_edges(alone)).epoch(1, 0, 3), (std::vector<int64_t>{0, 0, 0}));
}

TEST(WeightedSampler, an_epoch_depends_on_its_seed_and_number_alone) {
    const std::vector<double> ages = ages_with({5, 50, 20});
    const WeightedSampler one(ages, age_edges(ages));
    const WeightedSampler other(ages, age_edges(ages));
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
        EXPECT_EQ(one.epoch(9, epoch, 75).size(), 75U);
    }
    EXPECT_EQ(one.epoch(9, 7, 75), other.epoch(9, 7, 75));
    EXPECT_NE(one.epoch(9, 7, 75), one.epoch(9, 8, 75));
    EXPECT_NE(one.epoch(9, 7, 75), one.epoch(10, 7, 75));
    // As a program in Python computed it from the published Philox: a resumed training relies on it.
    EXPECT_EQ(one.epoch(9, 7, 6), (std::vector<int64_t>{43, 28, 0, 28, 40, 6}));
}

TEST(WeightedSampler, reports_a_line_for_each_category) {
    const std::vector<double> ages = ages_with({2, 0, 1});
    const WeightedSampler sampler(ages, age_edges(ages));
    EXPECT_EQ(sampler.report(std::vector<int64_t>{0, 1, 2, 2}).text(),
              "age category, months    samples     weight    share      draws\n"
              "0 to 24                       2      0.333   50.0 %          3\n"
              "24 to 48                      0          0    0.0 %          0\n"
              "48 to 72                      1      0.667   50.0 %          1\n"
              "effective sample size 2.7 of 3");
}

TEST(WeightedSampler, what_cannot_be_sampled_is_a_sentence) {
    const auto refusal = [](const std::vector<double>& ages, const AgeEdges& edges, double power = 1) {
        return error_of<UsageError>([&] { const WeightedSampler sampler(ages, edges, power); });
    };
    EXPECT_EQ(refusal({}, {0, 24}), "there are no samples to train on");
    EXPECT_EQ(error_of<UsageError>([] { age_edges({}); }), "there are no samples to train on");
    EXPECT_EQ(refusal({5, 24}, {0, 24}),
              "sample 1 has an age of 24 months, outside the age categories from 0 to 24 months; leave it out or give "
              "other category edges");
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    EXPECT_NE(refusal({kNaN}, {0, 24}).find("sample 0 has an age of nan months"), std::string::npos);
    for (const AgeEdges& edges : {AgeEdges{}, {0}, {0, 0}, {24, 0}, {0, kInfinity}, {kNaN, 5}, {0, kNaN}}) {
        EXPECT_NE(refusal({5}, edges).find("edges"), std::string::npos);
    }
    for (const double power : {-0.1, 1.1, kNaN}) {
        EXPECT_NE(refusal({5}, {0, 24}, power).find("power"), std::string::npos);
    }
    for (const double age : {-1.0, kNaN, kInfinity}) {
        EXPECT_NE(error_of<UsageError>([&] {
                      age_edges(std::vector<double>{3, age});
                  }).find("sample 1"),
                  std::string::npos);
    }
    for (const double width : {0.0, -24.0, kNaN, kInfinity, 1e-3}) {
        EXPECT_NE(error_of<UsageError>([&] { age_edges(std::vector<double>{100}, width); }).find("wider"),
                  std::string::npos);
    }
}

TEST(Shuffled, holds_every_index_once_in_an_order_of_the_epochs_own) {
    std::vector<int64_t> order = shuffled(1000, 1, 3, 5);
    EXPECT_EQ(order, shuffled(1000, 1, 3, 5));
    EXPECT_NE(order, shuffled(1000, 1, 3, 6));
    EXPECT_NE(order, shuffled(1000, 1, 4, 5));
    std::sort(order.begin(), order.end());
    std::vector<int64_t> all(1000);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(order, all);
    EXPECT_EQ(shuffled(1, 1, 3, 5), std::vector<int64_t>{0});
    EXPECT_EQ(error_of<UsageError>([] { shuffled(0, 1, 3, 5); }), "there are no samples to train on");
}

TEST(Shuffled, repeats_come_equally_often_and_not_one_round_after_the_other) {
    std::vector<int64_t> order = shuffled(200, 3, 3, 5);
    std::vector<int64_t> first(order.begin(), order.begin() + 200);
    std::ranges::sort(first);
    EXPECT_NE(std::ranges::adjacent_find(first), first.end()) << "all of the first round are others";
    std::ranges::sort(order);
    std::vector<int64_t> all;
    for (int64_t sample = 0; sample < 200; ++sample) {
        all.insert(all.end(), 3, sample);
    }
    EXPECT_EQ(order, all);
}

TEST(Shuffled, every_order_of_four_is_equally_likely) {
    std::vector<int64_t> counts(256);
    for (int64_t epoch = 0; epoch < 24'000; ++epoch) {
        const std::vector<int64_t> order = shuffled(4, 1, 1, epoch);
        ++counts[static_cast<size_t>(order[0] * 64 + order[1] * 16 + order[2] * 4 + order[3])];
    }
    std::erase(counts, 0);
    ASSERT_EQ(counts.size(), 24U);
    // 23 degrees of freedom; 56.6 is exceeded once in 10,000 seeds.
    EXPECT_LT(chi_square(counts, std::vector<double>(24, 1.0 / 24)), 56.6);
}

}  // namespace
}  // namespace boneage::train
