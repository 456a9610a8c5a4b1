// Sums over all pixels of NHWC activations: the gradient of a bias.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/base/workers.h"
#include "kernels/nn/activations.h"

namespace boneage {

// dst(k) = sum of src(p, k) over all pixels p of all images.
//   src       [n, h, w, c] float, bfloat16 or float16
//   dst       [c] float; zeros when src has no pixels
//   scratch   sum_pixels_scratch_bytes(src.pixels(), src.c)
//   Adds in the order of pixel_sums.h, which depends on the number of pixels alone, and rounds the float64 total once:
//   the same bits for any number of workers, and the twins agree exactly. Assigns; allocates nothing.
template <class T>
void sum_pixels(Workers& workers, Activations<const T, Host> src, Tensor<float, Host> dst, Bytes<Host> scratch);

template <class T>
void sum_pixels(Stream& stream, Activations<const T, Device> src, Tensor<float, Device> dst, Bytes<Device> scratch);

int64_t sum_pixels_scratch_bytes(int64_t pixels, int64_t channels);

}  // namespace boneage
