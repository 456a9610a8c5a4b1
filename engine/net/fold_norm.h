// Batch norm of a trained network as part of the convolution before it.
#pragma once

#include <vector>

namespace boneage::net {

struct NormValues {
    std::vector<float> weight;
    std::vector<float> bias;
    std::vector<float> running_mean;
    std::vector<float> running_var;
    double eps = 1e-5;
};

// A convolution's weight, output channel outermost, and its bias [out].
struct ConvValues {
    std::vector<float> weight;
    std::vector<float> bias;
};

// With s = norm.weight / sqrt(running_var + eps):  weight' = weight * s  and  bias' = (bias - running_mean) * s +
// norm.bias. Computed in double and rounded once. An empty conv.bias counts as zeros. All sizes must agree
// (std::invalid_argument).
ConvValues fold_norm(const ConvValues& conv, const NormValues& norm);

}  // namespace boneage::net
