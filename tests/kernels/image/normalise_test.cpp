#include "kernels/image/normalise.h"

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"
#include "tests/support/images.h"

#include <bit>

namespace boneage {
namespace {

using testing::PaddedImage;

constexpr NormaliseParams kImageNet{{0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F}};

template <class P>
class NormaliseTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(NormaliseTest, PixelTypes);

// Images of four sizes, one of them the whole canvas, in one call; every element against the formula written out.
TYPED_TEST(NormaliseTest, centres_each_image_and_fills_with_black) {
    constexpr int64_t kHeight = 33;
    constexpr int64_t kWidth = 48;
    const std::vector<std::pair<int64_t, int64_t>> sizes{{33, 48}, {1, 1}, {20, 48}, {32, 5}};
    std::vector<PaddedImage<TypeParam>> images;
    std::vector<Image<const TypeParam, Host>> views;
    for (const auto& [h, w] : sizes) {
        images.push_back(testing::random_image<TypeParam>(h, w, 3));
    }
    for (const auto& image : images) {
        views.push_back(image.view());
    }
    const int64_t n = static_cast<int64_t>(sizes.size());
    const float max = static_cast<float>(std::numeric_limits<TypeParam>::max());
    for (const int threads : {1, 2, 4}) {
        Workers workers(threads);
        for (const int64_t channels : {1, 2, 3}) {
            const Buffer<float, Host> single(n * kHeight * kWidth * channels);
            const Buffer<bfloat16, Host> half(single.size());
            const Batch<const TypeParam, Host> batch{views.data(), n, kHeight, kWidth};
            normalise<TypeParam, float>(workers, batch, {single.data(), n, kHeight, kWidth, channels}, kImageNet);
            normalise<TypeParam, bfloat16>(workers, batch, {half.data(), n, kHeight, kWidth, channels}, kImageNet);
            for (int64_t k = 0; k < single.size(); ++k) {
                const int64_t c = k % channels;
                const auto& image = views[static_cast<size_t>(k / channels / kWidth / kHeight)];
                const int64_t y = k / channels / kWidth % kHeight - (kHeight - image.height) / 2;
                const int64_t x = k / channels % kWidth - (kWidth - image.width) / 2;
                const bool inside = y >= 0 && y < image.height && x >= 0 && x < image.width;
                const volatile float scaled = (inside ? static_cast<float>(image.at(y, x)) : 0.0F) / max;
                const volatile float centred = scaled - kImageNet.mean[static_cast<size_t>(c)];
                const float want = centred / kImageNet.deviation[static_cast<size_t>(c)];
                ASSERT_EQ(single[k], want) << "element " << k;
                ASSERT_EQ(half[k].bits, to_bfloat16(want).bits) << "element " << k;
            }
        }
    }
}

// Bits of torchvision.transforms.functional.normalize(to_tensor(v), mean, std) under PyTorch 1.13, v = 0, 1, 100, 255.
TEST(NormaliseReferenceTest, equals_torchvision_bit_for_bit) {
    PaddedImage<uint8_t> image(1, 4);
    const std::array<uint8_t, 4> pixels{0, 1, 100, 255};
    std::copy(pixels.begin(), pixels.end(), image.view().data);
    Workers workers(1);
    const Buffer<float, Host> out(12);
    normalise<uint8_t, float>(workers, one<const uint8_t>(image.view()), {out.data(), 1, 1, 4, 3}, kImageNet);
    const std::array<uint32_t, 12> want{0xc0078bbd, 0xc0024924, 0xbfe6f809, 0xc006732b, 0xc0012a4f, 0xbfe4bcea,
                                        0xbecf9456, 0xbe91ed5a, 0xbd7c019d, 0x400fee1d, 0x401b6db7, 0x4028f5c3};
    for (size_t k = 0; k < want.size(); ++k) {
        EXPECT_EQ(std::bit_cast<uint32_t>(out[static_cast<int64_t>(k)]), want[k]) << "element " << k;
    }
}

TEST(NormaliseContractTest, refuses_what_does_not_fit) {
    Workers workers(1);
    const PaddedImage<uint8_t> image(4, 5);
    const Buffer<float, Host> out(1000);
    const auto call = [&](Tensor<float, Host> dst, const NormaliseParams& params) {
        normalise<uint8_t, float>(workers, one<const uint8_t>(image.view()), dst, params);
    };
    EXPECT_NO_THROW(call({out.data(), 1, 4, 5, 1}, {}));
    EXPECT_THROW(call({out.data(), 1, 3, 5, 1}, {}), ContractError) << "too low a canvas";
    EXPECT_THROW(call({out.data(), 1, 4, 4, 1}, {}), ContractError) << "too narrow a canvas";
    EXPECT_THROW(call({out.data(), 2, 4, 5, 1}, {}), ContractError) << "an image missing";
    EXPECT_THROW(call({out.data(), 1, 4, 5, 4}, {}), ContractError) << "four channels";
    EXPECT_THROW(call({out.data(), 1, 4, 5, 1}, {{0, 0, 0}, {0, 1, 1}}), ContractError) << "a deviation of 0";
}

}  // namespace
}  // namespace boneage
