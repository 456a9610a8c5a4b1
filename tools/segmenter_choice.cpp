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

// The mark of what scores.
std::string mark_of(const std::optional<std::string>& path) {
    return path ? io::segmenter_mark(io::ModelFile(*path)) : std::string(io::kNoSegmenter);
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
    const std::string begin = weights + " was trained " + io::segmenter_text(*trained) + ", ";
    if (!found) {
        throw UsageError(begin + "and none was found; name it with --segmenter");
    }
    if (!io::same_segmenter(*trained, mark_of(found))) {
        throw UsageError(begin + "and " + *found + " is another one; name the right one with --segmenter");
    }
    return {std::move(found), {}};
}

}  // namespace

SegmenterChoice choose_segmenter(const std::string& named, const std::string& weights) {
    const std::optional<std::string> trained = io::ModelFile(weights).card().segmenter;
    if (named.empty()) {
        return by_default(trained, weights);
    }
    SegmenterChoice choice;
    if (named == kNone) {
        choice.cautions.emplace_back("no segmenter: the whole image counts as hand");
    } else {
        choice.path = named;
    }
    if (!trained) {
        return choice;
    }
    if (const std::string used = mark_of(choice.path); !io::same_segmenter(*trained, used)) {
        choice.cautions.push_back("WARNING: " + weights + " was trained " + io::segmenter_text(*trained) +
                                  ", but is scored " + io::segmenter_text(used) + ": expect other ages");
    }
    return choice;
}

}  // namespace boneage::tools
