#include "engine/eval/stage_thumbnails.h"

#include "engine/io/image_file.h"
#include "engine/io/png_write.h"
#include "kernels/base/error.h"
#include "kernels/image/resize.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace boneage::eval {
namespace {

// "clahe" of "08-clahe.png"; empty when the name is none of a stage's picture.
std::string stage_of(const std::filesystem::path& file) {
    const std::string name = file.stem().string();
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    const bool is_stage = name.size() > 3 && digit(name[0]) && digit(name[1]) && name[2] == '-';
    return is_stage && file.extension() == ".png" ? name.substr(3) : "";
}

// Eight bits of a picture; of 16 the upper ones.
HostImage<uint8_t> eight_bits(io::DecodedImage image) {
    if (auto* bytes = std::get_if<HostImage<uint8_t>>(&image.pixels)) {
        return std::move(*bytes);
    }
    const Image<const uint16_t, Host> words = std::as_const(std::get<HostImage<uint16_t>>(image.pixels)).view();
    HostImage<uint8_t> bytes(words.height, words.width);
    for (int64_t y = 0; y < words.height; ++y) {
        std::transform(words.row(y), words.row(y) + words.width, bytes.view().row(y),
                       [](uint16_t value) { return static_cast<uint8_t>(value >> 8); });
    }
    return bytes;
}

Thumbnail thumbnail_of(const std::filesystem::path& file, int64_t max_side) {
    HostImage<uint8_t> image = eight_bits(io::decode_image(file));
    const Image<const uint8_t, Host> full = std::as_const(image).view();
    if (std::max(full.height, full.width) > max_side) {
        const ImageSize size = fit_inside(full.height, full.width, max_side);
        HostImage<uint8_t> small(size.height, size.width);
        Workers workers(1);
        resize<uint8_t>(workers, one(full), one(small.view()), ResizeFilter::area);
        image = std::move(small);
    }
    const Image<const uint8_t, Host> view = std::as_const(image).view();
    return {stage_of(file), io::encode_png(view), view.width, view.height};
}

}  // namespace

Thumbnails stage_thumbnails(const std::filesystem::path& stages, const std::string& id, int64_t max_side) {
    Thumbnails thumbnails;
    // An id from a table must not lead out of the folder.
    const std::filesystem::path name = std::filesystem::path(id).filename();
    const std::filesystem::path folder = stages / (name == ".." ? "" : name);
    std::vector<std::filesystem::path> files;
    std::error_code error;
    for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
        if (!stage_of(entry->path()).empty()) {
            files.push_back(entry->path());
        }
    }
    std::ranges::sort(files);
    for (const std::filesystem::path& file : files) {
        try {
            thumbnails.pictures.push_back(thumbnail_of(file, max_side));
        } catch (const InputError& unreadable) {
            thumbnails.problems.emplace_back(unreadable.what());
        }
    }
    if (files.empty()) {
        thumbnails.problems.push_back(folder.string() + " has no pictures of stages" +
                                      (error ? ": " + error.message() : ""));
    }
    return thumbnails;
}

}  // namespace boneage::eval
