#include "engine/io/png_write.h"

#include "engine/io/image_file.h"
#include "kernels/base/error.h"
#include "tests/support/folder.h"
#include "tests/support/images.h"

#include <opencv2/imgcodecs.hpp>

namespace boneage::io {
namespace {

using boneage::testing::error_of;
using boneage::testing::expect_equal;
using boneage::testing::Folder;

template <class P>
class PngWriteTest : public ::testing::Test {};
using PixelTypes = ::testing::Types<uint8_t, uint16_t>;
TYPED_TEST_SUITE(PngWriteTest, PixelTypes);

TYPED_TEST(PngWriteTest, what_is_written_reads_back_here_and_in_opencv) {
    std::vector<std::pair<int64_t, int64_t>> sizes = boneage::testing::awkward_sizes();
    sizes.insert(sizes.end(), {{1, 20000}, {20000, 1}, {700, 900}});
    for (const auto& [height, width] : sizes) {
        for (const bool smooth : {false, true}) {
            auto image = smooth ? boneage::testing::smooth_image<TypeParam>(height, width, 3)
                                : boneage::testing::random_image<TypeParam>(height, width, 4);
            const std::vector<uint8_t> png = encode_png<TypeParam>(image.view());
            const DecodedImage decoded = decode_image(png, "written.png");
            expect_equal<TypeParam>(std::get<HostImage<TypeParam>>(decoded.pixels).view(), image.mat(), "ours");
            expect_equal<TypeParam>(image.view(), cv::imdecode(png, cv::IMREAD_UNCHANGED), "OpenCV");
        }
    }
}

TEST(png_write, colours_keep_their_order) {
    const std::vector<uint8_t> rgb{255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    const std::vector<uint8_t> png = encode_png(Tensor<const uint8_t, Host>(rgb.data(), 2, 3, 3));
    const cv::Mat bgr = cv::imdecode(png, cv::IMREAD_UNCHANGED);
    ASSERT_EQ(bgr.type(), CV_8UC3);
    for (int i = 0; i < 6; ++i) {
        for (int c = 0; c < 3; ++c) {
            EXPECT_EQ(bgr.at<cv::Vec3b>(i / 3, i % 3)[2 - c], rgb[static_cast<size_t>(3 * i + c)]);
        }
    }
}

TEST(png_write, files_that_cannot_be_written_are_a_sentence) {
    const Folder folder;
    auto image = boneage::testing::random_image<uint8_t>(5, 7, 1);
    const auto error = [&](const std::filesystem::path& path) {
        return error_of<Error>([&] { write_png<uint8_t>(path, image.view()); });
    };
    const std::filesystem::path nowhere = folder / "none/1.png";
    EXPECT_EQ(error(nowhere), nowhere.string() + " cannot be written: the folder " + nowhere.parent_path().string() +
                                  " does not exist; make it first");
    EXPECT_EQ(error(folder.path()), folder.path().string() + " cannot be written: Is a directory");
    EXPECT_EQ(error("/dev/full"), "/dev/full cannot be written: No space left on device");
    const std::filesystem::path good = folder / "1.png";
    write_png<uint8_t>(good, image.view());
    EXPECT_EQ(decode_image(good).width(), 7);
}

}  // namespace
}  // namespace boneage::io
