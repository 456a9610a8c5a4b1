// A recipe's settings as the kernels take them.
#pragma once

#include "engine/pipeline/recipe.h"
#include "kernels/image/clahe.h"
#include "kernels/image/contrast.h"
#include "kernels/image/morphology.h"
#include "kernels/image/normalise.h"
#include "kernels/image/resize.h"
#include "kernels/image/sharpen.h"

#include <cmath>
#include <limits>
#include <optional>

namespace boneage::pipeline {

inline ContrastParams contrast_params(const Recipe::Contrast& recipe) {
    return {recipe.threshold};
}

inline ResizeFilter resize_filter(const Recipe::Canvas& recipe) {
    return recipe.filter == CanvasFilter::area ? ResizeFilter::area : ResizeFilter::linear;
}

// Nothing where the mask stays as it is.
inline std::optional<MorphologyParams> dilate_params(const Recipe::Dilate& recipe) {
    if (recipe.iterations == 0) {
        return std::nullopt;
    }
    const auto shape = [&] {
        switch (recipe.element) {
            case DilateElement::rect:
                return ElementShape::rect;
            case DilateElement::cross:
                return ElementShape::cross;
            case DilateElement::ellipse:
                return ElementShape::ellipse;
        }
        return ElementShape::ellipse;
    };
    return MorphologyParams{MorphologyOp::dilate, shape(), recipe.width, recipe.height, recipe.iterations};
}

template <class P>
P background_value(const Recipe::Overlay& recipe) {
    return static_cast<P>(std::lround(recipe.background * std::numeric_limits<P>::max()));
}

inline ClaheParams clahe_params(const Recipe::Clahe& recipe) {
    return {recipe.clip_limit, recipe.tiles_x, recipe.tiles_y};
}

// Nothing where the image stays as it is.
inline std::optional<SharpenParams> sharpen_params(const Recipe::Sharpen& recipe) {
    const auto amount = static_cast<float>(recipe.amount);
    switch (recipe.kernel) {
        case SharpenMode::none:
            return std::nullopt;
        case SharpenMode::laplacian4:
            return SharpenParams{SharpenKernel::laplacian4, amount};
        case SharpenMode::laplacian8:
            return SharpenParams{SharpenKernel::laplacian8, amount};
        case SharpenMode::unsharp:
            return SharpenParams{SharpenKernel::unsharp, amount};
    }
    return std::nullopt;
}

inline NormaliseParams normalise_params(const Recipe::Input& recipe) {
    NormaliseParams params;
    for (size_t c = 0; c < params.mean.size(); ++c) {
        params.mean[c] = static_cast<float>(recipe.mean[c]);
        params.deviation[c] = static_cast<float>(recipe.deviation[c]);
    }
    return params;
}

inline NormaliseParams normalise_params(const Recipe::Segment& recipe) {
    NormaliseParams params;
    params.mean.fill(static_cast<float>(recipe.mean));
    params.deviation.fill(static_cast<float>(recipe.deviation));
    return params;
}

}  // namespace boneage::pipeline
