#include "kernels/image/polarity.h"

#include "kernels/base/error.h"
#include "tests/support/images.h"

#include <filesystem>
#include <opencv2/imgcodecs.hpp>

namespace boneage {
namespace {

using testing::expect_equal;
using testing::PaddedImage;

template <class P>
uint8_t guess(Image<const P, Host> image, int threads) {
    Workers workers(threads);
    uint8_t inverted = 77;
    HostScratch scratch;
    find_inverted<P>(workers, one(image), {&inverted, 1}, scratch.bytes(find_inverted_scratch_bytes(1)));
    return inverted;
}

template <class P>
class PolarityTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(PolarityTest, PixelTypes);

TYPED_TEST(PolarityTest, invert_subtracts_from_the_largest_value) {
    for (const auto& [height, width] : testing::awkward_sizes()) {
        auto src = testing::random_image<TypeParam>(height, width, 3);
        PaddedImage<TypeParam> dst(height, width, 2);
        for (const int threads : {1, 3}) {
            Workers workers(threads);
            invert<TypeParam>(workers, one<const TypeParam>(src.view()), one(dst.view()), {});
            const cv::Mat want = cv::Scalar(std::numeric_limits<TypeParam>::max()) - src.mat();
            expect_equal<TypeParam>(dst.view(), want, "inverted");
            dst.check_padding();
        }
    }
}

TYPED_TEST(PolarityTest, invert_obeys_the_flag_of_each_image_and_works_in_place) {
    Workers workers(1);
    auto a = testing::random_image<TypeParam>(9, 21, 1);
    auto b = testing::random_image<TypeParam>(30, 4, 2);
    const cv::Mat a_before = a.mat().clone();
    const cv::Mat b_inverted = cv::Scalar(std::numeric_limits<TypeParam>::max()) - b.mat();
    const Image<TypeParam, Host> views[] = {a.view(), b.view()};
    const Image<const TypeParam, Host> const_views[] = {a.view(), b.view()};
    const uint8_t flags[] = {0, 1};
    invert<TypeParam>(workers, {const_views, 2, 30, 21}, {views, 2, 30, 21}, {flags, 2});
    expect_equal<TypeParam>(a.view(), a_before, "not flagged");
    expect_equal<TypeParam>(b.view(), b_inverted, "flagged");
}

TYPED_TEST(PolarityTest, a_bright_middle_is_upright_and_its_negative_is_not) {
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{40, 30}, {101, 99}, {300, 200}}) {
        PaddedImage<TypeParam> image(height, width);
        for (int64_t y = 0; y < height; ++y) {
            for (int64_t x = 0; x < width; ++x) {
                const bool middle = y > height / 4 && x > width / 4 && x < width - width / 4;
                image.view().at(y, x) = middle ? 200 : 10;
            }
        }
        EXPECT_EQ(guess<TypeParam>(image.view(), 1), 0);
        Workers workers(2);
        invert<TypeParam>(workers, one<const TypeParam>(image.view()), one(image.view()), {});
        EXPECT_EQ(guess<TypeParam>(image.view(), 1), 1);
        EXPECT_EQ(guess<TypeParam>(image.view(), 4), 1);
    }
}

TYPED_TEST(PolarityTest, tiny_and_constant_images_are_left_alone) {
    for (const auto& [height, width] : testing::awkward_sizes()) {
        const auto image = testing::random_image<TypeParam>(height, width, 1, 9, 9);
        EXPECT_EQ(guess<TypeParam>(image.view(), 2), 0) << height << "x" << width;
    }
    EXPECT_THROW(guess<TypeParam>(Image<const TypeParam, Host>{}, 1), ContractError);
}

TEST(PolarityOnRadiographs, samples_are_upright_and_their_negatives_are_not) {
    int compared = 0;
    for (const auto& entry : std::filesystem::directory_iterator(BONEAGE_TEST_DATA "/radiographs")) {
        if (entry.path().extension() == ".png") {
            cv::Mat image = cv::imread(entry.path().string(), cv::IMREAD_GRAYSCALE);
            EXPECT_EQ(guess<uint8_t>({image.data, image.rows, image.cols}, 1), 0) << entry.path();
            cv::Mat negative = 255 - image;
            EXPECT_EQ(guess<uint8_t>({negative.data, negative.rows, negative.cols}, 1), 1) << entry.path();
            ++compared;
        }
    }
    EXPECT_GE(compared, 6);
}

}  // namespace
}  // namespace boneage
