#include "kernels/image/normalise.h"
#include "tests/support/device_tensors.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::DeviceTensor;
using testing::OwnedTensor;
using testing::TwinBatch;

constexpr NormaliseParams kImageNet{{0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F}};

template <class P, class T>
void expect_twins_equal(Stream& stream, int64_t height, int64_t width, int64_t channels, const testing::RowLayout& rows,
                        const testing::PixelLayout& tensor) {
    Workers workers(1);
    // The whole slice, nothing, one pixel, odd and even margins.
    const testing::Sizes sizes{{height, width}, {0, 0}, {1, 1}, {height - 3, width - 4}, {height, 5}, {2, width - 1}};
    TwinBatch<P> src(stream, sizes, rows);
    src.fill_random(3);
    OwnedTensor<T> want({src.count(), height, width, channels});
    DeviceTensor<T> dst(stream, want.shape(), tensor);
    normalise<P, T>(workers, src.const_host(), want.tensor(), kImageNet);
    normalise<P, T>(stream, src.const_device(), dst.tensor(), kImageNet);
    testing::expect_same(dst.download(), want, std::to_string(channels) + " channels");
}

template <class P>
class NormaliseDeviceTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(NormaliseDeviceTest, PixelTypes);

TYPED_TEST(NormaliseDeviceTest, equals_the_cpu_twin_in_every_type_and_number_of_channels) {
    Stream stream;
    for (const int64_t channels : {1, 2, 3}) {
        for (const testing::RowLayout& rows : testing::kRowLayouts) {
            expect_twins_equal<TypeParam, float>(stream, 40, 64, channels, rows, {});
            expect_twins_equal<TypeParam, bfloat16>(stream, 40, 64, channels, rows, {});
        }
    }
}

TYPED_TEST(NormaliseDeviceTest, writes_rows_that_no_vector_store_may_assume_aligned) {
    Stream stream;
    for (const int64_t channels : {1, 2, 3}) {
        expect_twins_equal<TypeParam, float>(stream, 33, 301, channels, testing::kRowLayouts[0], {0, 1});
        expect_twins_equal<TypeParam, bfloat16>(stream, 33, 301, channels, testing::kRowLayouts[0], {0, 1});
        expect_twins_equal<TypeParam, bfloat16>(stream, 33, 296, channels, testing::kRowLayouts[1], {0, 3});
    }
}

TEST(NormaliseDeviceTest, every_value_of_a_byte_is_normalised_as_on_the_cpu) {
    Stream stream;
    Workers workers(1);
    TwinBatch<uint8_t> src(stream, {{16, 16}}, testing::kRowLayouts[0]);
    src.fill([](int64_t h, int64_t w, size_t) {
        testing::PaddedImage<uint8_t> image(h, w);
        for (int64_t p = 0; p < h * w; ++p) {
            image.view().at(p / w, p % w) = static_cast<uint8_t>(p);
        }
        return image;
    });
    OwnedTensor<float> want({1, 16, 16, 3});
    DeviceTensor<float> dst(stream, want.shape());
    normalise<uint8_t, float>(workers, src.const_host(), want.tensor(), kImageNet);
    normalise<uint8_t, float>(stream, src.const_device(), dst.tensor(), kImageNet);
    testing::expect_same(dst.download(), want, "256 values");
}

}  // namespace
}  // namespace boneage
