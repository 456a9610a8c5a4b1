// The scalar formulas of activation.h, compiled by both twins.
#pragma once

#include "kernels/base/numeric.h"

namespace boneage {

BONEAGE_HD inline float relu_value(float value) {
    return value < 0 ? 0.0F : value;
}

// The gradient that passes a ReLU whose output was `dst`.
BONEAGE_HD inline float relu_gradient(float gradient, float dst) {
    return dst > 0 ? gradient : 0.0F;
}

BONEAGE_HD inline float sigmoid_value(float value) {
    const float e = std::exp(-std::abs(value));
    return (value < 0 ? e : 1.0F) / (1.0F + e);
}

}  // namespace boneage
