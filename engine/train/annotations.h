// Masks as the tools draw them in which people annotate: LabelMe's JSON, a file for each image, and COCO's, one for
// all.
#pragma once

#include "engine/train/polygons.h"
#include "kernels/base/error.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace boneage::train {

// The polygons of one image.
struct Annotation {
    std::string id;      // the image's file name without folder and extension
    int64_t height = 0;  // of the image that was drawn on; 0 where the file does not say
    int64_t width = 0;
    std::vector<std::vector<Ring>> polygons;  // their union is the mask; within one, rings are even-odd
    std::optional<InputError> error;          // why it cannot be used
};

// Reads
//   LabelMe  {"shapes": [{"label", "points": [[x, y], ...], "shape_type": "polygon" or "rectangle"}, ...],
//            "imageHeight", "imageWidth"}; the id is the file's own name
//   COCO     {"images": [{"id", "file_name", "height", "width"}], "annotations": [{"image_id", "category_id",
//            "segmentation": [[x, y, x, y, ...], ...]}], "categories": [{"id", "name"}]}; the id is that of file_name
// With `label`, only shapes of that label or category count; without, all shapes of an image must have the same one.
// Images are in the order of the file; of a COCO file only those that are annotated.
//
// An annotation's error says what is wrong with one image:
//   several_labels     it has shapes of several labels, and none was chosen
//   no_such_label      none of its shapes has the label
//   unsupported_shape  a circle, a line, run lengths, ...: only polygons and rectangles have an inside here
//   bad_annotation     points or sizes that are no numbers, or unreasonable ones
// Throws InputError when the file as a whole cannot be used: unreadable, not_annotations.
std::vector<Annotation> read_annotations(const std::filesystem::path& path, const std::optional<std::string>& label);

}  // namespace boneage::train
