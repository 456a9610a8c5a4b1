#include "engine/net/fold_norm.h"

#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <stdexcept>

namespace boneage::net {
namespace {

std::vector<float> random_values(size_t count, double low, double high, uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<float> values(count);
    for (float& value : values) {
        value = static_cast<float>(low + (high - low) * (random() * 0x1p-32));
    }
    return values;
}

// Sum of weight * x over one output's window, in double.
double convolved(const std::vector<float>& weight, const std::vector<float>& x, size_t channel) {
    double sum = 0;
    for (size_t i = 0; i < x.size(); ++i) {
        sum += static_cast<double>(weight[channel * x.size() + i]) * x[i];
    }
    return sum;
}

TEST(FoldNorm, equals_the_unfolded_norm) {
    constexpr size_t kOut = 7;
    constexpr size_t kWindow = 27;
    for (const bool with_bias : {false, true}) {
        const ConvValues conv{random_values(kOut * kWindow, -1, 1, 1),
                              with_bias ? random_values(kOut, -1, 1, 2) : std::vector<float>{}};
        const NormValues norm{random_values(kOut, -2, 2, 3), random_values(kOut, -1, 1, 4),
                              random_values(kOut, -1, 1, 5), random_values(kOut, 0, 3, 6), 1e-5};
        const std::vector<float> x = random_values(kWindow, -1, 1, 7);
        const ConvValues folded = fold_norm(conv, norm);
        for (size_t c = 0; c < kOut; ++c) {
            const double plain = convolved(conv.weight, x, c) + (with_bias ? conv.bias[c] : 0.0);
            const double unfolded =
                (plain - norm.running_mean[c]) / std::sqrt(norm.running_var[c] + norm.eps) * norm.weight[c] +
                norm.bias[c];
            // Each folded weight and bias was rounded once.
            double magnitude = std::abs(folded.bias[c]);
            for (size_t i = 0; i < kWindow; ++i) {
                magnitude += std::abs(static_cast<double>(folded.weight[c * kWindow + i]) * x[i]);
            }
            EXPECT_NEAR(convolved(folded.weight, x, c) + folded.bias[c], unfolded, magnitude * 0x1p-24);
        }
    }
}

TEST(FoldNorm, keeps_a_channel_without_variance_finite) {
    const ConvValues folded = fold_norm({{2.0F}, {}}, {{1.0F}, {0.5F}, {0.0F}, {0.0F}, 1e-5});
    EXPECT_FLOAT_EQ(folded.weight[0], static_cast<float>(2.0 / std::sqrt(1e-5)));
    EXPECT_FLOAT_EQ(folded.bias[0], 0.5F);
}

TEST(FoldNorm, refuses_sizes_that_do_not_agree) {
    const NormValues norm{{1, 1}, {0, 0}, {0, 0}, {1, 1}, 1e-5};
    EXPECT_THROW(fold_norm({{1, 2, 3}, {}}, norm), std::invalid_argument);
    EXPECT_THROW(fold_norm({{1, 2}, {1}}, norm), std::invalid_argument);
    EXPECT_THROW(fold_norm({{1, 2}, {}}, {{1, 1}, {0}, {0, 0}, {1, 1}, 1e-5}), std::invalid_argument);
    EXPECT_THROW(fold_norm({{1, 2}, {}}, {}), std::invalid_argument);
}

}  // namespace
}  // namespace boneage::net
