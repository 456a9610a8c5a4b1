#include "kernels/image/threshold.h"

#include "tests/support/images.h"

#include <opencv2/imgproc.hpp>

namespace boneage {
namespace {

using testing::PaddedImage;

template <class P>
PaddedImage<uint8_t> mask_of(const PaddedImage<P>& src, P limit, int threads) {
    Workers workers(threads);
    PaddedImage<uint8_t> mask(src.view().height, src.view().width, 3);
    threshold<P>(workers, one<const P>(src.view()), one(mask.view()), limit);
    mask.check_padding();
    return mask;
}

template <class P>
class ThresholdTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t, float>;
TYPED_TEST_SUITE(ThresholdTest, PixelTypes);

TYPED_TEST(ThresholdTest, equals_opencv) {
    for (const int threads : {1, 2, 4}) {
        for (const auto& [height, width] : testing::awkward_sizes()) {
            auto src = testing::random_image<TypeParam>(height, width, 9, 0, 9);
            for (const int limit : {0, 4, 9}) {
                const cv::Mat want = src.mat() > limit;
                testing::expect_equal<uint8_t>(mask_of<TypeParam>(src, static_cast<TypeParam>(limit), threads).view(),
                                               want, "limit " + std::to_string(limit));
            }
        }
    }
}

TEST(ThresholdFloatTest, is_strict_and_takes_nan_for_background) {
    PaddedImage<float> src(1, 4);
    const float limit = 0.3F;
    const std::array<float, 4> values{limit, std::nextafterf(limit, 1.0F), std::numeric_limits<float>::quiet_NaN(),
                                      std::numeric_limits<float>::infinity()};
    std::copy(values.begin(), values.end(), src.view().data);
    const auto mask = mask_of(src, limit, 1);
    const std::array<uint8_t, 4> want{0, 255, 0, 255};
    for (size_t x = 0; x < want.size(); ++x) {
        EXPECT_EQ(mask.view().at(0, static_cast<int64_t>(x)), want[x]) << "value " << values[x];
    }
}

TEST(ThresholdFloatTest, logits_against_a_logit_equal_sigmoids_against_a_probability) {
    for (const float probability : {0.1F, 0.5F, 0.73F, 0.99F}) {
        for (int step = 0; step < 1168; ++step) {
            const float z = -8.0F + 0.0137F * static_cast<float>(step);
            const double sigmoid = 1.0 / (1.0 + std::exp(-static_cast<double>(z)));
            if (std::abs(sigmoid - static_cast<double>(probability)) > 1e-7) {
                EXPECT_EQ(z > logit(probability), sigmoid > static_cast<double>(probability)) << "logit " << z;
            }
        }
    }
    EXPECT_EQ(logit(0.5F), 0.0F);
    EXPECT_EQ(logit(0.0F), -std::numeric_limits<float>::infinity());
    EXPECT_EQ(logit(1.0F), std::numeric_limits<float>::infinity());
}

TEST(ThresholdAliasTest, works_in_place) {
    auto image = testing::random_image<uint8_t>(31, 33, 1);
    const cv::Mat want = image.mat() > 100;
    Workers workers(2);
    threshold<uint8_t>(workers, one<const uint8_t>(image.view()), one(image.view()), 100);
    testing::expect_equal<uint8_t>(image.view(), want, "in place");
}

}  // namespace
}  // namespace boneage
