#include "engine/io/image_file.h"
#include "kernels/base/error.h"
#include "tests/support/images.h"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace boneage::io {
namespace {

using boneage::testing::expect_equal;

TEST(png, equals_opencv_on_the_sample_radiographs) {
    for (const char* id : {"1381", "2050", "2982", "3736", "3766", "3830", "4099", "4332", "8579"}) {
        const std::string path = std::string(BONEAGE_TEST_DATA "/radiographs/") + id + ".png";
        const DecodedImage image = decode_image(path);
        expect_equal<uint8_t>(std::get<HostImage<uint8_t>>(image.pixels).view(), cv::imread(path, cv::IMREAD_UNCHANGED),
                              path);
    }
}

}  // namespace
}  // namespace boneage::io
