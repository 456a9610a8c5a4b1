// Small models for tests of the pipeline.
#pragma once

#include "engine/net/parameters.h"
#include "engine/plan/parameters.h"

#include <algorithm>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace boneage::testing {

// Seeded initial weights of any graph.
inline plan::ParameterSource initial_weights(const net::Graph& graph, uint64_t seed) {
    std::map<std::string, std::vector<float>, std::less<>> values;
    for (const net::Parameter& parameter : net::parameters(graph)) {
        values[parameter.name] = net::initial_values(parameter, seed);
    }
    return [shared = std::make_shared<const decltype(values)>(std::move(values))](std::string_view name) {
        const auto found = shared->find(name);
        if (found == shared->end()) {
            throw std::out_of_range(std::string(name));
        }
        return found->second;
    };
}

// A U-Net of depth 1 whose weights let the image through its skip connection: it takes for hand what is brighter than
// `level` (of 0..1, for a recipe whose segmenter sees pixel values as they are). One channel would do, but cuDNN has no
// 16-bit engines for so few.
inline constexpr net::UnetSpec kBrightSpec{.channels = 1, .depth = 1, .base_width = 8, .outputs = 1};
inline plan::ParameterSource bright_weights(float level) {
    const plan::ParameterSource others = initial_weights(net::unet(kBrightSpec), 0);
    return [others, level](std::string_view name) {
        std::vector<float> values = others(name);
        if (name.ends_with("conv1.weight") || name.ends_with("conv2.weight")) {
            std::ranges::fill(values, 0.0F);
            values[4] = 1.0F;  // the middle of the first input channel; in dec0 that is the skipped one
        } else if (name == "head.weight") {
            std::ranges::fill(values, 0.0F);
            values[0] = 1000.0F;
        } else if (name == "head.bias") {
            values = {-1000.0F * level};
        }
        return values;
    };
}

}  // namespace boneage::testing
