// Gradients of a fully connected layer.
#pragma once

#include "kernels/base/workers.h"
#include "kernels/nn/activations.h"
#include "kernels/nn/write_mode.h"

namespace boneage {

// What linear_backward makes.
template <class Space>
struct LinearGradients {
    Activations<float, Space> d_src;  // [n, 1, 1, in], or data == nullptr when nobody needs it
    Write write = Write::assign;      // for d_src alone
    Tensor<float, Space> d_weights;   // [out, in]
    Tensor<float, Space> d_bias;      // [out]
};

// Gradients of linear (linear.h) without its activation; where that was a ReLU, pass d_dst through relu_backward first.
//   d_src(i, k)     = sum over o of d_dst(i, o) * weights(o, k)
//   d_weights(o, k) = sum over i of d_dst(i, o) * src(i, k)
//   d_bias(o)       = sum over i of d_dst(i, o)
//   d_dst     [n, 1, 1, out], rows possibly slices of longer ones
//   src       [n, 1, 1, in], likewise
//   weights   [out, in]
//   All float32; products (exact) and sums are float64 in rising o or i, rounded once. d_src is assigned or
//   accumulated, d_weights and d_bias are assigned; nothing may overlap. Allocates nothing. The same bits for any
//   number of workers, and the twins agree exactly.
void linear_backward(Workers& workers, Activations<const float, Host> d_dst, Activations<const float, Host> src,
                     Tensor<const float, Host> weights, const LinearGradients<Host>& gradients);

void linear_backward(Stream& stream, Activations<const float, Device> d_dst, Activations<const float, Device> src,
                     Tensor<const float, Device> weights, const LinearGradients<Device>& gradients);

}  // namespace boneage
