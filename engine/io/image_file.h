// Image files as grey pixels: PNG, JPEG and BMP, told apart by their content and never by their name.
#pragma once

#include "engine/io/file_bytes.h"
#include "kernels/base/buffer.h"

#include <filesystem>
#include <string_view>
#include <variant>

namespace boneage::io {

enum class ImageFormat : uint8_t { png, jpeg, bmp };
const char* text(ImageFormat format);

// What a file may ask for; checked against its header before anything is allocated.
struct DecodeLimits {
    int64_t max_pixels = int64_t{1} << 28;      // height * width
    int64_t max_file_bytes = int64_t{1} << 30;  // of the file itself
};

// Grey pixels and what the file said of them.
struct DecodedImage {
    std::variant<HostImage<uint8_t>, HostImage<uint16_t>> pixels;
    ImageFormat format = ImageFormat::png;
    int channels = 1;     // colour and alpha channels stored: 1 to 4; a palette of colours counts 3
    int bit_depth = 8;    // as stored: 1, 2, 4, 8 or 16 a channel or palette index
    int orientation = 1;  // EXIF's 1..8 of a JPEG, already applied

    [[nodiscard]] int64_t height() const;
    [[nodiscard]] int64_t width() const;
};

// Decodes files one after another, reusing its memory: it holds what the largest file so far needed, however many there
// were. One per worker. After an error the decoder can be used on; the image then holds nothing of value.
//
//   Grey 8-bit     u8 as stored; 1, 2 and 4 bits times 255, 85 and 17, so white is 255.
//   Grey 16-bit    u16 as stored (PNG only).
//   Colour         grey = (9798 R + 19235 G + 3735 B + 16384) >> 15, of u8 or u16 alike: the weights add up to 32768,
//   so
//                  equal channels give exactly their value. This is cv::cvtColor's 8-bit formula.
//   Palette        each entry by the formula above; an index past the palette's end is `corrupt`.
//   Alpha          ignored, and so are a PNG's tRNS, gamma and colour profiles: pixels are taken as stored.
//   JPEG           YCbCr gives its luma as stored, without a detour through RGB; RGB the formula above; CMYK and YCCK
//   the
//                  formula of R = C*K/255 rounded down and so on, with the inverted inks that Adobe writes.
//                  EXIF orientation is applied: height and width are those of the upright picture.
//   BMP            1, 4, 8, 24 and 32 bits, not compressed, rows in either order.
//   PNG            any bit depth, colour type and interlacing. Checksums of the parts that matter are verified.
//
// Throws InputError whose sentence begins with the name:
//   unreadable     the file is missing, is no regular file or may not be read
//   empty          it has no bytes
//   not_an_image   its content is none of the three formats
//   truncated      it ends before its picture does
//   corrupt        checksums, sizes or codes contradict each other
//   unsupported    a valid kind that is not read (compressed BMP, 12-bit or lossless JPEG, ...)
//   too_large      it exceeds the limits
// There is never half a picture: whatever is returned was there in full.
class ImageDecoder {
public:
    explicit ImageDecoder(const DecodeLimits& limits = {});
    ~ImageDecoder();
    ImageDecoder(const ImageDecoder&) = delete;
    ImageDecoder& operator=(const ImageDecoder&) = delete;

    void decode(const std::filesystem::path& path, DecodedImage& image);
    // `name` is what errors call it.
    void decode(FileBytes bytes, std::string_view name, DecodedImage& image);

private:
    struct State;
    std::unique_ptr<State> state_;
};

// For one file.
DecodedImage decode_image(const std::filesystem::path& path, const DecodeLimits& limits = {});
DecodedImage decode_image(FileBytes bytes, std::string_view name, const DecodeLimits& limits = {});

}  // namespace boneage::io
