#include "kernels/image/overlay.h"

#include "kernels/base/error.h"
#include "tests/support/images.h"

namespace boneage {
namespace {

using testing::PaddedImage;

template <class P>
class OverlayTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(OverlayTest, PixelTypes);

TYPED_TEST(OverlayTest, equals_opencv_copying_through_a_mask) {
    for (const int threads : {1, 2, 4}) {
        Workers workers(threads);
        for (const auto& [height, width] : testing::awkward_sizes()) {
            auto src = testing::random_image<TypeParam>(height, width, 1);
            auto mask = testing::random_image<uint8_t>(height, width, 2, 0, 3);  // any value but 0 keeps
            for (const TypeParam background : {TypeParam{0}, TypeParam{200}}) {
                PaddedImage<TypeParam> dst(height, width, 1);
                overlay<TypeParam>(workers, one<const TypeParam>(src.view()), one<const uint8_t>(mask.view()),
                                   one(dst.view()), background);
                cv::Mat want(src.mat().size(), src.mat().type(), cv::Scalar(background));
                src.mat().copyTo(want, mask.mat());
                testing::expect_equal<TypeParam>(dst.view(), want, "overlay");
                dst.check_padding();
                overlay<TypeParam>(workers, one<const TypeParam>(src.view()), one<const uint8_t>(mask.view()),
                                   one(src.view()), background);
                testing::expect_equal<TypeParam>(src.view(), want, "overlay in place");
            }
        }
    }
}

TYPED_TEST(OverlayTest, refuses_a_mask_of_another_size) {
    Workers workers(1);
    PaddedImage<TypeParam> image(4, 4);
    const PaddedImage<uint8_t> mask(4, 5);
    const auto view = image.view();
    EXPECT_THROW(overlay<TypeParam>(workers, one<const TypeParam>(view), one(mask.view()), one(view), 0),
                 ContractError);
}

}  // namespace
}  // namespace boneage
