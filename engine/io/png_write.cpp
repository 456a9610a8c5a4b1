#include "engine/io/png_write.h"

#include "engine/io/file_bytes.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <cstdlib>
#include <libdeflate.h>
#include <memory>
#include <new>
#include <string_view>

namespace boneage::io {
namespace {

// Level 4 makes radiographs 8 % smaller and takes four times as long.
constexpr int kLevel = 1;
constexpr int64_t kLargestSide = 0x7fffffff;

void append_u32(std::vector<uint8_t>& out, size_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) {
        out.push_back(static_cast<uint8_t>(value >> shift));
    }
}

// Completes a chunk that begins at `begin` with its four bytes of length still to be filled in.
void finish_chunk(std::vector<uint8_t>& out, size_t begin) {
    const size_t length = out.size() - begin - 8;
    for (size_t i = 0; i < 4; ++i) {
        out[begin + i] = static_cast<uint8_t>(length >> (24 - 8 * i));
    }
    append_u32(out, libdeflate_crc32(0, out.data() + begin + 4, length + 4));
}

void append_chunk(std::vector<uint8_t>& out, std::string_view type, const std::vector<uint8_t>& data) {
    const size_t begin = out.size();
    append_u32(out, 0);
    out.insert(out.end(), type.begin(), type.end());
    out.insert(out.end(), data.begin(), data.end());
    finish_chunk(out, begin);
}

int paeth(int a, int b, int c) {
    const int to_a = std::abs(b - c);
    const int to_b = std::abs(a - c);
    const int to_c = std::abs(a + b - 2 * c);
    const int ab = to_a <= to_b ? a : b;
    return to_c < std::min(to_a, to_b) ? c : ab;
}

// One row by one of PNG's five filters. `here` and `above` may be read `pixel_bytes` bytes before their start, where
// zeros stand. Returns the sum of the bytes' sizes as signed numbers: the smaller, the better it compresses as a rule.
template <int filter>
int64_t apply(const uint8_t* here, const uint8_t* above, int64_t bytes, int64_t pixel_bytes, uint8_t* out) {
    int64_t sum = 0;
    for (int64_t i = 0; i < bytes; ++i) {
        const int a = here[i - pixel_bytes];
        const int b = above[i];
        const int c = above[i - pixel_bytes];
        int predicted = 0;
        if constexpr (filter == 1) {
            predicted = a;
        } else if constexpr (filter == 2) {
            predicted = b;
        } else if constexpr (filter == 3) {
            predicted = (a + b) / 2;
        } else if constexpr (filter == 4) {
            predicted = paeth(a, b, c);
        }
        out[i] = static_cast<uint8_t>(here[i] - predicted);
        sum += std::abs(static_cast<int8_t>(out[i]));
    }
    return sum;
}

// Filters rows as they come, each by the filter that leaves the least.
class RowFilter {
public:
    RowFilter(int64_t rows, int64_t row_bytes, int64_t pixel_bytes) : row_bytes_(row_bytes), pixel_bytes_(pixel_bytes) {
        const auto padded = static_cast<size_t>(row_bytes + pixel_bytes);
        here_.resize(padded);
        above_.resize(padded);
        trial_.resize(static_cast<size_t>(row_bytes));
        best_.resize(static_cast<size_t>(row_bytes));
        filtered_.reserve(static_cast<size_t>(rows * (row_bytes + 1)));
    }

    // Where the next row's bytes go before add() is called.
    uint8_t* next() { return here_.data() + pixel_bytes_; }

    void add() {
        least_ = -1;
        consider<0>();
        consider<1>();
        consider<2>();
        consider<3>();
        consider<4>();
        filtered_.push_back(chosen_);
        filtered_.insert(filtered_.end(), best_.begin(), best_.end());
        here_.swap(above_);
    }

    [[nodiscard]] const std::vector<uint8_t>& filtered() const { return filtered_; }

private:
    template <int filter>
    void consider() {
        const int64_t sum =
            apply<filter>(next(), above_.data() + pixel_bytes_, row_bytes_, pixel_bytes_, trial_.data());
        if (least_ < 0 || sum < least_) {
            least_ = sum;
            chosen_ = filter;
            best_.swap(trial_);
        }
    }

    int64_t row_bytes_;
    int64_t pixel_bytes_;
    std::vector<uint8_t> here_, above_, trial_, best_, filtered_;
    int64_t least_ = -1;
    uint8_t chosen_ = 0;
};

struct Kind {
    int64_t height;
    int64_t width;
    uint8_t depth;
    uint8_t colour;  // PNG's number: 0 grey, 2 RGB
    int64_t pixel_bytes;
};

// `fill(y, bytes)` writes row y as PNG stores it.
template <class Fill>
std::vector<uint8_t> encode(const Kind& kind, const Fill& fill) {
    expects(kind.height > 0 && kind.width > 0, "the image must not be empty");
    expects(kind.height <= kLargestSide && kind.width <= kLargestSide, "a PNG's sides are below 2^31");
    RowFilter rows(kind.height, kind.width * kind.pixel_bytes, kind.pixel_bytes);
    for (int64_t y = 0; y < kind.height; ++y) {
        fill(y, rows.next());
        rows.add();
    }
    const std::unique_ptr<libdeflate_compressor, decltype(&libdeflate_free_compressor)> deflater(
        libdeflate_alloc_compressor(kLevel), libdeflate_free_compressor);
    if (!deflater) {
        throw std::bad_alloc();
    }
    const std::vector<uint8_t>& raw = rows.filtered();
    std::vector<uint8_t> data(libdeflate_zlib_compress_bound(deflater.get(), raw.size()));
    data.resize(libdeflate_zlib_compress(deflater.get(), raw.data(), raw.size(), data.data(), data.size()));

    std::vector<uint8_t> header;
    append_u32(header, static_cast<size_t>(kind.width));
    append_u32(header, static_cast<size_t>(kind.height));
    header.insert(header.end(), {kind.depth, kind.colour, 0, 0, 0});
    std::vector<uint8_t> png{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    png.reserve(data.size() + 64);
    append_chunk(png, "IHDR", header);
    // A chunk is at most 2^31 - 1 bytes long.
    constexpr size_t kPart = size_t{1} << 30;
    for (size_t begin = 0; begin < data.size(); begin += kPart) {
        const auto part = data.begin() + static_cast<std::ptrdiff_t>(begin);
        const auto count = static_cast<std::ptrdiff_t>(std::min(kPart, data.size() - begin));
        append_chunk(png, "IDAT", data.size() <= kPart ? data : std::vector<uint8_t>(part, part + count));
    }
    append_chunk(png, "IEND", {});
    return png;
}

}  // namespace

template <class P>
std::vector<uint8_t> encode_png(Image<const P, Host> image) {
    return encode({image.height, image.width, 8 * sizeof(P), 0, sizeof(P)}, [&](int64_t y, uint8_t* bytes) {
        const P* row = image.row(y);
        for (int64_t x = 0; x < image.width; ++x) {
            if constexpr (sizeof(P) == 1) {
                bytes[x] = row[x];
            } else {
                bytes[2 * x] = static_cast<uint8_t>(row[x] >> 8);
                bytes[2 * x + 1] = static_cast<uint8_t>(row[x]);
            }
        }
    });
}

std::vector<uint8_t> encode_png(Tensor<const uint8_t, Host> rgb) {
    expects(rgb.shape[2] == 3 && rgb.shape[3] == 1, "a colour picture is [h, w, 3]");
    const int64_t row_bytes = 3 * rgb.shape[1];
    return encode({rgb.shape[0], rgb.shape[1], 8, 2, 3},
                  [&](int64_t y, uint8_t* bytes) { std::copy_n(rgb.data + y * row_bytes, row_bytes, bytes); });
}

template <class P>
void write_png(const std::filesystem::path& path, Image<const P, Host> image) {
    write_file(path, encode_png(image));
}

void write_png(const std::filesystem::path& path, Tensor<const uint8_t, Host> rgb) {
    write_file(path, encode_png(rgb));
}

template std::vector<uint8_t> encode_png(Image<const uint8_t, Host>);
template std::vector<uint8_t> encode_png(Image<const uint16_t, Host>);
template void write_png(const std::filesystem::path&, Image<const uint8_t, Host>);
template void write_png(const std::filesystem::path&, Image<const uint16_t, Host>);

}  // namespace boneage::io
