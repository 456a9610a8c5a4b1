// Data as people have it, prepared once for training: `boneage prepare`.
#pragma once

#include "engine/pipeline/segmenter.h"
#include "engine/train/exclusions.h"

#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace boneage::train {

struct PrepareOptions {
    std::vector<std::filesystem::path> data;      // files and folders of radiographs, as `boneage score` takes them
    std::optional<std::filesystem::path> labels;  // ages need them; for masks they give the original sizes
    std::optional<std::filesystem::path> masks;   // a folder of masks, or a file of COCO's
    std::optional<std::string> mask_label;        // which of the annotations' labels is the hand
    std::filesystem::path folder;                 // is made where missing; what is written is replaced there
    pipeline::Recipe recipe;
    std::optional<pipeline::SegmenterSource> segmenter;  // for ages; none: the whole image counts as hand
    std::string segmenter_mark;                          // of that segmenter (io/segmenter_mark.h)
    // Radiographs that were squashed to another aspect get the canvas that their original, of the size that the labels
    // know, would have; those whose size the labels do not know are left out. For masks it is always so, but without
    // a size the image counts as it is.
    bool restore_aspect = false;
    int workers = 0;  // threads that each prepare radiographs of their own; 0: one for each processor
};

struct PrepareReport {
    size_t prepared = 0;
    size_t total = 0;  // radiographs that were to be prepared
    bool stopped = false;
    Exclusions exclusions;
};

// Told of every radiograph that is done, one at a time; null when it was prepared, else why not. `total` is that of the
// report.
using PrepareWatcher = std::function<void(size_t total, const Exclusion*)>;

// Makes in the folder
//   ages.safetensors    the radiographs that can be used, in the order of the labels (age_cache.h)
//   excluded.csv        the others
//   contact_sheet.png   a few dozen of all, before and after, and .csv saying which is where
//   excluded_sheet.png  some of those that the pipeline rejected
// The files do not depend on the number of workers. Once `stop` is true the run ends and writes nothing. Throws
// UsageError when the labels, the recipe or the segmenter cannot be used, or no radiograph is left.
PrepareReport prepare_ages(const PrepareOptions& options, const PrepareWatcher& watcher, const std::atomic<bool>& stop);

// The same for images with masks. A mask belongs to the image of its id and is
//   a picture, PNG or BMP: what is not 0 is hand; of the image's size, or of another one with the shape that the image
//   has once its aspect is restored by the labels' original size
//   polygons (annotations.h), in pixels of the size that their file tells, else of the image
// Where the images lie in the folder of the masks itself, only its JSON files are masks. Makes in the folder
//   masks.safetensors   in the byte order of the ids (mask_cache.h)
//   excluded.csv        masks without image, of another shape, empty, ...
//   contact_sheet.png   before, and after with the outline of the mask
//   excluded_sheet.png
PrepareReport prepare_masks(const PrepareOptions& options, const PrepareWatcher& watcher,
                            const std::atomic<bool>& stop);

}  // namespace boneage::train
