// Files that are cut, damaged or made to do harm: each is an InputError with a sentence, never half a picture, a crash,
// a hang or a flood of memory.
#include "engine/io/image_file.h"
#include "kernels/base/error.h"
#include "kernels/base/rng.h"
#include "tests/support/bmp_files.h"
#include "tests/support/folder.h"
#include "tests/support/png_files.h"

#include <gtest/gtest.h>
#include <opencv2/imgcodecs.hpp>

namespace boneage::io {
namespace {

using boneage::testing::bmp_file;
using boneage::testing::chunk;
using boneage::testing::data_chunk;
using boneage::testing::FileData;
using boneage::testing::Folder;
using boneage::testing::header_chunk;
using boneage::testing::libpng_file;
using boneage::testing::png_of;

constexpr DecodeLimits kSmall{1 << 22, 1 << 24};

// The code of the error that decoding ends with, "" when there is none.
std::string code_of(ImageDecoder& decoder, FileBytes file) {
    DecodedImage image;
    try {
        decoder.decode(file, "hostile.png", image);
    } catch (const InputError& error) {
        const std::string what = error.what();
        EXPECT_TRUE(what.starts_with("hostile.png ")) << what;
        EXPECT_EQ(what.find('\n'), std::string::npos) << what;
        return error.code();
    }
    return "";
}
std::string code_of(const FileData& file) {
    ImageDecoder decoder(kSmall);
    return code_of(decoder, file);
}

FileData encoded(const char* extension, int channels, const std::vector<int>& options = {}) {
    cv::Mat image(19, 23, CV_8UC(channels));
    Rng rng(1);
    for (int i = 0; i < 19 * 23 * channels; ++i) {
        image.data[i] = static_cast<uint8_t>(rng.next_u32() % 64 + static_cast<uint32_t>(i % 100));
    }
    FileData file;
    cv::imencode(extension, image, file, options);
    return file;
}

struct SmallFile {
    FileData bytes;
    size_t padding = 0;  // bytes at the end that carry no pixels
};

std::vector<SmallFile> small_files() {
    std::vector<SmallFile> files;
    for (const auto& [depth, colour] :
         std::vector<std::pair<int, int>>{{1, 0}, {8, 0}, {16, 0}, {8, 2}, {4, 3}, {16, 6}}) {
        for (const bool interlaced : {false, true}) {
            boneage::testing::PngKind kind{depth, colour, interlaced, 0, 40};
            std::vector<uint16_t> samples(static_cast<size_t>(11 * 9 * kind.channels()));
            for (size_t i = 0; i < samples.size(); ++i) {
                samples[i] = static_cast<uint16_t>((i * i / 3) % (size_t{1} << depth));
            }
            files.push_back({libpng_file(kind, 11, 9, samples, FileData(3 * 16, 77))});
        }
    }
    files.push_back({encoded(".jpg", 1)});
    files.push_back({encoded(".jpg", 3)});
    files.push_back({encoded(".jpg", 3, {cv::IMWRITE_JPEG_PROGRESSIVE, 1})});
    files.push_back({encoded(".jpg", 1, {cv::IMWRITE_JPEG_RST_INTERVAL, 2})});
    files.push_back({encoded(".bmp", 1), 1});
    files.push_back({encoded(".bmp", 4)});
    files.push_back({bmp_file({8, -3, 1, 40}), 3});
    files.push_back({bmp_file({8, 3, 4, 12})});
    return files;
}

TEST(hostile, a_file_cut_anywhere_is_truncated) {
    ImageDecoder decoder(kSmall);
    for (const auto& [file, padding] : small_files()) {
        EXPECT_EQ(code_of(decoder, file), "");
        for (size_t size = 0; size < file.size() - padding; ++size) {
            // A copy of its own, so that a read past the end is seen.
            const FileData cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
            ASSERT_EQ(code_of(decoder, cut), size == 0 ? "empty" : "truncated")
                << size << " of " << file.size() << " bytes, the first being " << int{file[0]};
        }
    }
}

TEST(hostile, flipped_bits_do_no_harm) {
    ImageDecoder decoder(kSmall);
    Rng rng(2026);
    int refused = 0;
    for (const auto& [file, padding] : small_files()) {
        const bool png = file[0] == 0x89;
        for (int round = 0; round < 1500; ++round) {
            FileData damaged = file;
            for (uint32_t flips = 1 + rng.next_u32() % 4; flips > 0; --flips) {
                damaged[rng.next_u32() % damaged.size()] ^= static_cast<uint8_t>(1U << (rng.next_u32() % 8));
            }
            // Half of the PNGs get checksums that are right, so that the damage reaches what lies behind them.
            if (png && round % 2 == 0) {
                boneage::testing::repair_checksums(damaged);
            }
            refused += code_of(decoder, damaged).empty() ? 0 : 1;
        }
    }
    EXPECT_GT(refused, 1000);
}

TEST(hostile, a_damaged_png_is_always_noticed) {
    const FileData file = libpng_file({8, 0, false, 0, 40}, 11, 9, std::vector<uint16_t>(99, 100), {});
    ImageDecoder decoder(kSmall);
    for (size_t at = 8; at < file.size(); ++at) {
        for (int bit = 0; bit < 8; ++bit) {
            FileData damaged = file;
            damaged[at] ^= static_cast<uint8_t>(1U << bit);
            ASSERT_NE(code_of(decoder, damaged), "") << "bit " << bit << " of byte " << at;
        }
    }
}

const FileData& end() {
    static const FileData part = chunk("IEND", {});
    return part;
}

TEST(hostile, png_parts_missing_repeated_or_out_of_order) {
    const FileData header = header_chunk(2, 2);
    const FileData rows = data_chunk({0, 1, 2, 0, 3, 4});
    EXPECT_EQ(code_of(png_of({header, rows, end()})), "");
    EXPECT_EQ(code_of(png_of({header, chunk("tEXt", {'a', 0, 'b'}), rows, chunk("tIME", {}), end()})), "");
    EXPECT_EQ(code_of(png_of({header, chunk("IDAT", {}), rows, chunk("IDAT", {}), end()})), "");
    FileData trailing = png_of({header, rows, end()});
    trailing.insert(trailing.end(), 100, 7);
    EXPECT_EQ(code_of(trailing), "");

    EXPECT_EQ(code_of(png_of({header, rows})), "truncated");
    EXPECT_EQ(code_of(png_of({header, end()})), "corrupt");
    EXPECT_EQ(code_of(png_of({header, chunk("IDAT", {}), end()})), "corrupt");
    EXPECT_EQ(code_of(png_of({rows, header, end()})), "corrupt");
    EXPECT_EQ(code_of(png_of({header, header, rows, end()})), "corrupt");
    EXPECT_EQ(code_of(png_of({header, rows, chunk("tEXt", {'a', 0}), rows, end()})), "corrupt");
    EXPECT_EQ(code_of(png_of({header, chunk("CgBI", {1, 2, 3, 4}), rows, end()})), "corrupt");
    EXPECT_EQ(code_of(png_of({end()})), "corrupt");
}

TEST(hostile, png_palettes_that_do_not_fit) {
    const FileData header = header_chunk(2, 1, 8, 3);
    const FileData palette = chunk("PLTE", {0, 0, 0, 9, 9, 9});
    EXPECT_EQ(code_of(png_of({header, palette, data_chunk({0, 0, 1}), end()})), "");
    EXPECT_EQ(code_of(png_of({header, palette, data_chunk({0, 0, 2}), end()})), "corrupt");
    EXPECT_EQ(code_of(png_of({header, data_chunk({0, 0, 1}), end()})), "corrupt");
    EXPECT_EQ(code_of(png_of({header, data_chunk({0, 0, 1}), palette, end()})), "corrupt");
    EXPECT_EQ(code_of(png_of({header, palette, palette, data_chunk({0, 0, 1}), end()})), "corrupt");
    EXPECT_EQ(code_of(png_of({header, chunk("PLTE", {}), data_chunk({0, 0, 1}), end()})), "corrupt");
    EXPECT_EQ(code_of(png_of({header, chunk("PLTE", {1, 2}), data_chunk({0, 0, 1}), end()})), "corrupt");
    EXPECT_EQ(code_of(png_of({header_chunk(2, 1, 1, 3), chunk("PLTE", FileData(9)), data_chunk({0, 0}), end()})),
              "corrupt");
}

TEST(hostile, png_headers_that_describe_nothing) {
    const auto code = [](const FileData& header) { return code_of(png_of({header, data_chunk({0, 1}), end()})); };
    EXPECT_EQ(code(header_chunk(1, 1)), "");
    EXPECT_EQ(code(header_chunk(0, 1)), "corrupt");
    EXPECT_EQ(code(header_chunk(1, 0)), "corrupt");
    EXPECT_EQ(code(header_chunk(1, 1, 3)), "corrupt");
    EXPECT_EQ(code(header_chunk(1, 1, 0)), "corrupt");
    EXPECT_EQ(code(header_chunk(1, 1, 32)), "corrupt");
    EXPECT_EQ(code(header_chunk(1, 1, 8, 1)), "corrupt");
    EXPECT_EQ(code(header_chunk(1, 1, 8, 7)), "corrupt");
    EXPECT_EQ(code(header_chunk(1, 1, 4, 2)), "corrupt");
    EXPECT_EQ(code(header_chunk(1, 1, 16, 3)), "corrupt");
    EXPECT_EQ(code(header_chunk(1, 1, 8, 0, 2)), "corrupt");
    EXPECT_EQ(code(chunk("IHDR", FileData(12))), "corrupt");
}

TEST(hostile, png_pixels_that_contradict_the_header) {
    const auto code = [](const FileData& rows) {
        return code_of(png_of({header_chunk(2, 2), data_chunk(rows), end()}));
    };
    EXPECT_EQ(code({0, 1, 2, 4, 3, 4}), "");
    EXPECT_EQ(code({0, 1, 2, 5, 3, 4}), "corrupt");
    EXPECT_EQ(code({255, 1, 2, 0, 3, 4}), "corrupt");
    EXPECT_EQ(code({0, 1, 2, 0, 3}), "corrupt");
    EXPECT_EQ(code({0, 1, 2, 0, 3, 4, 5}), "corrupt");
    EXPECT_EQ(code_of(png_of({header_chunk(2, 2), chunk("IDAT", FileData(30, 0x55)), end()})), "corrupt");
}

TEST(hostile, enormous_sizes_reserve_no_memory) {
    const FileData rows = data_chunk({0, 1});
    EXPECT_EQ(code_of(png_of({header_chunk(0x7fffffff, 0x7fffffff), rows, end()})), "too_large");
    EXPECT_EQ(code_of(png_of({header_chunk(0xffffffff, 0xffffffff, 16, 6), rows, end()})), "too_large");
    EXPECT_EQ(code_of(png_of({header_chunk(1, 1 << 23), rows, end()})), "too_large");
    // Within the limit, but no file that small can hold so many pixels.
    EXPECT_EQ(code_of(png_of({header_chunk(2048, 2048), rows, end()})), "corrupt");
    // A bomb: 8 MB of zeros in 8 kB, for a picture of one pixel.
    EXPECT_EQ(code_of(png_of({header_chunk(1, 1), data_chunk(FileData(8 << 20)), end()})), "corrupt");
    EXPECT_EQ(code_of(bmp_file({1, 1, 24, 40, 0})), "");
    FileData bmp = bmp_file({1, 1, 24, 40, 0});
    for (size_t i = 18; i < 26; ++i) {
        bmp[i] = i % 4 == 1 ? 0x7f : 0xff;
    }
    EXPECT_EQ(code_of(bmp), "too_large");
    FileData jpeg = encoded(".jpg", 1);
    const std::array<uint8_t, 4> start_of_frame{0xff, 0xc0, 0x00, 0x0b};
    const auto frame = std::search(jpeg.begin(), jpeg.end(), start_of_frame.begin(), start_of_frame.end());
    ASSERT_NE(frame, jpeg.end());
    std::fill_n(frame + 5, 4, uint8_t{0xf0});
    EXPECT_EQ(code_of(jpeg), "too_large");
}

TEST(hostile, bmp_headers_with_absurd_numbers) {
    const auto with = [](size_t at, std::initializer_list<uint8_t> bytes) {
        FileData file = bmp_file({4, 4, 8, 40, 0});
        std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(at));
        return code_of(file);
    };
    EXPECT_EQ(with(10, {0xff, 0xff, 0xff, 0xff}), "truncated");  // where the pixels begin
    EXPECT_EQ(with(10, {0, 0, 0, 0}), "corrupt");
    EXPECT_EQ(with(14, {41, 0, 0, 0}), "not_an_image");        // the second header's size
    EXPECT_EQ(with(18, {0, 0, 0, 0}), "corrupt");              // width
    EXPECT_EQ(with(18, {0xff, 0xff, 0xff, 0xff}), "corrupt");  // -1
    EXPECT_EQ(with(22, {0, 0, 0, 0x80}), "too_large");         // height: the most negative number
    EXPECT_EQ(with(28, {16, 0}), "unsupported");               // bits a pixel
    EXPECT_EQ(with(28, {7, 0}), "unsupported");
    EXPECT_EQ(with(30, {1, 0, 0, 0}), "unsupported");          // compression
    EXPECT_EQ(with(46, {0xff, 0xff, 0xff, 0xff}), "corrupt");  // colours in the palette
    EXPECT_EQ(with(46, {1, 0, 0, 0}), "corrupt");              // fewer than the pixels use
}

TEST(hostile, other_files_are_named_for_what_they_are) {
    const auto code = [](std::string_view text) { return code_of(FileData(text.begin(), text.end())); };
    EXPECT_EQ(code("id,sex\n1377,F\n"), "not_an_image");
    EXPECT_EQ(code("BMI 23, height 1.40 m, weight 45 kg"), "not_an_image");
    EXPECT_EQ(code("GIF89a............."), "unsupported");
    EXPECT_EQ(code(std::string_view("II*\0........", 12)), "unsupported");
    EXPECT_EQ(code("\xff\xd8"), "truncated");
    EXPECT_EQ(code(std::string(128, '\0') + "DICM...."), "unsupported");
}

TEST(hostile, paths_that_cannot_be_read) {
    const Folder folder;
    const auto code = [](const std::filesystem::path& path) {
        try {
            decode_image(path);
        } catch (const InputError& error) {
            EXPECT_TRUE(std::string(error.what()).starts_with(path.string() + " ")) << error.what();
            return error.code();
        }
        return std::string();
    };
    EXPECT_EQ(code(folder / "missing.png"), "unreadable");
    EXPECT_EQ(code(folder.path()), "unreadable");
    EXPECT_EQ(code("/dev/null"), "unreadable");
    EXPECT_EQ(code(folder.write("empty.png", "")), "empty");
    EXPECT_EQ(code(folder.write("text.png", "not a picture")), "not_an_image");
    const FileData jpeg = encoded(".jpg", 1);
    EXPECT_EQ(code(folder.write("really_a_jpeg.png", jpeg)), "");
    try {
        decode_image(folder / "really_a_jpeg.png", {int64_t{1} << 20, 10});
        ADD_FAILURE() << "a file above the limit was read";
    } catch (const InputError& error) {
        EXPECT_EQ(error.code(), "too_large");
    }
}

}  // namespace
}  // namespace boneage::io
