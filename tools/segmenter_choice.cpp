#include "tools/segmenter_choice.h"

#include "engine/errors.h"
#include "engine/io/segmenter_mark.h"

namespace boneage::tools {
namespace {

std::optional<std::string> default_segmenter() {
    try {
        return io::default_model("unet");
    } catch (const UsageError&) {
        return std::nullopt;
    }
}

SegmenterChoice by_default(const std::optional<std::string>& trained, const std::string& weights) {
    if (trained == io::kNoSegmenter) {
        return {std::nullopt, {weights + " was trained without a segmenter: the whole image counts as hand"}};
    }
    std::optional<std::string> found = default_segmenter();
    if (!trained) {
        return found
                   ? SegmenterChoice{std::move(found), {}}
                   : SegmenterChoice{std::nullopt, {"no segmenter was given or found: the whole image counts as hand"}};
    }
    if (!found) {
        throw UsageError(weights + " was trained " + io::segmenter_text(*trained) +
                         ", and none was found; name it with --segmenter");
    }
    return {std::move(found), {}};
}

}  // namespace

SegmenterChoice choose_segmenter(const std::string& named, const std::string& weights) {
    if (named.empty()) {
        return by_default(io::ModelFile(weights).card().segmenter, weights);
    }
    if (named == kNone) {
        return {std::nullopt, {"no segmenter: the whole image counts as hand"}};
    }
    return {named, {}};
}

}  // namespace boneage::tools
