// Which segmenter a model is scored with, unless the user names another: the Session checks that it is the one that the
// model was trained with.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace boneage::tools {

// What --segmenter says for none.
inline constexpr const char* kNone = "none";

struct SegmenterChoice {
    std::optional<std::string> path;    // none: the whole image counts as hand
    std::vector<std::string> cautions;  // what everybody who sees the ages must know
};

// `named` is what --segmenter was given: a file, kNone, or "" for the default. By default a model that says that it was
// trained without a segmenter gets none, and every other one weights/unet.safetensors; a model that does not know gets
// none where there is no such file. Throws UsageError when a model that was trained with a segmenter finds none.
SegmenterChoice choose_segmenter(const std::string& named, const std::string& weights);

}  // namespace boneage::tools
