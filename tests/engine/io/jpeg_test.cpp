#include "engine/io/exif.h"
#include "engine/io/image_file.h"
#include "kernels/base/error.h"
#include "tests/support/images.h"

#include <cstdio>
#include <cstring>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

// jpeglib.h needs <cstdio> before it.
#include <jpeglib.h>

namespace boneage::io {
namespace {

using boneage::testing::expect_equal;
using boneage::testing::smooth_image;
using FileData = std::vector<uint8_t>;

struct JpegKind {
    J_COLOR_SPACE pixels = JCS_GRAYSCALE;
    J_COLOR_SPACE stored = JCS_GRAYSCALE;
    int channels = 1;
    bool progressive = false;
    bool adobe = false;
    FileData app1;
};

// What libjpeg writes for `pixels`, [height, width, channels], at quality 95 and without subsampling.
FileData jpeg_file(const JpegKind& kind, int64_t height, int64_t width, std::vector<uint8_t> pixels) {
    jpeg_compress_struct c{};
    jpeg_error_mgr errors{};
    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    unsigned char* memory = nullptr;
    unsigned long size = 0;
    jpeg_mem_dest(&c, &memory, &size);
    c.image_width = static_cast<JDIMENSION>(width);
    c.image_height = static_cast<JDIMENSION>(height);
    c.input_components = kind.channels;
    c.in_color_space = kind.pixels;
    jpeg_set_defaults(&c);
    jpeg_set_colorspace(&c, kind.stored);
    jpeg_set_quality(&c, 95, TRUE);
    for (int i = 0; i < c.num_components; ++i) {
        c.comp_info[i].h_samp_factor = 1;
        c.comp_info[i].v_samp_factor = 1;
    }
    if (kind.progressive) {
        jpeg_simple_progression(&c);
    }
    c.write_Adobe_marker = kind.adobe ? TRUE : FALSE;
    jpeg_start_compress(&c, TRUE);
    if (!kind.app1.empty()) {
        jpeg_write_marker(&c, JPEG_APP0 + 1, kind.app1.data(), static_cast<unsigned>(kind.app1.size()));
    }
    while (c.next_scanline < c.image_height) {
        JSAMPROW row =
            pixels.data() + static_cast<size_t>(c.next_scanline) * static_cast<size_t>(width * kind.channels);
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    FileData file(memory, memory + size);
    jpeg_destroy_compress(&c);
    std::free(memory);
    return file;
}

std::vector<uint8_t> smooth_pixels(int64_t height, int64_t width, int channels) {
    const auto wide = smooth_image<uint8_t>(height, width * channels, 9);
    std::vector<uint8_t> pixels;
    for (int64_t y = 0; y < height; ++y) {
        pixels.insert(pixels.end(), wide.view().row(y), wide.view().row(y) + width * channels);
    }
    return pixels;
}

const Image<uint8_t, Host> bytes_of(const DecodedImage& image) {
    return std::get<HostImage<uint8_t>>(image.pixels).view();
}

// APP1 as cameras write it, in either byte order; the entry before the orientation must be skipped.
FileData exif(int orientation, bool big) {
    FileData data{'E', 'x', 'i', 'f', 0, 0};
    const auto put = [&](uint32_t value, int bytes) {
        for (int i = 0; i < bytes; ++i) {
            data.push_back(static_cast<uint8_t>(value >> (8 * (big ? bytes - 1 - i : i))));
        }
    };
    put(big ? 0x4d4d : 0x4949, 2);
    put(42, 2);
    put(8, 4);
    put(2, 2);
    put(0x0100, 2);
    put(4, 2);
    put(1, 4);
    put(640, 4);
    put(0x0112, 2);
    put(3, 2);
    put(1, 4);
    put(static_cast<uint32_t>(orientation), 2);
    put(0, 2);
    put(0, 4);
    return data;
}

TEST(jpeg, grey_and_luma_equal_opencvs) {
    for (const bool progressive : {false, true}) {
        for (const auto& [height, width] : boneage::testing::awkward_sizes()) {
            for (const JpegKind& kind : {JpegKind{JCS_GRAYSCALE, JCS_GRAYSCALE, 1, progressive, false, {}},
                                         JpegKind{JCS_RGB, JCS_YCbCr, 3, progressive, false, {}}}) {
                const FileData file = jpeg_file(kind, height, width, smooth_pixels(height, width, kind.channels));
                const DecodedImage image = decode_image(file, "made.jpg");
                expect_equal<uint8_t>(bytes_of(image), cv::imdecode(file, cv::IMREAD_GRAYSCALE), "OpenCV");
                EXPECT_EQ(image.format, ImageFormat::jpeg);
                EXPECT_EQ(image.channels, kind.channels);
            }
        }
    }
}

TEST(jpeg, stored_rgb_becomes_grey_by_the_formula) {
    const FileData file = jpeg_file({JCS_RGB, JCS_RGB, 3, false, true, {}}, 40, 50, smooth_pixels(40, 50, 3));
    cv::Mat want;
    cv::cvtColor(cv::imdecode(file, cv::IMREAD_COLOR), want, cv::COLOR_BGR2GRAY);
    expect_equal<uint8_t>(bytes_of(decode_image(file, "rgb.jpg")), want, "cv::cvtColor");
}

TEST(jpeg, inks_become_grey_whichever_way_they_are_stored) {
    // Flat blocks at quality 95 come back within a level or two: dark blue in both conventions.
    const auto flat = [](std::initializer_list<uint8_t> inks) {
        std::vector<uint8_t> pixels;
        for (int i = 0; i < 64; ++i) {
            pixels.insert(pixels.end(), inks);
        }
        return pixels;
    };
    for (const J_COLOR_SPACE stored : {JCS_CMYK, JCS_YCCK}) {
        // C 200 M 100 Y 50 K 55 of 255; Adobe stores 255 minus that. Light = (255-C)*(255-K)/255 and so on.
        const double want = 0.299 * (55 * 200 / 255.0) + 0.587 * (155 * 200 / 255.0) + 0.114 * (205 * 200 / 255.0);
        const FileData inverted = jpeg_file({JCS_CMYK, stored, 4, false, true, {}}, 8, 8, flat({55, 155, 205, 200}));
        EXPECT_NEAR(bytes_of(decode_image(inverted, "adobe.jpg")).at(4, 4), want, 3);
        if (stored == JCS_CMYK) {
            const FileData plain = jpeg_file({JCS_CMYK, stored, 4, false, false, {}}, 8, 8, flat({200, 100, 50, 55}));
            EXPECT_NEAR(bytes_of(decode_image(plain, "plain.jpg")).at(4, 4), want, 3);
        }
    }
}

TEST(jpeg, is_turned_upright_as_opencv_does) {
    for (int orientation = 1; orientation <= 8; ++orientation) {
        for (const bool big : {false, true}) {
            const FileData file = jpeg_file({JCS_GRAYSCALE, JCS_GRAYSCALE, 1, false, false, exif(orientation, big)}, 70,
                                            131, smooth_pixels(70, 131, 1));
            const DecodedImage image = decode_image(file, "turned.jpg");
            expect_equal<uint8_t>(bytes_of(image), cv::imdecode(file, cv::IMREAD_GRAYSCALE),
                                  "orientation " + std::to_string(orientation));
            EXPECT_EQ(image.orientation, orientation);
        }
    }
}

TEST(exif, damaged_notes_name_no_orientation) {
    const FileData good = exif(6, false);
    EXPECT_EQ(exif_orientation(good), 6);
    EXPECT_EQ(exif_orientation(exif(9, false)), 0);
    EXPECT_EQ(exif_orientation({}), 0);
    for (size_t size = 0; size + 4 < good.size(); ++size) {
        const int orientation = exif_orientation(FileBytes(good).first(size));
        EXPECT_TRUE(orientation == 0 || orientation == 6) << size;
    }
    FileData far = good;
    far[6 + 4] = 0xff;
    far[6 + 7] = 0xff;
    EXPECT_EQ(exif_orientation(far), 0);
}

}  // namespace
}  // namespace boneage::io
