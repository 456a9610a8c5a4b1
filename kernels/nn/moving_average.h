// Weights averaged over the steps of training, which often score better than the last ones.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

// average = decay * average + (1 - decay) * value, for every element.
//   decay     [1] float32 in [0, 1]; it lives in the memory that the kernel runs on, because a captured graph freezes
//             arguments but not memory: the host rewrites it, to let an average follow faster at first (0 copies)
//   values    [n] float32, read
//   average   [n] float32, updated; apart from values
//   float32, one rounding an operation in the order written. Allocates nothing. Twins agree exactly.
void moving_average(Workers& workers, Tensor<const float, Host> decay, Tensor<const float, Host> values,
                    Tensor<float, Host> average);

void moving_average(Stream& stream, Tensor<const float, Device> decay, Tensor<const float, Device> values,
                    Tensor<float, Device> average);

}  // namespace boneage
