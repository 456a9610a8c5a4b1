// Radiographs whose hands somebody outlined, prepared once: what the segmenter is trained on, in one file that is
// mapped into memory.
//
// The file is safetensors:
//   pictures  U8  [pixels]  the radiographs as the segmenter's patches are cut from them, one after another
//   masks     U8  [pixels]  the share of each pixel that is hand: 0 none, 255 all
//   offsets   I64 [n]       where each begins in both
//   heights   I64 [n]
//   widths    I64 [n]
// and its metadata holds format ("boneage-masks-1"), recipe (JSON), ids (JSON array of text) and source (for people).
#pragma once

#include "engine/io/safetensors.h"
#include "engine/pipeline/recipe.h"
#include "kernels/base/buffer.h"

#include <string>
#include <vector>

namespace boneage::train {

// Its name in the folder that `boneage prepare` makes.
inline constexpr const char* kMaskCacheName = "masks.safetensors";

// A cache opened and checked. Move-only.
class MaskCache {
public:
    // Throws UsageError, one sentence with the file's name, when it is no mask cache, is damaged or contradicts itself:
    // whatever is read below has been checked.
    explicit MaskCache(const std::string& path);

    [[nodiscard]] int64_t count() const { return static_cast<int64_t>(pictures_.size()); }
    // Before normalisation; the longer side is the recipe's segment.long_side.
    [[nodiscard]] Image<const uint8_t, Host> picture(int64_t i) const { return pictures_[static_cast<size_t>(i)]; }
    // Of the same size.
    [[nodiscard]] Image<const uint8_t, Host> mask(int64_t i) const { return masks_[static_cast<size_t>(i)]; }
    [[nodiscard]] const std::vector<std::string>& ids() const { return ids_; }
    [[nodiscard]] const pipeline::Recipe& recipe() const { return recipe_; }
    [[nodiscard]] const std::string& source() const { return source_; }
    // Of the whole file: tells whether a checkpoint was trained on this cache.
    [[nodiscard]] uint32_t checksum() const { return file_.checksum(); }

private:
    io::SafetensorsFile file_;
    std::vector<Image<const uint8_t, Host>> pictures_;
    std::vector<Image<const uint8_t, Host>> masks_;
    std::vector<std::string> ids_;
    pipeline::Recipe recipe_;
    std::string source_;
};

// Collects a cache in memory.
class MaskCacheWriter {
public:
    // Both of one size, their rows packed.
    void add(const std::string& id, Image<const uint8_t, Host> picture, Image<const uint8_t, Host> mask);
    [[nodiscard]] int64_t count() const { return static_cast<int64_t>(ids_.size()); }
    // Atomic. Throws Error when it cannot be written.
    void write(const std::string& path, const pipeline::Recipe& recipe, const std::string& source) const;

private:
    std::vector<std::byte> pictures_;
    std::vector<std::byte> masks_;
    std::vector<int64_t> offsets_, heights_, widths_;
    std::vector<std::string> ids_;
};

}  // namespace boneage::train
