#include "kernels/image/threshold.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::TwinBatch;

template <class P>
class ThresholdDeviceTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(ThresholdDeviceTest, PixelTypes);

TYPED_TEST(ThresholdDeviceTest, equals_the_cpu_twin_on_a_batch_of_awkward_sizes) {
    Stream stream;
    Workers workers(1);
    const testing::Sizes sizes = testing::sizes_with_an_empty_one();
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        TwinBatch<TypeParam> src(stream, sizes, layout);
        TwinBatch<uint8_t> dst(stream, sizes, layout);
        // Few levels, so that many pixels equal the limit.
        src.fill([](int64_t h, int64_t w, size_t i) { return testing::random_image<TypeParam>(h, w, i, 100, 103); });
        for (const TypeParam limit : {TypeParam{0}, TypeParam{101}, std::numeric_limits<TypeParam>::max()}) {
            threshold<TypeParam>(stream, src.const_device(), dst.device(), limit);
            threshold<TypeParam>(workers, src.const_host(), dst.host(), limit);
            dst.expect_twins_equal("limit " + std::to_string(limit));
        }
    }
}

TEST(ThresholdDeviceTest, works_in_place_on_bytes) {
    Stream stream;
    Workers workers(1);
    TwinBatch<uint8_t> image(stream, testing::awkward_sizes(), testing::kRowLayouts[0]);
    image.fill_random(5);
    threshold<uint8_t>(stream, image.const_device(), image.device(), 128);
    threshold<uint8_t>(workers, image.const_host(), image.host(), 128);
    image.expect_twins_equal("in place");
}

TEST(ThresholdDeviceTest, compares_logits_strictly_and_calls_nan_background) {
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    Stream stream;
    Workers workers(1);
    const testing::Sizes sizes = testing::sizes_with_an_empty_one();
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        TwinBatch<float> src(stream, sizes, layout);
        TwinBatch<uint8_t> dst(stream, sizes, layout);
        src.fill([&](int64_t h, int64_t w, size_t i) {
            const float values[] = {-kInfinity, -1.0F, -0.0F, 0.0F, 1e-30F, 2.0F, kInfinity, kNan};
            testing::PaddedImage<float> image(h, w);
            Rng rng(i);
            for (int64_t p = 0; p < h * w; ++p) {
                image.view().at(p / w, p % w) = values[rng.next_u32() % 8];
            }
            return image;
        });
        for (const float limit : {-kInfinity, 0.0F, 1.0F, kInfinity}) {
            threshold<float>(stream, src.const_device(), dst.device(), limit);
            threshold<float>(workers, src.const_host(), dst.host(), limit);
            dst.expect_twins_equal("limit " + std::to_string(limit));
        }
    }
}

}  // namespace
}  // namespace boneage
