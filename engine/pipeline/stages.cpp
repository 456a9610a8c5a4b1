#include "engine/pipeline/stages.h"

#include "engine/pipeline/kernel_params.h"
#include "kernels/base/numeric.h"
#include "kernels/image/components.h"
#include "kernels/image/overlay.h"
#include "kernels/image/polarity.h"

#include <algorithm>
#include <cmath>

namespace boneage::pipeline {
namespace {

template <class P>
void copy(Image<const P, Host> src, Image<P, Host> dst) {
    for (int64_t y = 0; y < src.height; ++y) {
        std::copy_n(src.row(y), src.width, dst.row(y));
    }
}

}  // namespace

std::string_view name(Stage stage) {
    constexpr std::string_view kNames[]{"contrast", "polarity", "canvas", "segment", "fill",  "largest",
                                        "dilate",   "overlay",  "clahe",  "sharpen", "input", "age"};
    return kNames[static_cast<size_t>(stage)];
}

template <class P>
ContrastResult contrast(const Tools& tools, Image<const P, Host> image, const Recipe::Contrast& recipe) {
    ContrastStats stats;
    ::boneage::contrast<P>(tools.workers, one(image), {&stats, 1}, contrast_params(recipe),
                           tools.scratch.bytes(contrast_scratch_bytes<P>(1)));
    return {stats.spread, stats.low != 0};
}

template <class P>
bool polarity(const Tools& tools, Image<P, Host> image, const Recipe::Polarity& recipe) {
    uint8_t inverted = recipe.mode == PolarityMode::invert ? 1 : 0;
    if (recipe.mode == PolarityMode::automatic) {
        find_inverted<P>(tools.workers, one<const P>(image), {&inverted, 1},
                         tools.scratch.bytes(find_inverted_scratch_bytes(1)));
    }
    if (inverted != 0) {
        invert<P>(tools.workers, one<const P>(image), one(image), {});
    }
    return inverted != 0;
}

ImageSize canvas_size(int64_t height, int64_t width, const Recipe::Canvas& recipe) {
    return fit_inside(height, width, recipe.long_side);
}

template <class P>
void canvas(const Tools& tools, Image<const P, Host> src, Image<P, Host> dst, const Recipe::Canvas& recipe) {
    resize<P>(tools.workers, one(src), one(dst), resize_filter(recipe));
}

ImageSize segment_size(int64_t height, int64_t width, const Recipe::Segment& recipe) {
    return fit_inside(height, width, recipe.long_side);
}

template <class P>
void segment_input(Workers& workers, Image<const P, Host> canvas, Image<P, Host> dst) {
    resize<P>(workers, one(canvas), one(dst), ResizeFilter::area);
}

void fill(const Tools& tools, Image<uint8_t, Host> mask) {
    fill_holes(tools.workers, one<const uint8_t>(mask), one(mask),
               tools.scratch.bytes(components_scratch_bytes(mask.height, mask.width, 1)));
}

void largest(const Tools& tools, Image<uint8_t, Host> mask) {
    ComponentStats stats;
    keep_largest(tools.workers, one<const uint8_t>(mask), one(mask), {&stats, 1},
                 tools.scratch.bytes(components_scratch_bytes(mask.height, mask.width, 1)));
}

void dilate(const Tools& tools, Image<const uint8_t, Host> mask, Image<uint8_t, Host> dst,
            const Recipe::Dilate& recipe) {
    const std::optional<MorphologyParams> params = dilate_params(recipe);
    if (!params) {
        return copy(mask, dst);
    }
    morphology<uint8_t>(tools.workers, one(mask), one(dst), *params,
                        tools.scratch.bytes(morphology_scratch_bytes<uint8_t>(*params, mask.height, mask.width,
                                                                              tools.workers.count())));
}

double mask_fraction(Image<const uint8_t, Host> mask) {
    int64_t inside = 0;
    for (int64_t y = 0; y < mask.height; ++y) {
        inside += mask.width - std::count(mask.row(y), mask.row(y) + mask.width, uint8_t{0});
    }
    return mask.empty() ? 0.0 : static_cast<double>(inside) / static_cast<double>(mask.pixels());
}

template <class P>
void overlay(const Tools& tools, Image<const P, Host> src, Image<const uint8_t, Host> mask, Image<P, Host> dst,
             const Recipe::Overlay& recipe) {
    ::boneage::overlay<P>(tools.workers, one(src), one(mask), one(dst), background_value<P>(recipe));
}

template <class P>
void clahe(const Tools& tools, Image<const P, Host> src, Image<P, Host> dst, const Recipe::Clahe& recipe) {
    const ClaheParams params = clahe_params(recipe);
    ::boneage::clahe<P>(tools.workers, one(src), one(dst), params,
                        tools.scratch.bytes(clahe_scratch_bytes<P>(params, 1)));
}

template <class P>
void sharpen(const Tools& tools, Image<const P, Host> src, Image<const uint8_t, Host> mask, Image<P, Host> dst,
             const Recipe::Sharpen& recipe, const Recipe::Overlay& background) {
    const std::optional<SharpenParams> params = sharpen_params(recipe);
    if (params && recipe.mask_again) {
        sharpen_masked<P>(tools.workers, one(src), one(mask), one(dst), *params, background_value<P>(background));
    } else if (params) {
        ::boneage::sharpen<P>(tools.workers, one(src), one(dst), *params);
    } else if (recipe.mask_again) {
        overlay<P>(tools, src, mask, dst, background);
    } else {
        copy(src, dst);
    }
}

ImageSize input_size(int64_t height, int64_t width, const Recipe::Input& recipe) {
    // The side that would stick out decides the scale.
    const bool by_height = height * recipe.width >= width * recipe.height;
    const double scale = by_height ? static_cast<double>(recipe.height) / static_cast<double>(height)
                                   : static_cast<double>(recipe.width) / static_cast<double>(width);
    const auto side = [scale](int64_t length, int64_t most) {
        return std::clamp<int64_t>(std::llround(static_cast<double>(length) * scale), 1, most);
    };
    return {side(height, recipe.height), side(width, recipe.width)};
}

template <class P>
void fit_input(const Tools& tools, Image<const P, Host> src, Image<P, Host> fitted) {
    resize<P>(tools.workers, one(src), one(fitted), ResizeFilter::area);
}

template <class P>
void normalise_input(const Tools& tools, Image<const P, Host> fitted, Tensor<float, Host> dst,
                     const Recipe::Input& recipe) {
    normalise<P, float>(tools.workers, one(fitted), dst, normalise_params(recipe));
}

void picture_of_input(Tensor<const float, Host> input, const Recipe::Input& recipe, HostImage<uint8_t>& picture) {
    const int64_t channels = input.shape[3];
    picture.reshape(input.shape[1], input.shape[2]);
    const auto mean = static_cast<float>(recipe.mean[0]);
    const auto deviation = static_cast<float>(recipe.deviation[0]);
    for (int64_t i = 0; i < picture.view().pixels(); ++i) {
        const float value = input.data[i * channels] * deviation + mean;
        picture.view().data[i] = saturate<uint8_t>(round_half_even(255.0F * value));
    }
}

#define BONEAGE_STAGES_OF(P)                                                                              \
    template ContrastResult contrast(const Tools&, Image<const P, Host>, const Recipe::Contrast&);        \
    template bool polarity(const Tools&, Image<P, Host>, const Recipe::Polarity&);                        \
    template void canvas(const Tools&, Image<const P, Host>, Image<P, Host>, const Recipe::Canvas&);      \
    template void overlay(const Tools&, Image<const P, Host>, Image<const uint8_t, Host>, Image<P, Host>, \
                          const Recipe::Overlay&);                                                        \
    template void clahe(const Tools&, Image<const P, Host>, Image<P, Host>, const Recipe::Clahe&);        \
    template void sharpen(const Tools&, Image<const P, Host>, Image<const uint8_t, Host>, Image<P, Host>, \
                          const Recipe::Sharpen&, const Recipe::Overlay&);                                \
    template void segment_input(Workers&, Image<const P, Host>, Image<P, Host>);                          \
    template void fit_input(const Tools&, Image<const P, Host>, Image<P, Host>);                          \
    template void normalise_input(const Tools&, Image<const P, Host>, Tensor<float, Host>, const Recipe::Input&);
BONEAGE_STAGES_OF(uint8_t)
BONEAGE_STAGES_OF(uint16_t)
#undef BONEAGE_STAGES_OF

}  // namespace boneage::pipeline
