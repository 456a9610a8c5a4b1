// What the readers of the three formats share. Internal to engine/io.
#pragma once

#include "engine/io/image_file.h"
#include "engine/io/png_unfilter.h"

#include <memory>
#include <string>

struct libdeflate_decompressor;

namespace boneage::io {

// One file being read.
struct Source {
    FileBytes bytes;
    std::string_view name;
    DecodeLimits limits;

    // Throws InputError: the name, then `what`, which reads on from it ("ends within ...").
    [[noreturn]] void fail(const char* code, const std::string& what) const;
    [[noreturn]] void truncated(const std::string& where) const;
    [[noreturn]] void corrupt(const std::string& why) const;
    // Throws `corrupt` for sizes below 1, `too_large` for more pixels than the limit. Sizes must be below 2^32.
    void check_size(int64_t height, int64_t width) const;
};

// Gives `image` its size and pixel type, reusing its memory where the type is the same.
template <class P>
Image<P, Host> reshape(DecodedImage& image, int64_t height, int64_t width) {
    if (!std::holds_alternative<HostImage<P>>(image.pixels)) {
        image.pixels.template emplace<HostImage<P>>();
    }
    auto& pixels = std::get<HostImage<P>>(image.pixels);
    pixels.reshape(height, width);
    return pixels.view();
}

class PngReader {
public:
    PngReader();
    ~PngReader();
    PngReader(const PngReader&) = delete;
    PngReader& operator=(const PngReader&) = delete;

    void read(const Source& source, DecodedImage& image);

private:
    libdeflate_decompressor* inflater_;
    PngUnfilter unfilter_;
    Buffer<uint8_t, Host> compressed_;
    Buffer<uint8_t, Host> filtered_;
    Buffer<uint16_t, Host> pass_row_;
};

class JpegReader {
public:
    void read(const Source& source, DecodedImage& image);

private:
    Buffer<uint8_t, Host> row_;
    HostImage<uint8_t> turned_;
};

void read_bmp(const Source& source, DecodedImage& image);

}  // namespace boneage::io
