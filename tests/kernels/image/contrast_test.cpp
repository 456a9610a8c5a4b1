#include "kernels/image/contrast.h"

#include "kernels/base/error.h"
#include "tests/support/images.h"

#include <algorithm>
#include <cmath>

namespace boneage {
namespace {

using testing::PaddedImage;

template <class P>
ContrastStats measure(Image<const P, Host> image, double threshold, int threads) {
    Workers workers(threads);
    HostScratch scratch;
    ContrastStats stats;
    contrast<P>(workers, one(image), {&stats, 1}, {threshold}, scratch.bytes(contrast_scratch_bytes<P>(1)));
    return stats;
}

// NumPy's linear percentile, by sorting.
template <class P>
double sorted_percentile(Image<const P, Host> image, double q) {
    std::vector<double> values;
    for (int64_t y = 0; y < image.height; ++y) {
        values.insert(values.end(), image.row(y), image.row(y) + image.width);
    }
    std::sort(values.begin(), values.end());
    const double position = static_cast<double>(values.size() - 1) * q;
    const auto below = static_cast<size_t>(position);
    const size_t above = std::min(below + 1, values.size() - 1);
    const double t = position - std::floor(position);
    const double gap = values[above] - values[below];
    return t < 0.5 ? values[below] + gap * t : values[above] - gap * (1 - t);
}

template <class P>
class ContrastTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(ContrastTest, PixelTypes);

TYPED_TEST(ContrastTest, percentiles_equal_those_of_sorted_pixels_at_any_worker_count) {
    for (const auto& [height, width] : testing::awkward_sizes()) {
        for (const int threads : {1, 2, 4}) {
            const auto image = testing::smooth_image<TypeParam>(height, width, 5);
            const ContrastStats stats = measure<TypeParam>(image.view(), 0.05, threads);
            EXPECT_EQ(stats.p1, sorted_percentile<TypeParam>(image.view(), 0.01)) << height << "x" << width;
            EXPECT_EQ(stats.p99, sorted_percentile<TypeParam>(image.view(), 0.99)) << height << "x" << width;
        }
    }
}

TYPED_TEST(ContrastTest, the_threshold_is_strict) {
    // 0 and the largest value, half and half: the spread is exactly 1.
    PaddedImage<TypeParam> image(2, 100);
    for (int64_t x = 0; x < 100; ++x) {
        image.view().at(0, x) = 0;
        image.view().at(1, x) = std::numeric_limits<TypeParam>::max();
    }
    EXPECT_EQ(measure<TypeParam>(image.view(), 1.0, 1).low, 0);
    EXPECT_EQ(measure<TypeParam>(image.view(), std::nextafter(1.0, 2.0), 1).low, 1);
}

TYPED_TEST(ContrastTest, a_constant_image_has_no_spread) {
    for (const TypeParam value : {TypeParam{0}, TypeParam{1}, std::numeric_limits<TypeParam>::max()}) {
        const auto image = testing::random_image<TypeParam>(13, 17, 1, value, value);
        const ContrastStats stats = measure<TypeParam>(image.view(), 0.05, 2);
        EXPECT_EQ(stats.p1, value);
        EXPECT_EQ(stats.p99, value);
        EXPECT_EQ(stats.spread, 0);
        EXPECT_EQ(stats.low, 1);
    }
}

// Values of numpy.percentile and skimage.exposure.is_low_contrast for a pattern that this test repeats:
// ((y * a + x * b) * (levels / 256) % span + low), with span = levels where low is 0, else levels / 16.
struct Recorded {
    int64_t height, width, a, b, low;
    double p1_u8, p99_u8, p1_u16, p99_u16;
    bool is_low_at_5_percent, is_low_at_6_percent;
};

TYPED_TEST(ContrastTest, equals_scikit_image_on_recorded_patterns) {
    constexpr bool kWide = sizeof(TypeParam) == 2;
    constexpr int64_t kLevels = kWide ? 65536 : 256;
    for (const Recorded& r : {Recorded{1, 1, 7, 3, 5, 5, 5, 5, 5, true, true},
                              Recorded{5, 7, 31, 17, 100, 100, 115, 100, 3940, false, true},
                              Recorded{64, 33, 13, 29, 40, 40, 55, 40, 3880, false, true},
                              Recorded{101, 99, 7, 11, 0, 2, 253, 512, 64768, false, false}}) {
        PaddedImage<TypeParam> image(r.height, r.width);
        const int64_t span = r.low == 0 ? kLevels : kLevels / 16;
        for (int64_t y = 0; y < r.height; ++y) {
            for (int64_t x = 0; x < r.width; ++x) {
                image.view().at(y, x) = static_cast<TypeParam>((y * r.a + x * r.b) * (kLevels / 256) % span + r.low);
            }
        }
        const ContrastStats stats = measure<TypeParam>(image.view(), 0.05, 1);
        EXPECT_EQ(stats.p1, kWide ? r.p1_u16 : r.p1_u8);
        EXPECT_EQ(stats.p99, kWide ? r.p99_u16 : r.p99_u8);
        EXPECT_EQ(stats.low != 0, r.is_low_at_5_percent);
        EXPECT_EQ(measure<TypeParam>(image.view(), 0.06, 1).low != 0, r.is_low_at_6_percent);
    }
}

TYPED_TEST(ContrastTest, refuses_an_image_without_pixels_and_too_little_scratch) {
    EXPECT_THROW(measure<TypeParam>(Image<const TypeParam, Host>{}, 0.05, 1), ContractError);
    Workers workers(1);
    HostScratch scratch;
    ContrastStats stats;
    const PaddedImage<TypeParam> image(4, 4);
    EXPECT_THROW(contrast<TypeParam>(workers, one(image.view()), {&stats, 1}, {}, scratch.bytes(16)), ContractError);
}

}  // namespace
}  // namespace boneage
