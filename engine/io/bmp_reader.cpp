#include "engine/io/decoders.h"
#include "engine/io/grey.h"
#include "engine/io/samples.h"

#include <algorithm>
#include <array>
#include <bit>

namespace boneage::io {
namespace {

constexpr int64_t kFileHeader = 14;
constexpr uint32_t kUncompressed = 0;
constexpr uint32_t kBitFields = 3;

struct Header {
    int64_t width = 0;
    int64_t height = 0;
    bool top_down = false;
    int bits = 0;
    int64_t pixels_at = 0;
    int64_t palette_at = 0;
    int64_t palette_size = 0;
    int64_t palette_entry = 4;               // bytes
    std::array<int, 3> channel_at{2, 1, 0};  // byte of R, G and B within a pixel of 24 or 32 bits
};

class BmpReader {
public:
    explicit BmpReader(const Source& source) : source_(source), bytes_(source.bytes) {}

    void read(DecodedImage& image) const {
        const Header h = header();
        const std::array<uint8_t, 256> palette = grey_palette(h);
        const int64_t row_bytes = ceil_div(h.width * h.bits, 8);
        const int64_t stride = round_up(row_bytes, 4);
        // The padding behind the last row carries nothing, and some programs leave it out.
        if (h.pixels_at + (h.height - 1) * stride + row_bytes > static_cast<int64_t>(bytes_.size())) {
            source_.truncated("before its picture does");
        }
        image.format = ImageFormat::bmp;
        image.channels = h.bits == 32 ? 4 : 3;
        image.bit_depth = std::min(h.bits, 8);
        image.orientation = 1;
        const Image<uint8_t, Host> out = reshape<uint8_t>(image, h.height, h.width);
        for (int64_t y = 0; y < h.height; ++y) {
            const uint8_t* row = bytes_.data() + h.pixels_at + (h.top_down ? y : h.height - 1 - y) * stride;
            if (h.bits > 8) {
                colours(row, h, out.row(y));
            } else {
                indices(row, h, palette, out.row(y));
            }
        }
    }

private:
    // Little-endian; the file must go on that far.
    [[nodiscard]] uint32_t number(int64_t at, int count) const {
        if (at + count > static_cast<int64_t>(bytes_.size())) {
            source_.truncated("within its header");
        }
        uint32_t value = 0;
        for (int i = 0; i < count; ++i) {
            value |= static_cast<uint32_t>(bytes_[static_cast<size_t>(at + i)]) << (8 * i);
        }
        return value;
    }

    [[nodiscard]] Header header() const {
        Header h;
        h.pixels_at = number(10, 4);
        const int64_t header_bytes = number(kFileHeader, 4);
        h.palette_at = kFileHeader + header_bytes;
        if (header_bytes == 12) {
            h.width = number(18, 2);
            h.height = number(20, 2);
            h.bits = static_cast<int>(number(24, 2));
            h.palette_entry = 3;
        } else {
            h.width = static_cast<int32_t>(number(18, 4));
            const int64_t height = static_cast<int32_t>(number(22, 4));
            h.top_down = height < 0;
            h.height = h.top_down ? -height : height;
            h.bits = static_cast<int>(number(28, 2));
            const uint32_t compression = number(30, 4);
            if (compression == kBitFields && h.bits == 32) {
                bit_fields(h);
            } else if (compression != kUncompressed) {
                source_.fail("unsupported", "is a compressed BMP, which is not read; convert it to PNG");
            }
            h.palette_size = number(46, 4);
        }
        constexpr std::array kRead{1, 4, 8, 24, 32};
        if (std::find(kRead.begin(), kRead.end(), h.bits) == kRead.end()) {
            source_.fail("unsupported", "is a BMP of " + std::to_string(h.bits) +
                                            " bits a pixel, which is not read; convert it to PNG");
        }
        source_.check_size(h.height, h.width);
        if (h.bits > 8) {
            h.palette_size = 0;
        } else if (h.palette_size == 0) {
            h.palette_size = int64_t{1} << h.bits;
        } else if (h.palette_size > int64_t{1} << h.bits) {
            source_.corrupt("its palette has an impossible size");
        }
        if (h.pixels_at < h.palette_at + h.palette_size * h.palette_entry) {
            source_.corrupt("its pixels lie within its header");
        }
        return h;
    }

    // Masks of 32-bit pixels; they follow the 40 bytes that every header has in common.
    void bit_fields(Header& h) const {
        for (size_t i = 0; i < 3; ++i) {
            const uint32_t mask = number(kFileHeader + 40 + 4 * static_cast<int64_t>(i), 4);
            const int shift = std::countr_zero(mask);
            if (shift >= 32 || shift % 8 != 0 || mask >> shift != 255) {
                source_.fail("unsupported", "is a BMP whose colours are not whole bytes; convert it to PNG");
            }
            h.channel_at[i] = shift / 8;
        }
    }

    [[nodiscard]] std::array<uint8_t, 256> grey_palette(const Header& h) const {
        std::array<uint8_t, 256> palette{};
        for (int64_t i = 0; i < h.palette_size; ++i) {
            const int64_t at = h.palette_at + i * h.palette_entry;
            palette[static_cast<size_t>(i)] =
                static_cast<uint8_t>(grey_of(number(at + 2, 1), number(at + 1, 1), number(at, 1)));
        }
        return palette;
    }

    void indices(const uint8_t* row, const Header& h, const std::array<uint8_t, 256>& palette, uint8_t* out) const {
        if (look_up(row, h.width, h.bits, palette, out) >= h.palette_size) {
            source_.corrupt("a pixel names a colour that its palette does not have");
        }
    }

    static void colours(const uint8_t* row, const Header& h, uint8_t* out) {
        const int64_t pixel_bytes = h.bits / 8;
        for (int64_t x = 0; x < h.width; ++x) {
            const uint8_t* pixel = row + x * pixel_bytes;
            out[x] =
                static_cast<uint8_t>(grey_of(pixel[h.channel_at[0]], pixel[h.channel_at[1]], pixel[h.channel_at[2]]));
        }
    }

    const Source& source_;
    FileBytes bytes_;
};

}  // namespace

void read_bmp(const Source& source, DecodedImage& image) {
    BmpReader(source).read(image);
}

}  // namespace boneage::io
