#include "kernels/image/overlay.h"
#include "kernels/image/sharpen.h"
#include "tests/support/twin_batch.h"

namespace boneage {
namespace {

using testing::TwinBatch;

template <class P>
class SharpenDeviceTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(SharpenDeviceTest, PixelTypes);

TYPED_TEST(SharpenDeviceTest, equals_the_cpu_twin_on_a_batch_of_awkward_sizes) {
    Stream stream;
    Workers workers(1);
    testing::Sizes sizes = testing::awkward_sizes();
    sizes.insert(sizes.end(), {{5, 512}, {4, 513}, {33, 1040}});  // more than a warp's columns
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
              SharpenParams{SharpenKernel::unsharp, 0.3F}, SharpenParams{SharpenKernel::unsharp, 0.25F},
              SharpenParams{SharpenKernel::unsharp, 12.5F}, SharpenParams{SharpenKernel::unsharp, -1.75F}}) {
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

TYPED_TEST(SharpenDeviceTest, masking_in_the_same_pass_equals_sharpen_then_overlay_and_the_cpu_twin) {
    Stream stream;
    Workers workers(1);
    const testing::Sizes sizes = testing::sizes_with_an_empty_one();
    for (size_t layout = 0; layout < std::size(testing::kRowLayouts); ++layout) {
        // The mask's rows are laid out in another way than the image's.
        const auto& mask_layout = testing::kRowLayouts[(layout + 1) % std::size(testing::kRowLayouts)];
        TwinBatch<TypeParam> src(stream, sizes, testing::kRowLayouts[layout]);
        TwinBatch<uint8_t> mask(stream, sizes, mask_layout);
        TwinBatch<TypeParam> dst(stream, sizes, testing::kRowLayouts[layout]);
        TwinBatch<TypeParam> steps(stream, sizes, testing::kRowLayouts[layout]);
        src.fill_random(1);
        mask.fill([](int64_t h, int64_t w, size_t i) { return testing::random_image<uint8_t>(h, w, i + 9, 0, 1); });
        for (const SharpenParams& params :
             {SharpenParams{SharpenKernel::laplacian4, 0}, SharpenParams{SharpenKernel::laplacian8, 0},
              SharpenParams{SharpenKernel::unsharp, 0.3F}}) {
            for (const TypeParam background : {TypeParam{0}, TypeParam{201}}) {
                sharpen_masked<TypeParam>(stream, src.const_device(), mask.const_device(), dst.device(), params,
                                          background);
                sharpen_masked<TypeParam>(workers, src.const_host(), mask.const_host(), dst.host(), params, background);
                dst.expect_twins_equal("twins");
                sharpen<TypeParam>(stream, src.const_device(), steps.device(), params);
                overlay<TypeParam>(stream, steps.const_device(), mask.const_device(), steps.device(), background);
                for (size_t i = 0; i < sizes.size(); ++i) {
                    if (sizes[i].first > 0) {
                        testing::expect_equal<TypeParam>(dst.download(i).view(), steps.download(i).mat(),
                                                         "two passes, image " + std::to_string(i));
                    }
                }
            }
        }
    }
}

}  // namespace
}  // namespace boneage
