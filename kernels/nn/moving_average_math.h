// The formula of moving_average.h, compiled by both twins.
#pragma once

#include "kernels/base/error.h"
#include "kernels/base/numeric.h"
#include "kernels/nn/moving_average.h"

namespace boneage {

BONEAGE_HD inline float averaged(float decay, float average, float value) {
    return decay * average + (1.0F - decay) * value;
}

template <class Space>
void check_moving_average(const Tensor<const float, Space>& decay, const Tensor<const float, Space>& values,
                          const Tensor<float, Space>& average) {
    expects(decay.size() == 1, "decay must be [1]");
    expects(values.size() == average.size(), "values and average must have the same size");
}

}  // namespace boneage
