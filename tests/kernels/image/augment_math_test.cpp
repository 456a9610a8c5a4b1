#include "kernels/image/augment_math.h"

#include <gtest/gtest.h>
#include <vector>

namespace boneage {
namespace {

TEST(AugmentMath, series_equal_the_library_functions) {
    constexpr int kSteps = 20000;
    for (int i = 0; i <= kSteps; ++i) {
        const double share = static_cast<double>(i) / kSteps;
        const double x = 1 + 10 * share;
        ASSERT_NEAR(series_log(x), std::log(x), 1e-15 * std::max(1.0, std::log(x))) << x;
        const double power = 5 * share - 2.5;
        ASSERT_NEAR(series_exp(power), std::exp(power), 1e-15 * std::exp(power)) << power;
        const double degrees = 720 * share - 360;
        const SineCosine got = series_sine_cosine(degrees);
        const double radians = degrees / 180 * std::acos(-1.0);
        ASSERT_NEAR(got.sine, std::sin(radians), 2e-15) << degrees;
        ASSERT_NEAR(got.cosine, std::cos(radians), 2e-15) << degrees;
    }
}

TEST(AugmentMath, series_are_exact_where_nothing_changes) {
    EXPECT_EQ(series_log(1), 0);
    EXPECT_EQ(series_exp(0), 1);
    const double sines[] = {0, 1, 0, -1, 0};
    const double cosines[] = {1, 0, -1, 0, 1};
    for (int quarter = -4; quarter <= 4; ++quarter) {
        const SineCosine got = series_sine_cosine(90 * quarter);
        EXPECT_EQ(got.sine, sines[(quarter + 4) % 4]) << quarter;
        EXPECT_EQ(got.cosine, cosines[(quarter + 4) % 4]) << quarter;
    }
}

// Every sum of four bytes with its number of occurrences, against moments known in closed form.
TEST(AugmentMath, noise_has_mean_0_variance_1_and_the_kurtosis_of_four_uniform_bytes) {
    std::vector<double> ways(1021);
    std::vector<double> pairs(511);
    for (size_t a = 0; a < 256; ++a) {
        for (size_t b = 0; b < 256; ++b) {
            pairs[a + b] += 1.0 / 65536;
        }
    }
    for (size_t a = 0; a < pairs.size(); ++a) {
        for (size_t b = 0; b < pairs.size(); ++b) {
            ways[a + b] += pairs[a] * pairs[b];
        }
    }
    double mean = 0;
    double variance = 0;
    double fourth = 0;
    for (uint32_t sum = 0; sum < 1021; ++sum) {
        uint32_t word = 0;
        for (uint32_t left = sum, byte = 0; byte < 4; ++byte) {
            const uint32_t part = std::min(left, 255U);
            word |= part << (8 * byte);
            left -= part;
        }
        const double z = static_cast<double>(nearly_normal(word));
        mean += ways[sum] * z;
        variance += ways[sum] * z * z;
        fourth += ways[sum] * z * z * z * z;
    }
    EXPECT_NEAR(mean, 0, 1e-12);
    EXPECT_NEAR(variance, 1, 1e-6);
    EXPECT_NEAR(fourth - 3, -0.3, 1e-4);
    EXPECT_NEAR(nearly_normal(0xffffffffU), 3.4506, 1e-4);
}

AugmentSample sample_of(uint64_t counter, const AugmentParams& params) {
    return draw_sample({7, 0}, static_cast<int64_t>(counter), params, 0.5F, {300, 200}, {100, 100});
}

struct Range {
    double low = 1e9;
    double high = -1e9;
    void add(double value) {
        low = std::min(low, value);
        high = std::max(high, value);
    }
};

void expect_fills(const Range& range, double low, double high, const char* what) {
    const double slack = 0.02 * (high - low);
    EXPECT_GE(range.low, low - 1e-6) << what;
    EXPECT_LE(range.low, low + slack) << what;
    EXPECT_LE(range.high, high + 1e-6) << what;
    EXPECT_GE(range.high, high - slack) << what;
}

TEST(AugmentMath, draws_fill_their_ranges_and_no_more) {
    constexpr uint64_t kDraws = 2000;
    const auto range_of = [&](const AugmentParams& params, const auto& value) {
        Range range;
        for (uint64_t counter = 0; counter < kDraws; ++counter) {
            range.add(value(sample_of(counter, params)));
        }
        return range;
    };
    const auto degrees = [](const AugmentSample& s) {
        return std::atan2(static_cast<double>(-s.yx), static_cast<double>(s.yy)) * 180 / std::acos(-1.0);
    };
    expect_fills(range_of({.rotation_degrees = 25}, degrees), -25, 25, "degrees");
    expect_fills(range_of({.zoom = 0.25F}, [](const AugmentSample& s) { return 1 / static_cast<double>(s.xx); }), 0.8,
                 1.25, "zoom");
    expect_fills(range_of({.shear = 0.3F}, [](const AugmentSample& s) { return -static_cast<double>(s.xy); }), -0.3,
                 0.3, "shear");
    expect_fills(range_of({.contrast = 0.6F}, [](const AugmentSample& s) { return static_cast<double>(s.gain); }),
                 0.625, 1.6, "contrast");
    expect_fills(range_of({.brightness = 0.2F}, [](const AugmentSample& s) { return static_cast<double>(s.offset); }),
                 -0.2, 0.2, "brightness");
    expect_fills(range_of({.noise = 0.1F}, [](const AugmentSample& s) { return static_cast<double>(s.deviation); }), 0,
                 0.1, "noise");
    // Of patches, 201 rows and 101 columns to start at.
    expect_fills(range_of({}, [](const AugmentSample& s) { return static_cast<double>(s.y0) - 49.5; }), 0, 200, "row");
    expect_fills(range_of({}, [](const AugmentSample& s) { return static_cast<double>(s.x0) - 49.5; }), 0, 100,
                 "column");
    const AugmentParams erasing{
        .erase = 1, .erase_smallest_area = 0.04F, .erase_largest_area = 0.25F, .erase_stretch = 1};
    const auto area = [](const AugmentSample& s) {
        return (s.erase_bottom - s.erase_top) * (s.erase_right - s.erase_left) * 1e-4;
    };
    const Range areas = range_of(erasing, area);
    EXPECT_NEAR(areas.low, 0.04, 0.004);
    EXPECT_NEAR(areas.high, 0.25, 0.006);
    const AugmentParams half{.erase = 1, .erase_smallest_area = 0.25F, .erase_largest_area = 0.25F};
    expect_fills(range_of(half, [](const AugmentSample& s) { return static_cast<double>(s.erase_top); }), 0, 50, "top");
    expect_fills(range_of(half, [](const AugmentSample& s) { return static_cast<double>(s.erase_left); }), 0, 50,
                 "left");
    EXPECT_EQ(range_of(erasing, [](const AugmentSample& s) { return s.erase_bottom; }).high, 100);
    EXPECT_EQ(range_of(erasing, [](const AugmentSample& s) { return s.erase_right; }).high, 100);
}

TEST(AugmentMath, probabilities_are_met) {
    int flipped = 0;
    int erased = 0;
    int both = 0;
    for (uint64_t counter = 0; counter < 10000; ++counter) {
        const AugmentSample s = sample_of(counter, {.flip = 0.5F, .erase = 0.2F, .erase_largest_area = 0.1F});
        const bool has_hole = s.erase_bottom > s.erase_top;
        flipped += s.xx < 0 ? 1 : 0;
        erased += has_hole ? 1 : 0;
        both += s.xx < 0 && has_hole ? 1 : 0;
    }
    // Four standard deviations.
    EXPECT_NEAR(flipped, 5000, 200);
    EXPECT_NEAR(erased, 2000, 160);
    EXPECT_NEAR(both, 1000, 120);
}

}  // namespace
}  // namespace boneage
