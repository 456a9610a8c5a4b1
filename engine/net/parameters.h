// The parameters a graph needs: names, shapes and layouts as PyTorch stores them, and seeded initial values.
#pragma once

#include "engine/net/graph.h"

namespace boneage::net {

enum class ParameterKind : uint8_t {
    conv_weight,        // [out, in, k, k]
    conv_bias,          // [out]
    norm_weight,        // [c]
    norm_bias,          // [c]
    running_mean,       // [c]
    running_var,        // [c]
    batches_tracked,    // [], an int64
    linear_weight,      // [out, in]
    linear_bias,        // [out]
    transposed_weight,  // [in, out, 2, 2]
    transposed_bias,    // [out]
};

struct Parameter {
    std::string name;
    std::vector<int64_t> shape;  // empty: a scalar
    ParameterKind kind = ParameterKind::conv_weight;
    int64_t fan_in = 0;  // inputs summed into one output, as PyTorch counts them for this op; 0 for norms

    [[nodiscard]] int64_t size() const;
    [[nodiscard]] bool trainable() const;  // a gradient step changes it: all but the running statistics and the count
};

// In the order of the ops, each with its weight, bias and norm as PyTorch orders them.
std::vector<Parameter> parameters(const Graph& graph);

// Number of trainable scalars.
int64_t parameter_count(const Graph& graph);

// Initial values with PyTorch's distributions: convolutions kaiming_normal over the fan-out, norms 1 and 0, linear and
// transposed weights and every bias uniform within 1/sqrt(fan_in). Depends on the seed and the name only, not on which
// other parameters exist; the numbers are not PyTorch's. A batches_tracked gives one 0.
std::vector<float> initial_values(const Parameter& parameter, uint64_t seed);

// Values with which a U-Net of depth 1 or more takes for foreground what is brighter than `level` (0..1) after a 3x3
// mean, for images that enter it as (v - 0.5) / 0.25: one channel carries the image through the first skip connection
// to the head, everything else is 0. A stand-in until a segmenter is trained.
std::vector<float> brightness_values(const Parameter& parameter, float level);

}  // namespace boneage::net
