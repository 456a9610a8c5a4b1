#include "engine/io/image_file.h"

#include "engine/io/decoders.h"
#include "kernels/base/error.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace boneage::io {
namespace {

// Whether the file begins with `magic`, or ends within it.
bool begins_with(FileBytes bytes, std::string_view magic) {
    return std::memcmp(bytes.data(), magic.data(), std::min(bytes.size(), magic.size())) == 0;
}

// A BMP's own mark is only two letters, with which a text may begin too: the size of its second header must be one of
// those that exist, as far as the file goes.
bool is_bmp(FileBytes bytes) {
    if (!begins_with(bytes, "BM")) {
        return false;
    }
    constexpr size_t kSizeAt = 14;
    if (bytes.size() < kSizeAt + 4) {
        return true;
    }
    const bool small = bytes[kSizeAt + 1] == 0 && bytes[kSizeAt + 2] == 0 && bytes[kSizeAt + 3] == 0;
    constexpr std::array kSizes{12, 40, 52, 56, 64, 108, 124};
    return small && std::find(kSizes.begin(), kSizes.end(), bytes[kSizeAt]) != kSizes.end();
}

using namespace std::string_view_literals;

// Kinds of files that people take for one of ours.
const char* other_format(FileBytes bytes) {
    struct Known {
        size_t at;
        std::string_view magic;
        const char* name;
    };
    constexpr std::array kKnown{Known{0, "GIF8"sv, "GIF"},           Known{0, "II*\0"sv, "TIFF"},
                                Known{0, "MM\0*"sv, "TIFF"},         Known{8, "WEBP"sv, "WebP"},
                                Known{128, "DICM"sv, "DICOM"},       Known{0, "%PDF"sv, "PDF"},
                                Known{4, "jP  \r\n"sv, "JPEG 2000"}, Known{4, "ftypheic"sv, "HEIC"}};
    for (const Known& known : kKnown) {
        if (bytes.size() >= known.at + known.magic.size() &&
            std::memcmp(bytes.data() + known.at, known.magic.data(), known.magic.size()) == 0) {
            return known.name;
        }
    }
    return nullptr;
}

}  // namespace

const char* text(ImageFormat format) {
    switch (format) {
        case ImageFormat::png:
            return "PNG";
        case ImageFormat::jpeg:
            return "JPEG";
        case ImageFormat::bmp:
            return "BMP";
    }
    return "";
}

int64_t DecodedImage::height() const {
    return std::visit([](const auto& image) { return image.height(); }, pixels);
}
int64_t DecodedImage::width() const {
    return std::visit([](const auto& image) { return image.width(); }, pixels);
}

void Source::fail(const char* code, const std::string& what) const {
    throw InputError(code, std::string(name) + " " + what);
}
void Source::truncated(const std::string& where) const {
    fail("truncated", "ends " + where + "; copy it again from its source");
}
void Source::corrupt(const std::string& why) const {
    fail("corrupt", "is damaged (" + why + "); copy it again from its source");
}
void Source::check_size(int64_t height, int64_t width) const {
    if (height < 1 || width < 1) {
        corrupt("its header declares no pixels");
    }
    if (height > limits.max_pixels / width) {
        fail("too_large", "declares " + std::to_string(width) + "x" + std::to_string(height) +
                              " pixels, more than the " + std::to_string(limits.max_pixels) +
                              " that are read; make it smaller");
    }
}

struct ImageDecoder::State {
    DecodeLimits limits;
    Buffer<uint8_t, Host> file;
    PngReader png;
    JpegReader jpeg;
};

ImageDecoder::ImageDecoder(const DecodeLimits& limits) : state_(std::make_unique<State>()) {
    state_->limits = limits;
}
ImageDecoder::~ImageDecoder() = default;

void ImageDecoder::decode(const std::filesystem::path& path, DecodedImage& image) {
    decode(read_file(path, state_->limits.max_file_bytes, state_->file), path.string(), image);
}

void ImageDecoder::decode(FileBytes bytes, std::string_view name, DecodedImage& image) {
    const Source source{bytes, name, state_->limits};
    if (bytes.empty()) {
        source.fail("empty", "is empty; copy it again from its source");
    }
    constexpr auto kPng = "\x89PNG\r\n\x1a\n"sv;
    if (begins_with(bytes, kPng)) {
        if (bytes.size() < kPng.size()) {
            source.truncated("within its first bytes");
        }
        return state_->png.read(source, image);
    }
    if (begins_with(bytes, "\xff\xd8\xff")) {
        return state_->jpeg.read(source, image);
    }
    if (is_bmp(bytes)) {
        return read_bmp(source, image);
    }
    if (const char* other = other_format(bytes)) {
        source.fail("unsupported", std::string("is a ") + other + " file; convert it to PNG");
    }
    source.fail("not_an_image", "is not a PNG, JPEG or BMP image, whatever its name says");
}

DecodedImage decode_image(const std::filesystem::path& path, const DecodeLimits& limits) {
    DecodedImage image;
    ImageDecoder(limits).decode(path, image);
    return image;
}

DecodedImage decode_image(FileBytes bytes, std::string_view name, const DecodeLimits& limits) {
    DecodedImage image;
    ImageDecoder(limits).decode(bytes, name, image);
    return image;
}

}  // namespace boneage::io
