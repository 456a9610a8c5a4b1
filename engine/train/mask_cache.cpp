#include "engine/train/mask_cache.h"

#include "engine/train/cache_file.h"
#include "kernels/base/error.h"

#include <algorithm>

namespace boneage::train {
namespace {

constexpr const char* kFormat = "boneage-masks-1";

}  // namespace

MaskCache::MaskCache(const std::string& path) : file_(path) {
    const CacheFile cache(file_, "a mask cache", kFormat);
    cache.only({"pictures", "masks", "offsets", "heights", "widths"});
    recipe_ = cache.recipe();
    const std::span<const uint8_t> pictures = cache.bytes(cache.tensor("pictures", io::StoredType::u8, 1, -1));
    const std::span<const uint8_t> masks =
        cache.bytes(cache.tensor("masks", io::StoredType::u8, 1, static_cast<int64_t>(pictures.size())));
    const int64_t n = cache.tensor("offsets", io::StoredType::i64, 1, -1).shape[0];
    cache.require(n >= 1, "it has no pictures");
    const std::vector<int64_t> offsets = cache.integers("offsets", n);
    const std::vector<int64_t> heights = cache.integers("heights", n);
    const std::vector<int64_t> widths = cache.integers("widths", n);
    int64_t next = 0;
    for (size_t i = 0; i < offsets.size(); ++i) {
        const int64_t most = recipe_.segment.long_side;
        cache.require(heights[i] >= 1 && heights[i] <= most && widths[i] >= 1 && widths[i] <= most &&
                          std::max(heights[i], widths[i]) == most,
                      "a picture in it is not of its recipe's size");
        const int64_t pixels = heights[i] * widths[i];
        cache.require(offsets[i] == next && pixels <= static_cast<int64_t>(pictures.size()) - next,
                      "its pictures do not lie one after another");
        pictures_.emplace_back(pictures.data() + next, heights[i], widths[i]);
        masks_.emplace_back(masks.data() + next, heights[i], widths[i]);
        next += pixels;
    }
    cache.require(next == static_cast<int64_t>(pictures.size()), "it has pixels that belong to no picture");
    ids_ = cache.texts("ids", n);
    source_ = cache.entry("source");
}

void MaskCacheWriter::add(const std::string& id, Image<const uint8_t, Host> picture, Image<const uint8_t, Host> mask) {
    expects(same_size(picture, mask), "picture and mask must have the same size");
    expects(picture.stride == picture.width && mask.stride == mask.width, "rows must be packed");
    const auto append = [](std::vector<std::byte>& all, Image<const uint8_t, Host> image) {
        const auto bytes = std::as_bytes(std::span(image.data, static_cast<size_t>(image.pixels())));
        all.insert(all.end(), bytes.begin(), bytes.end());
    };
    offsets_.push_back(static_cast<int64_t>(pictures_.size()));
    heights_.push_back(picture.height);
    widths_.push_back(picture.width);
    ids_.push_back(id);
    append(pictures_, picture);
    append(masks_, mask);
}

void MaskCacheWriter::write(const std::string& path, const pipeline::Recipe& recipe, const std::string& source) const {
    const auto pixels = static_cast<int64_t>(pictures_.size());
    const auto numbers = [&](const char* name, const std::vector<int64_t>& values) {
        return io::StoredTensor{name, io::StoredType::i64, {count()}, std::as_bytes(std::span(values))};
    };
    io::write_safetensors(path,
                          {numbers("offsets", offsets_),
                           numbers("heights", heights_),
                           numbers("widths", widths_),
                           {"pictures", io::StoredType::u8, {pixels}, pictures_},
                           {"masks", io::StoredType::u8, {pixels}, masks_}},
                          {{"format", kFormat},
                           {"recipe", pipeline::to_json(recipe)},
                           {"ids", texts_to_json(ids_)},
                           {"source", as_utf8(source)}});
}

}  // namespace boneage::train
