#include "engine/io/image_file.h"
#include "kernels/base/error.h"
#include "tests/support/bmp_files.h"
#include "tests/support/images.h"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace boneage::io {
namespace {

using boneage::testing::bmp_file;
using boneage::testing::BmpKind;
using boneage::testing::expect_equal;
using boneage::testing::FileData;

Image<uint8_t, Host> bytes_of(const DecodedImage& image) {
    return std::get<HostImage<uint8_t>>(image.pixels).view();
}

TEST(bmp, reads_what_opencv_writes) {
    for (const auto& [height, width] : boneage::testing::awkward_sizes()) {
        for (const int channels : {1, 3, 4}) {
            auto wide = boneage::testing::random_image<uint8_t>(height, width * channels, 2);
            const cv::Mat pixels = wide.mat().clone().reshape(channels);
            FileData file;
            ASSERT_TRUE(cv::imencode(".bmp", pixels, file));
            cv::Mat want = pixels;
            if (channels > 1) {
                cv::cvtColor(pixels, want, channels == 3 ? cv::COLOR_BGR2GRAY : cv::COLOR_BGRA2GRAY);
            }
            const DecodedImage image = decode_image(file, "made.bmp");
            expect_equal<uint8_t>(bytes_of(image), want, std::to_string(channels) + " channels");
            EXPECT_EQ(image.format, ImageFormat::bmp);
        }
    }
}

TEST(bmp, reads_indices_of_every_depth_in_either_order_of_rows) {
    for (const int bits : {1, 4, 8}) {
        for (const bool top_down : {false, true}) {
            for (const int header : {12, 40, 108}) {
                if (header == 12 && top_down) {
                    continue;  // the old header knows no such thing
                }
                const int width = 13;
                const int height = 5;
                const FileData file = bmp_file({width, top_down ? -height : height, bits, header});
                const DecodedImage image = decode_image(file, "indices.bmp");
                ASSERT_EQ(image.width(), width);
                ASSERT_EQ(image.height(), height);
                for (int y = 0; y < height; ++y) {
                    for (int x = 0; x < width; ++x) {
                        EXPECT_EQ(bytes_of(image).at(y, x), BmpKind::grey((x + 3 * y) % (1 << bits)));
                    }
                }
            }
        }
    }
}

}  // namespace
}  // namespace boneage::io
