#include "engine/io/image_file.h"
#include "kernels/base/error.h"
#include "tests/support/images.h"
#include "tests/support/png_files.h"

#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <png.h>

namespace boneage::io {
namespace {

using boneage::testing::expect_equal;
using boneage::testing::FileData;
using boneage::testing::libpng_file;
using boneage::testing::PngKind;

uint32_t grey(uint32_t r, uint32_t g, uint32_t b) {
    return static_cast<uint32_t>((uint64_t{9798} * r + uint64_t{19235} * g + uint64_t{3735} * b + 16384) >> 15);
}

// Samples of a picture with flat, smooth and noisy parts, so that every filter gets its chance.
std::vector<uint16_t> random_samples(const PngKind& kind, int64_t height, int64_t width, uint32_t values,
                                     uint64_t seed) {
    Rng rng(seed);
    std::vector<uint16_t> samples;
    for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) {
            for (int c = 0; c < kind.channels(); ++c) {
                const auto slope = static_cast<uint32_t>(3 * x + 5 * y + 40 * c) * (values / 256 + 1);
                const uint32_t noise = rng.next_u32();
                samples.push_back(static_cast<uint16_t>((y / 8 % 3 == 0 ? noise : slope + noise % 3) % values));
            }
        }
    }
    return samples;
}

std::vector<uint8_t> random_palette(int64_t entries) {
    Rng rng(5);
    std::vector<uint8_t> palette(static_cast<size_t>(3 * entries));
    for (uint8_t& v : palette) {
        v = static_cast<uint8_t>(rng.next_u32());
    }
    return palette;
}

// The grey picture that image_file.h promises, computed from the samples.
cv::Mat expected(const PngKind& kind, int64_t height, int64_t width, const std::vector<uint16_t>& samples,
                 const std::vector<uint8_t>& palette) {
    cv::Mat image(static_cast<int>(height), static_cast<int>(width), kind.depth == 16 ? CV_16UC1 : CV_8UC1);
    for (int64_t i = 0; i < height * width; ++i) {
        const uint16_t* s = samples.data() + i * kind.channels();
        uint32_t value = s[0];
        if (kind.colour == PNG_COLOR_TYPE_PALETTE) {
            const uint8_t* rgb = palette.data() + 3 * s[0];
            value = grey(rgb[0], rgb[1], rgb[2]);
        } else if (kind.channels() >= 3) {
            value = grey(s[0], s[1], s[2]);
        } else if (kind.depth < 8) {
            value = s[0] * 255U / ((1U << kind.depth) - 1);
        }
        if (kind.depth == 16) {
            image.ptr<uint16_t>()[i] = static_cast<uint16_t>(value);
        } else {
            image.ptr<uint8_t>()[i] = static_cast<uint8_t>(value);
        }
    }
    return image;
}

void expect_decoded(const DecodedImage& got, const cv::Mat& want, const std::string& what) {
    if (want.type() == CV_16UC1) {
        expect_equal<uint16_t>(std::get<HostImage<uint16_t>>(got.pixels).view(), want, what);
    } else {
        expect_equal<uint8_t>(std::get<HostImage<uint8_t>>(got.pixels).view(), want, what);
    }
}

const std::vector<PngKind>& all_kinds() {
    static const std::vector<PngKind> kinds = [] {
        std::vector<PngKind> made;
        for (const auto& [colour, depths] : std::vector<std::pair<int, std::vector<int>>>{
                 {0, {1, 2, 4, 8, 16}}, {2, {8, 16}}, {3, {1, 2, 4, 8}}, {4, {8, 16}}, {6, {8, 16}}}) {
            for (const int depth : depths) {
                for (const bool interlaced : {false, true}) {
                    made.push_back({depth, colour, interlaced});
                }
            }
        }
        return made;
    }();
    return kinds;
}

TEST(png, reads_every_kind_with_every_filter) {
    ImageDecoder decoder;  // one for all, so that what a file leaves behind would show in the next
    DecodedImage image;
    for (PngKind kind : all_kinds()) {
        for (const int filters :
             {0, PNG_FILTER_NONE, PNG_FILTER_SUB, PNG_FILTER_UP, PNG_FILTER_AVG, PNG_FILTER_PAETH, PNG_ALL_FILTERS}) {
            for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{
                     {1, 1}, {1, 9}, {9, 1}, {2, 3}, {5, 4}, {15, 16}, {16, 15}, {17, 33}, {47, 61}, {130, 67}}) {
                kind.filters = filters;
                kind.compressed_part = width % 2 == 0 ? 11 : 8192;
                const uint32_t values = 1U << kind.depth;
                const std::vector<uint16_t> samples = random_samples(kind, height, width, values, 3);
                const std::vector<uint8_t> palette = random_palette(values > 256 ? 0 : values);
                const FileData file = libpng_file(kind, height, width, samples, palette);
                decoder.decode(file, "made.png", image);
                expect_decoded(image, expected(kind, height, width, samples, palette),
                               "colour " + std::to_string(kind.colour) + ", depth " + std::to_string(kind.depth) +
                                   (kind.interlaced ? ", interlaced" : "") + ", filters " + std::to_string(filters) +
                                   ", " + std::to_string(width) + "x" + std::to_string(height));
                EXPECT_EQ(image.format, ImageFormat::png);
                EXPECT_EQ(image.bit_depth, kind.depth);
                EXPECT_EQ(image.channels, kind.colour == 3 ? 3 : kind.channels());
                EXPECT_EQ(image.orientation, 1);
            }
        }
    }
}

TEST(png, reads_very_long_and_very_wide_pictures) {
    for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 20000}, {20000, 1}}) {
        for (PngKind kind : all_kinds()) {
            kind.filters = PNG_ALL_FILTERS;
            const uint32_t values = 1U << kind.depth;
            const std::vector<uint16_t> samples = random_samples(kind, height, width, values, 7);
            const std::vector<uint8_t> palette = random_palette(values > 256 ? 0 : values);
            expect_decoded(decode_image(libpng_file(kind, height, width, samples, palette), "long.png"),
                           expected(kind, height, width, samples, palette), "long");
        }
    }
}

TEST(png, equal_channels_give_exactly_their_value) {
    for (const int depth : {8, 16}) {
        const int64_t values = int64_t{1} << depth;
        std::vector<uint16_t> samples;
        for (int64_t v = 0; v < values; ++v) {
            samples.insert(samples.end(), 3, static_cast<uint16_t>(v));
        }
        const DecodedImage image = decode_image(libpng_file({depth, 2}, values / 256, 256, samples, {}), "grey.png");
        std::visit(
            [&](const auto& pixels) {
                for (int64_t v = 0; v < values; ++v) {
                    ASSERT_EQ(pixels.view().at(v / 256, v % 256), v);
                }
            },
            image.pixels);
    }
}

TEST(png, eight_bit_colours_become_the_grey_of_opencvs_conversion) {
    const PngKind kind{8, 2};
    const std::vector<uint16_t> samples = random_samples(kind, 60, 70, 256, 11);
    const FileData file = libpng_file(kind, 60, 70, samples, {});
    cv::Mat want;
    cv::cvtColor(cv::imdecode(file, cv::IMREAD_UNCHANGED), want, cv::COLOR_BGR2GRAY);
    expect_decoded(decode_image(file, "colour.png"), want, "cv::cvtColor");
}

TEST(png, equals_opencv_on_the_sample_radiographs) {
    for (const char* id : {"1381", "2050", "2982", "3736", "3766", "3830", "4099", "4332", "8579"}) {
        const std::string path = std::string(BONEAGE_TEST_DATA "/radiographs/") + id + ".png";
        expect_decoded(decode_image(path), cv::imread(path, cv::IMREAD_UNCHANGED), path);
    }
}

}  // namespace
}  // namespace boneage::io
