// Pooling of NHWC activations, as PyTorch's max_pool2d and adaptive_avg_pool2d(1).
#pragma once

#include "kernels/base/workers.h"
#include "kernels/nn/activations.h"

namespace boneage {

struct PoolParams {
    int64_t size = 2;     // side of the square window, >= 1
    int64_t stride = 2;   // >= 1
    int64_t padding = 0;  // pixels of padding on every side, 0 <= padding <= size / 2
};

// Pixels along one side after pooling `pixels` of them; less than 1 means that no window fits.
constexpr int64_t pooled_size(int64_t pixels, const PoolParams& params) {
    const int64_t room = pixels + 2 * params.padding - params.size;
    return room < 0 ? 0 : room / params.stride + 1;
}

// Largest value of every window.
//   src   [n, h, w, c] float, bfloat16 or float16
//   dst   [n, pooled_size(h), pooled_size(w), c], same type; must not overlap src
//   dst(y, x) = max of src(y * stride - padding + i, x * stride - padding + j), 0 <= i, j < size; padding holds
//   -infinity, so it never wins. A NaN in a window makes its result NaN.
//   Assigns; allocates nothing. Twins agree exactly: choosing a value rounds nothing.
//
//   size 2, stride 2:     1 5 2 2
//                         3 4 9 0  ->  5 9
template <class T>
void max_pool(Workers& workers, Activations<const T, Host> src, Activations<T, Host> dst, const PoolParams& params);

template <class T>
void max_pool(Stream& stream, Activations<const T, Device> src, Activations<T, Device> dst, const PoolParams& params);

// Mean of every channel over all pixels.
//   src   [n, h, w, c] float, bfloat16 or float16, h * w >= 1
//   dst   [n, 1, 1, c] float
//   Pixels are added in row order in float64 and the mean is rounded once, so the twins agree exactly and the result
//   depends neither on the batch size nor on the number of workers.
//   Assigns; allocates nothing.
template <class T>
void global_average_pool(Workers& workers, Activations<const T, Host> src, Activations<float, Host> dst);

template <class T>
void global_average_pool(Stream& stream, Activations<const T, Device> src, Activations<float, Device> dst);

}  // namespace boneage
