#include "kernels/image/sharpen.h"
#include "tests/support/device_images.h"

namespace boneage {
namespace {

template <class P>
class SharpenDeviceTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(SharpenDeviceTest, PixelTypes);

TYPED_TEST(SharpenDeviceTest, equals_the_cpu_twin_on_a_batch_of_awkward_sizes) {
    Stream stream;
    Workers workers(1);
    const auto& sizes = testing::awkward_sizes();
    for (const testing::RowLayout& layout : testing::kRowLayouts) {
        testing::DeviceBatch<TypeParam> src(stream, sizes, layout.row_bytes, layout.offset_elements);
        testing::DeviceBatch<TypeParam> dst(stream, sizes, layout.row_bytes, layout.offset_elements);
        std::vector<testing::PaddedImage<TypeParam>> images;
        for (size_t i = 0; i < sizes.size(); ++i) {
            images.push_back(testing::random_image<TypeParam>(sizes[i].first, sizes[i].second, i));
            src.upload(i, images[i].view());
        }
        for (const SharpenParams& params :
             {SharpenParams{SharpenKernel::laplacian4, 0}, SharpenParams{SharpenKernel::laplacian8, 0},
              SharpenParams{SharpenKernel::unsharp, 0.3F}}) {
            sharpen<TypeParam>(stream, src.const_view(), dst.view(), params);
            for (size_t i = 0; i < sizes.size(); ++i) {
                testing::PaddedImage<TypeParam> want(sizes[i].first, sizes[i].second);
                sharpen<TypeParam>(workers, one<const TypeParam>(images[i].view()), one(want.view()), params);
                testing::expect_equal<TypeParam>(dst.download(i).view(), want.mat(), "image " + std::to_string(i));
            }
            dst.check_guards();
        }
    }
}

}  // namespace
}  // namespace boneage
