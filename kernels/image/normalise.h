// Grey images of any size as one dense network input.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

#include <array>

namespace boneage {

// Per output channel, on pixel values scaled to 0..1. The defaults keep them there.
struct NormaliseParams {
    std::array<float, 3> mean{0.0F, 0.0F, 0.0F};
    std::array<float, 3> deviation{1.0F, 1.0F, 1.0F};  // > 0
};

// Places every image in the middle of its slice of a tensor.
//   src     [h, w] u8 or u16, row-strided, h <= H and w <= W; sizes may differ
//   dst     [n, H, W, c] float32 or bfloat16, c of 1 to 3, n = number of images; every element is assigned
//   value   (float(v) / max - mean[c]) / deviation[c], max = 255 or 65535, each operation rounded to float32 (for u8
//           this is torchvision's to_tensor followed by normalize, bit for bit); bfloat16 rounds the result to even
//   place   row (H - h) / 2, column (W - w) / 2, both rounded down; around it the value of a black pixel
//   Grey is repeated in every channel. Allocates nothing. Twins agree exactly.
template <class P, class T>
void normalise(Workers& workers, Batch<const P, Host> src, Tensor<T, Host> dst, const NormaliseParams& params);

template <class P, class T>
void normalise(Stream& stream, Batch<const P, Device> src, Tensor<T, Device> dst, const NormaliseParams& params);

}  // namespace boneage
