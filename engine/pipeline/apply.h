// Single image operations on whole pictures, as `boneage apply` offers them: what the stages do, with parameters of the
// caller's instead of a recipe's. Pictures keep their 8 or 16 bits.
#pragma once

#include "engine/pipeline/segmenter.h"
#include "kernels/image/clahe.h"
#include "kernels/image/contrast.h"
#include "kernels/image/morphology.h"
#include "kernels/image/resize.h"
#include "kernels/image/sharpen.h"

#include <functional>
#include <memory>
#include <variant>

namespace boneage::pipeline {

using Picture = std::variant<HostImage<uint8_t>, HostImage<uint16_t>>;

// One thread's worth of operations, on the CPU or on a device. A 16-bit picture may serve as a mask: whatever is not 0
// is inside, and the resulting mask has 0 and 65535.
class Applier {
public:
    virtual ~Applier() = default;

    virtual ContrastStats contrast(const Picture& src, double threshold) = 0;
    virtual Picture resize(const Picture& src, ImageSize size, ResizeFilter filter) = 0;
    virtual Picture invert(const Picture& src) = 0;
    virtual Picture fill(const Picture& mask) = 0;
    virtual Picture largest(const Picture& mask) = 0;
    virtual Picture morphology(const Picture& src, const MorphologyParams& params) = 0;
    // Throws UsageError when the sizes differ. `background` is a share of the pixel range.
    virtual Picture overlay(const Picture& src, const Picture& mask, double background) = 0;
    virtual Picture clahe(const Picture& src, const ClaheParams& params) = 0;
    virtual Picture sharpen(const Picture& src, const SharpenParams& params) = 0;
    // The mask of the hand at the picture's own size: found on the recipe's canvas, scaled back.
    virtual Picture segment(const Picture& src, const SegmenterSource& segmenter, const Recipe& recipe) = 0;
};

// On the CPU; `backend` runs the segmenter and must outlive the applier.
std::unique_ptr<Applier> make_applier(int threads, plan::Backend& backend);
// On a device, where CUDA is built; `backend` is called for what runs the segmenter once one is to run. That must queue
// its work on `stream`, and both must outlive the applier.
std::unique_ptr<Applier> make_applier(Stream& stream, std::function<plan::Backend&()> backend);

}  // namespace boneage::pipeline
