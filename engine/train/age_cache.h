// Radiographs with known ages, prepared once: the pictures that the age network is trained on, in one file that is
// mapped into memory.
//
// The file is safetensors:
//   pictures      U8  [n, h, w]  what the pipeline makes of each radiograph, before normalisation
//   ages_months   F32 [n]
//   sexes         F32 [n]        as the network takes them: 1 male, -1 female, 0 unknown
//   splits        U8  [n]        index into the names of the splits
// and its metadata holds format ("boneage-ages-1"), recipe (JSON), ids and splits (JSON arrays of text; "train" and
// "val" come first), source (for people: what it was made from) and segmenter (io/segmenter_mark.h; missing where that
// is not known).
#pragma once

#include "engine/eval/labels.h"
#include "engine/io/safetensors.h"
#include "engine/pipeline/recipe.h"
#include "kernels/base/view.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace boneage::train {

// Its name in the folder that `boneage prepare` makes.
inline constexpr const char* kAgeCacheName = "ages.safetensors";
inline constexpr uint8_t kTrainSplit = 0;
inline constexpr uint8_t kValSplit = 1;

// A cache opened and checked. Move-only.
class AgeCache {
public:
    // Throws UsageError, one sentence with the file's name, when it is no age cache, is damaged or contradicts itself:
    // whatever is read below has been checked.
    explicit AgeCache(const std::string& path);

    [[nodiscard]] int64_t count() const { return pictures_.shape[0]; }
    // [n, h, w, 1]; normalising it as the recipe's input says gives what the network sees when scoring.
    [[nodiscard]] Tensor<const uint8_t, Host> pictures() const { return pictures_; }
    [[nodiscard]] std::span<const float> ages_months() const { return ages_months_; }
    [[nodiscard]] std::span<const float> sexes() const { return sexes_; }
    [[nodiscard]] std::span<const uint8_t> splits() const { return splits_; }
    [[nodiscard]] const std::vector<std::string>& split_names() const { return split_names_; }
    [[nodiscard]] const std::vector<std::string>& ids() const { return ids_; }
    [[nodiscard]] const pipeline::Recipe& recipe() const { return recipe_; }
    [[nodiscard]] const std::string& source() const { return source_; }
    // The mark of what found the hands.
    [[nodiscard]] const std::optional<std::string>& segmenter() const { return segmenter_; }
    // Of the whole file: tells whether a checkpoint was trained on this cache.
    [[nodiscard]] uint32_t checksum() const { return file_.checksum(); }

    // The places of the pictures of one split, ascending.
    [[nodiscard]] std::vector<int64_t> of_split(uint8_t split) const;

private:
    io::SafetensorsFile file_;
    Tensor<const uint8_t, Host> pictures_;
    std::vector<float> ages_months_;
    std::vector<float> sexes_;
    std::span<const uint8_t> splits_;
    std::vector<std::string> split_names_;
    std::vector<std::string> ids_;
    pipeline::Recipe recipe_;
    std::string source_;
    std::optional<std::string> segmenter_;
};

// Writes a cache picture by picture; the pictures go to the disk as they come. Without commit() nothing is left behind.
class AgeCacheWriter {
public:
    // `most` are the labels of which some may be added. Throws UsageError for more than 256 splits.
    AgeCacheWriter(const std::string& path, const pipeline::Recipe& recipe, const std::string& source,
                   const std::vector<eval::Label>& most, std::optional<std::string> segmenter = std::nullopt);

    // `picture` has the size of the recipe's input, its rows packed.
    void add(const eval::Label& label, Image<const uint8_t, Host> picture);
    [[nodiscard]] int64_t count() const { return static_cast<int64_t>(ids_.size()); }
    // At least one picture was added. Throws Error when the file cannot be written.
    void commit();

private:
    pipeline::Recipe recipe_;
    std::string source_;
    std::optional<std::string> segmenter_;
    std::vector<std::string> split_names_;
    io::SafetensorsWriter file_;
    std::vector<std::string> ids_;
    std::vector<float> ages_months_;
    std::vector<float> sexes_;
    std::vector<uint8_t> splits_;
};

}  // namespace boneage::train
