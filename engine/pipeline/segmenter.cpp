#include "engine/pipeline/segmenter.h"

#include "engine/pipeline/kernel_params.h"
#include "engine/pipeline/stages.h"
#include "kernels/base/error.h"
#include "kernels/image/finite.h"
#include "kernels/image/threshold.h"

#include <algorithm>

namespace boneage::pipeline {

plan::Plan lower_segmenter(const net::UnetSpec& spec, const Recipe::Segment& recipe, const plan::Backend& backend,
                           plan::Precision precision, int64_t batch) {
    if (spec.outputs != 1) {
        throw UsageError("a segmenter has one output a pixel, this one has " + std::to_string(spec.outputs));
    }
    plan::Options options;
    options.batch = batch;
    options.height = recipe.patch;
    options.width = recipe.patch;
    options.precision = precision;
    options.traits = backend.traits();
    return plan::lower(net::unet(spec), options);
}

Segmenter::Segmenter(const SegmenterSource& source, const Recipe::Segment& recipe, plan::Backend& backend,
                     plan::Precision precision)
    : recipe_(recipe),
      channels_(source.spec.channels),
      executor_(lower_segmenter(source.spec, recipe, backend, precision, 1), backend, source.parameters),
      window_(gaussian_window(recipe.patch)) {}

template <class P>
bool Segmenter::find(Workers& workers, Image<const P, Host> image) {
    const int64_t patch = recipe_.patch;
    const int64_t patch_pixels = patch * patch;
    places_.clear();
    append_patches(places_, 0, image.height, image.width, patch, recipe_.step);
    const auto count = static_cast<int64_t>(places_.size());
    answers_.reserve(count * patch_pixels);
    logits_.reshape(image.height, image.width);

    const NormaliseParams params = normalise_params(recipe_);
    for (int64_t i = 0; i < count; ++i) {
        const Tensor<float, Host> input(executor_.input("image").data(), 1, patch, patch, channels_);
        gather_patches<P, float>(workers, one(image), {&places_[static_cast<size_t>(i)], 1}, input, params);
        executor_.run();
        std::ranges::copy(executor_.output("logits"), answers_.data() + i * patch_pixels);
    }
    const std::array<int64_t, 2> first{0, count};
    blend_patches(workers, {answers_.data(), count, patch, patch}, {places_.data(), count}, {first.data(), 2},
                  {window_.data(), patch, patch}, one(logits_.view()));
    uint8_t broken = 0;
    find_not_finite(workers, one<const float>(logits_.view()), {&broken, 1});
    return broken == 0;
}

template <class P>
bool Segmenter::segment(Workers& workers, Image<const P, Host> image, Image<uint8_t, Host> mask) {
    expects(same_size(image, mask), "image and mask must have the same size");
    const float limit = logit(static_cast<float>(recipe_.threshold));
    const ImageSize size = segment_size(image.height, image.width, recipe_);
    if (size == ImageSize{image.height, image.width}) {
        const bool finite = find<P>(workers, image);
        threshold<float>(workers, one<const float>(logits_.view()), one(mask), limit);
        return finite;
    }
    working_.reserve(size.height * size.width * static_cast<int64_t>(sizeof(P)));
    const Image<P, Host> small(reinterpret_cast<P*>(working_.data()), size.height, size.width);
    segment_input<P>(workers, image, small);
    const bool finite = find<P>(workers, small);
    // Logits, not the mask, are brought back: its edge stays smooth between the coarse pixels.
    canvas_logits_.reshape(image.height, image.width);
    resize<float>(workers, one<const float>(logits_.view()), one(canvas_logits_.view()), ResizeFilter::linear);
    threshold<float>(workers, one<const float>(canvas_logits_.view()), one(mask), limit);
    return finite;
}

template bool Segmenter::segment(Workers&, Image<const uint8_t, Host>, Image<uint8_t, Host>);
template bool Segmenter::segment(Workers&, Image<const uint16_t, Host>, Image<uint8_t, Host>);

}  // namespace boneage::pipeline
