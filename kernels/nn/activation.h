// Element-wise activations that no other step can absorb.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

// dst = max(src, 0); NaN stays NaN.
//   src, dst   same shape, float, bfloat16 or float16; dst may alias src
//   Assigns; allocates nothing. Twins agree exactly.
template <class T>
void relu(Workers& workers, Tensor<const T, Host> src, Tensor<T, Host> dst);

template <class T>
void relu(Stream& stream, Tensor<const T, Device> src, Tensor<T, Device> dst);

// The gradient of relu: d_src = d_dst where dst > 0, else 0.
//   d_dst, dst, d_src   same shape, float, bfloat16 or float16; dst is what relu made; d_src may alias d_dst
//   Assigns; allocates nothing. Twins agree exactly.
template <class T>
void relu_backward(Workers& workers, Tensor<const T, Host> d_dst, Tensor<const T, Host> dst, Tensor<T, Host> d_src);

template <class T>
void relu_backward(Stream& stream, Tensor<const T, Device> d_dst, Tensor<const T, Device> dst, Tensor<T, Device> d_src);

// dst = 1 / (1 + exp(-src)), evaluated as e / (1 + e) with e = exp(src) for src < 0, so nothing overflows.
//   src, dst   same shape, float; dst may alias src
//   Assigns; allocates nothing. Twins agree to 4 units in the last place: their exp differ.
void sigmoid(Workers& workers, Tensor<const float, Host> src, Tensor<float, Host> dst);
void sigmoid(Stream& stream, Tensor<const float, Device> src, Tensor<float, Device> dst);

}  // namespace boneage
