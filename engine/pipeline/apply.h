// Single image operations on whole pictures, as `boneage apply` offers them: what the stages do, with parameters of the
// caller's instead of a recipe's. Pictures keep their 8 or 16 bits.
#pragma once

#include "engine/pipeline/segmenter.h"
#include "engine/pipeline/stages.h"
#include "kernels/image/clahe.h"
#include "kernels/image/contrast.h"
#include "kernels/image/morphology.h"
#include "kernels/image/sharpen.h"

#include <variant>

namespace boneage::pipeline {

using Picture = std::variant<HostImage<uint8_t>, HostImage<uint16_t>>;

// One thread's worth of operations. A 16-bit picture may serve as a mask: whatever is not 0 is inside, and the
// resulting mask has 0 and 65535.
class Applier {
public:
    explicit Applier(int threads) : workers_(threads) {}

    ContrastStats contrast(const Picture& src, double threshold);
    Picture resize(const Picture& src, ImageSize size, ResizeFilter filter);
    Picture invert(const Picture& src);
    Picture fill(const Picture& mask);
    Picture largest(const Picture& mask);
    Picture morphology(const Picture& src, const MorphologyParams& params);
    // Throws UsageError when the sizes differ. `background` is a share of the pixel range.
    Picture overlay(const Picture& src, const Picture& mask, double background);
    Picture clahe(const Picture& src, const ClaheParams& params);
    Picture sharpen(const Picture& src, const SharpenParams& params);
    // The mask of the hand at the picture's own size: found on the recipe's canvas, scaled back.
    Picture segment(const Picture& src, Segmenter& segmenter, const Recipe& recipe);

private:
    template <class Operation>
    Picture on_mask(const Picture& mask, const Operation& operation);
    [[nodiscard]] Tools tools() { return {workers_, scratch_}; }

    Workers workers_;
    HostScratch scratch_;
};

}  // namespace boneage::pipeline
