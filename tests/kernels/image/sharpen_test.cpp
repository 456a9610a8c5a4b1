#include "kernels/image/sharpen.h"

#include "kernels/base/error.h"
#include "tests/support/images.h"

#include <opencv2/imgproc.hpp>

namespace boneage {
namespace {

using testing::expect_equal;
using testing::PaddedImage;

template <class P>
cv::Mat reference(const cv::Mat& src, const SharpenParams& params) {
    cv::Mat dst;
    if (params.kernel == SharpenKernel::unsharp) {
        cv::Mat laplacian;
        cv::Mat wide;
        cv::Laplacian(src, laplacian, CV_32F, 3, 1, 0, cv::BORDER_REFLECT_101);
        src.convertTo(wide, CV_32F);
        cv::Mat sharp = wide - laplacian * params.amount;
        sharp.convertTo(dst, src.type());
        return dst;
    }
    const float corner = params.kernel == SharpenKernel::laplacian8 ? -1.0F : 0.0F;
    const float centre = params.kernel == SharpenKernel::laplacian8 ? 9.0F : 5.0F;
    const cv::Mat kernel = (cv::Mat_<float>(3, 3) << corner, -1, corner, -1, centre, -1, corner, -1, corner);
    cv::filter2D(src, dst, -1, kernel, {-1, -1}, 0, cv::BORDER_REFLECT_101);
    return dst;
}

template <class P>
class SharpenTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(SharpenTest, PixelTypes);

TYPED_TEST(SharpenTest, equals_opencv_on_awkward_sizes) {
    for (const int threads : {1, 2, 4}) {
        Workers workers(threads);
        for (const auto& [height, width] : testing::awkward_sizes()) {
            for (const SharpenParams& params :
                 {SharpenParams{SharpenKernel::laplacian4, 0}, SharpenParams{SharpenKernel::laplacian8, 0},
                  SharpenParams{SharpenKernel::unsharp, 0.25F}, SharpenParams{SharpenKernel::unsharp, 0.7F}}) {
                auto src = testing::random_image<TypeParam>(height, width, 7);
                PaddedImage<TypeParam> dst(height, width, 3);
                sharpen<TypeParam>(workers, one<const TypeParam>(src.view()), one(dst.view()), params);
                expect_equal<TypeParam>(dst.view(), reference<TypeParam>(src.mat(), params),
                                        "kernel " + std::to_string(static_cast<int>(params.kernel)));
                dst.check_padding();
            }
        }
    }
}

TYPED_TEST(SharpenTest, refuses_images_of_different_sizes) {
    Workers workers(1);
    PaddedImage<TypeParam> src(4, 4);
    PaddedImage<TypeParam> dst(4, 5);
    EXPECT_THROW(sharpen<TypeParam>(workers, one<const TypeParam>(src.view()), one(dst.view()), {}), ContractError);
}

}  // namespace
}  // namespace boneage
