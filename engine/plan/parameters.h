// From a network's tensors, by name, to the weights of one step.
#pragma once

#include "engine/plan/steps.h"

#include <functional>

namespace boneage::plan {

// The float32 values of one tensor in PyTorch's layout. Throws when there is none of that name.
using ParameterSource = std::function<std::vector<float>(std::string_view name)>;

// What a back end gets; it converts layout and type itself.
struct Weights {
    std::vector<float> weight;
    std::vector<float> bias;  // [out], zeros where the network has none
};

// [out, in, k, k], batch norm folded in. For a transposed source the equivalent 1x1 convolution: output channel
// (2a+b)*C + o has weight[:, o, a, b], as DepthToSpace expects. Throws UsageError naming the tensor when a value is not
// finite: a library's ReLU may turn NaN into 0, so that a broken weight would give plausible answers instead of NaN.
Weights load_weights(const FusedConv& step, const ParameterSource& source);
// [out, in]
Weights load_weights(const Linear& step, const ParameterSource& source);
// [in, out, 2, 2]
Weights load_weights(const TransposedConv& step, const ParameterSource& source);

// A step's weights as T = float, bfloat16 or float16. Throws UsageError naming `name` when one is too large for T.
template <class T>
std::vector<T> rounded(const std::vector<float>& weights, const std::string& name);

}  // namespace boneage::plan
