// Pooling in training: max pooling that remembers where its maxima were, and the gradients of both poolings.
#pragma once

#include "kernels/nn/pool.h"
#include "kernels/nn/write_mode.h"

namespace boneage {

// max_pool (pool.h), and the place of every maximum in its window.
//   src, dst    as max_pool's
//   positions   dst's shape, uint8: i * size + j for the pixel at (y * stride - padding + i, x * stride - padding + j);
//               params.size <= 15
//   The first maximum in row order wins; a NaN wins over any number and the last of several NaN over the others, as in
//   PyTorch. A window of nothing but -infinity has its first pixel inside the image.
//   Assigns; allocates nothing. Twins agree exactly.
//
//   size 2, stride 2:     1 5 2 2          1 5 -> 1 (top right)
//                         3 4 9 0  ->  5 9;  2 2
//                                          9 0 -> 2 (bottom left)
template <class T>
void max_pool_with_positions(Workers& workers, Activations<const T, Host> src, Activations<T, Host> dst,
                             Activations<uint8_t, Host> positions, const PoolParams& params);

template <class T>
void max_pool_with_positions(Stream& stream, Activations<const T, Device> src, Activations<T, Device> dst,
                             Activations<uint8_t, Device> positions, const PoolParams& params);

// The gradient of max_pool: a pixel gets the sum of d_dst over the windows it won.
//   d_dst       [n, pooled_size(h), pooled_size(w), c] float, bfloat16 or float16
//   positions   max_pool_with_positions's, same shape
//   d_src       [n, h, w, c], d_dst's type; must not overlap the others
//   Windows are added in row order in float32; then the sum is assigned or accumulated as `write` says.
//   Allocates nothing. Twins agree exactly.
template <class T>
void max_pool_backward(Workers& workers, Activations<const T, Host> d_dst, Activations<const uint8_t, Host> positions,
                       Activations<T, Host> d_src, const PoolParams& params, Write write);

template <class T>
void max_pool_backward(Stream& stream, Activations<const T, Device> d_dst, Activations<const uint8_t, Device> positions,
                       Activations<T, Device> d_src, const PoolParams& params, Write write);

// The gradient of global_average_pool: every pixel of a channel gets d_dst / (h * w), one float32 division, assigned or
// accumulated as `write` says.
//   d_dst   [n, 1, 1, c] float
//   d_src   [n, h, w, c] float, bfloat16 or float16
//   Allocates nothing. Twins agree exactly.
template <class T>
void global_average_pool_backward(Workers& workers, Activations<const float, Host> d_dst, Activations<T, Host> d_src,
                                  Write write);

template <class T>
void global_average_pool_backward(Stream& stream, Activations<const float, Device> d_dst, Activations<T, Device> d_src,
                                  Write write);

}  // namespace boneage
