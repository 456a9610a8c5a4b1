// Small pipelines and pictures to run through them.
#pragma once

#include "engine/pipeline/pipeline.h"
#include "tests/support/models.h"

#include <cmath>
#include <limits>

namespace boneage::testing {

inline constexpr net::ResNet34Spec kSmallSpec{
    .channels = 1, .base_width = 16, .sex_input = true, .hidden = 0, .outputs = 1};

// Small sizes, so that the naive back end is quick, and a segmenter that sees pixel values as they are.
inline pipeline::Recipe small_recipe() {
    pipeline::Recipe recipe;
    recipe.canvas.long_side = 64;
    recipe.segment.long_side = recipe.canvas.long_side;
    recipe.segment.patch = 32;
    recipe.segment.mean = 0.0;
    recipe.segment.deviation = 1.0;
    recipe.dilate = {pipeline::DilateElement::rect, 3, 3, 1};
    recipe.clahe.tiles_x = 4;
    recipe.clahe.tiles_y = 4;
    recipe.input.width = 32;
    recipe.input.height = 32;
    return recipe;
}

inline pipeline::Models bright_models(const pipeline::Recipe& recipe = small_recipe()) {
    static const plan::ParameterSource weights = initial_weights(net::resnet34(kSmallSpec), 3);
    return {recipe, {kSmallSpec, weights}, pipeline::SegmenterSource{kBrightSpec, bright_weights(0.5F)}};
}

// The same models, but that the segmenter's map would reach 1e43 where the image is white: more than float32 holds.
inline pipeline::Models overflowing_models() {
    pipeline::Models models = bright_models();
    models.segmenter->parameters = [ordinary = models.segmenter->parameters](std::string_view name) {
        std::vector<float> values = ordinary(name);
        const float scale = name == "enc0.conv1.weight" || name == "head.weight" ? 1e20F : 1.0F;
        std::ranges::for_each(values, [scale](float& value) { value *= scale; });
        return values;
    };
    return models;
}

// A bright disc with a hole, a small bright spot in a corner, on a dark ground with a slight ramp.
template <class P = uint8_t>
io::DecodedImage disc(int64_t height, int64_t width, double radius = 0.35) {
    HostImage<P> image(height, width);
    const double unit = std::numeric_limits<P>::max() / 255.0;
    for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x) {
            const double dy = (static_cast<double>(y) + 0.5) / static_cast<double>(height) - 0.5;
            const double dx = (static_cast<double>(x) + 0.5) / static_cast<double>(width) - 0.5;
            const double r = std::hypot(dx, dy);
            const bool spot = dy < -0.42 && dx < -0.42;
            const bool bright = spot || (r < radius && r > 0.08);
            const double ramp = 40.0 * (dx + 0.5);
            image.view().at(y, x) = static_cast<P>(unit * (bright ? 180.0 + ramp : 10.0 + ramp));
        }
    }
    io::DecodedImage decoded;
    decoded.pixels = std::move(image);
    return decoded;
}

inline io::DecodedImage flat(int64_t height, int64_t width) {
    HostImage<uint8_t> image(height, width);
    std::fill_n(image.view().data, image.view().pixels(), uint8_t{90});
    io::DecodedImage decoded;
    decoded.pixels = std::move(image);
    return decoded;
}

}  // namespace boneage::testing
