// The Adam optimiser over a flat buffer of weights, as PyTorch's Adam and AdamW, or as Keras's.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

// Where eps stands: PyTorch adds it to the deviation after the correction of its bias, Keras before. Keras's
// steps are shorter, by up to a factor of sqrt(1 - beta2): in the first steps of gradients that are small beside eps.
enum class AdamMode { torch, keras };

struct AdamParams {
    double learning_rate = 1e-3;
    double beta1 = 0.9;  // share of the past in the first moment, 0 <= beta1 < 1
    double beta2 = 0.999;
    double eps = 1e-8;  // PyTorch's; Keras's own is 1e-7
    double weight_decay = 0;
    bool decoupled = false;  // weight decay as AdamW's: on the weights themselves, not through their gradient
    AdamMode mode = AdamMode::torch;
    bool operator==(const AdamParams&) const = default;
};

// What one step multiplies by, rounded to float32 once.
struct AdamFactors {
    float beta1, beta1_rest;  // beta and 1 - beta
    float beta2, beta2_rest;
    float decay;      // weight_decay where it goes through the gradient, else 0
    float kept;       // 1 - learning_rate * weight_decay where it is decoupled, else 1
    float step_size;  // learning_rate / (1 - beta1^step), in Keras's mode times sqrt(1 - beta2^step)
    float deviation;  // sqrt(1 - beta2^step), in Keras's mode 1
    float eps;
};

// An optimiser's state beside its moments. It lives in the memory that the step runs on, because a captured graph
// freezes arguments but not memory: between steps the host may rewrite `params` (it comes first, so that a copy of
// sizeof(AdamParams) bytes to the state's address does) and nothing else.
struct AdamState {
    AdamParams params;
    int64_t step = 0;  // steps done; adam() advances it
    AdamFactors factors{};
};

// One step of every weight:
//   g = gradient + decay * weight, and gradient alone where decay is 0
//   m = beta1 * m + (1 - beta1) * g
//   v = beta2 * v + ((1 - beta2) * g) * g
//   weight = kept * weight - (step_size * m) / (sqrt(v) / deviation + eps)
//   state     [1]; its step is advanced first and its factors computed in float64, powers by repeated squaring
//   weights   [n], updated;  gradients [n], read
//   first_moment, second_moment   [n], m and v: zeros before the first step, updated
//   All float32, one rounding an operation in the order written. A state belongs to one buffer: buffers with different
//   parameters (weights with decay, biases without) have one each. Allocates nothing. Twins agree exactly.
void adam(Workers& workers, Tensor<AdamState, Host> state, Tensor<float, Host> weights,
          Tensor<const float, Host> gradients, Tensor<float, Host> first_moment, Tensor<float, Host> second_moment);

void adam(Stream& stream, Tensor<AdamState, Device> state, Tensor<float, Device> weights,
          Tensor<const float, Device> gradients, Tensor<float, Device> first_moment,
          Tensor<float, Device> second_moment);

}  // namespace boneage
