// The formulas of adam.h, compiled by both twins.
#pragma once

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"
#include "kernels/nn/adam.h"

namespace boneage {

// base^exponent, exponent >= 0, by repeated squaring: the same bits everywhere, which pow does not promise.
BONEAGE_HD inline double power(double base, int64_t exponent) {
    double result = 1;
    for (double square = base; exponent > 0; exponent >>= 1, square *= square) {
        if ((exponent & 1) != 0) {
            result *= square;
        }
    }
    return result;
}

BONEAGE_HD inline void begin_step(AdamState& state) {
    const AdamParams& p = state.params;
    ++state.step;
    AdamFactors& f = state.factors;
    f.beta1 = static_cast<float>(p.beta1);
    f.beta1_rest = static_cast<float>(1.0 - p.beta1);
    f.beta2 = static_cast<float>(p.beta2);
    f.beta2_rest = static_cast<float>(1.0 - p.beta2);
    f.decay = p.decoupled ? 0.0F : static_cast<float>(p.weight_decay);
    f.kept = p.decoupled ? static_cast<float>(1.0 - p.learning_rate * p.weight_decay) : 1.0F;
    const double step_size = p.learning_rate / (1.0 - power(p.beta1, state.step));
    const double deviation = std::sqrt(1.0 - power(p.beta2, state.step));
    const bool keras = p.mode == AdamMode::keras;
    f.step_size = static_cast<float>(keras ? step_size * deviation : step_size);
    f.deviation = keras ? 1.0F : static_cast<float>(deviation);
    f.eps = static_cast<float>(p.eps);
}

BONEAGE_HD inline void adam_weight(const AdamFactors& f, float gradient, float& weight, float& m, float& v) {
    const float g = f.decay != 0 ? gradient + f.decay * weight : gradient;
    m = f.beta1 * m + f.beta1_rest * g;
    v = f.beta2 * v + f.beta2_rest * g * g;
    weight = f.kept * weight - f.step_size * m / (std::sqrt(v) / f.deviation + f.eps);
}

template <class Space>
void check_adam(const Tensor<AdamState, Space>& state, const Tensor<float, Space>& weights,
                const Tensor<const float, Space>& gradients, const Tensor<float, Space>& first_moment,
                const Tensor<float, Space>& second_moment) {
    expects(state.size() == 1, "state must be [1]");
    expects(gradients.size() == weights.size() && first_moment.size() == weights.size() &&
                second_moment.size() == weights.size(),
            "weights, gradients and moments must have the same size");
}

}  // namespace boneage
