// The length of all gradients together, and clipping them to a longest one.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

struct GradientNorm {
    float norm;    // before clipping
    float factor;  // what the gradients were multiplied by; 1: they are as they were
};

// norm = sqrt(sum of g * g), factor = min(max_norm / (norm + 1e-6), 1), g = factor * g, as PyTorch's clip_grad_norm_.
//   gradients   [n] float32, updated
//   max_norm    above 0; infinity only measures
//   norm        [1]
//   scratch     clip_gradients_scratch_bytes(n)
//   A norm that is not finite, because a gradient is not or the norm is beyond float32, is reported with factor 1, and
//   the gradients stay as they are: whoever makes the step decides. n = 0 has norm 0.
//   Squares are exact in float64. The gradients are cut into chunks of 16384; element j of a chunk is added, in rising
//   j, to partial sum j mod 1024, and these are halved (i += i + 512, ..., + 1); chunk q is added, in rising q, to
//   partial sum q mod 256, halved likewise. norm and factor are float64 and rounded once. Allocates nothing. The same
//   bits for any number of workers, and the twins agree exactly.
void clip_gradients(Workers& workers, Tensor<float, Host> gradients, double max_norm, Tensor<GradientNorm, Host> norm,
                    Bytes<Host> scratch);

void clip_gradients(Stream& stream, Tensor<float, Device> gradients, double max_norm, Tensor<GradientNorm, Device> norm,
                    Bytes<Device> scratch);

int64_t clip_gradients_scratch_bytes(int64_t size);

}  // namespace boneage
