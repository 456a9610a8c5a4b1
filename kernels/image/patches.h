// Images cut into overlapping square patches for a network, and the network's answers blended back.
//
// The patches of several images share one dense tensor: a table of places says which image and which corner each comes
// from. Gathering and running the network may proceed in pieces of any length (a sub-range of the table with its part
// of the tensor); blending then sees the whole table, and every pixel sums its patches in table order, so the result
// does not depend on how the work was cut.
#pragma once

#include "kernels/image/normalise.h"

#include <vector>

namespace boneage {

// One patch: its image's index in the batch and the position of its top-left pixel, which lies outside the image when
// the image is smaller than a patch.
struct PatchPlace {
    int64_t image = 0;
    int64_t y = 0;
    int64_t x = 0;
    constexpr bool operator==(const PatchPlace&) const = default;
};

// Where patches start along a side of `size` pixels, as nnU-Net places them. With room = size - patch:
//   count   ceil(room / (patch * step_fraction)) + 1, in double
//   origin  room / (count - 1) * i rounded half to even: evenly spread, the first at 0, the last ending at the edge
// A side shorter than a patch has one origin, -((patch - size) / 2) rounded towards 0: the image sits in the middle.
//   patch >= 1, 0 < step_fraction <= 1 (nnU-Net's 0.5: neighbours overlap by half)
std::vector<int64_t> patch_origins(int64_t size, int64_t patch, double step_fraction);

// Appends the patches that cover image number `image` of a batch, top to bottom, each row left to right.
void append_patches(std::vector<PatchPlace>& places, int64_t image, int64_t height, int64_t width, int64_t patch,
                    double step_fraction);

// Cuts patches out of images as network input.
//   src      [h, w] u8 or u16, row-strided; sizes may differ
//   places   [n], each `image` an index into src
//   dst      [n, p, p, c] float32 or bfloat16, c of 1 to 3; every element is assigned
//   Values are those of normalise(); outside its image a patch holds the value of a black pixel.
//   Allocates nothing. Twins agree exactly.
template <class P, class T>
void gather_patches(Workers& workers, Batch<const P, Host> src, Tensor<const PatchPlace, Host> places,
                    Tensor<T, Host> dst, const NormaliseParams& params);

template <class P, class T>
void gather_patches(Stream& stream, Batch<const P, Device> src, Tensor<const PatchPlace, Device> places,
                    Tensor<T, Device> dst, const NormaliseParams& params);

// The weights [patch, patch] with which blend_patches trusts a patch's pixels, nnU-Net's: a Gaussian around pixel
// (patch / 2, patch / 2) with sigma = patch / 8 and maximum 1, computed in double and rounded. The smallest weight is
// about exp(-16) = 1.1e-7, so nnU-Net's replacement of zeros never applies.
std::vector<float> gaussian_window(int64_t patch);

// Blends patches of values into images: dst(y, x) = sum of w * v / sum of w over the patches that cover the pixel.
//   values   [n, p, p] float32, one value a pixel (logits or probabilities)
//   places   [n], sorted by image
//   first    [images + 1]: the patches of image i are first[i] up to first[i + 1]
//   window   [p, p] float32, > 0
//   dst      [h, w] float32, row-strided, one for each image; a pixel that no patch covers becomes 0
//   Both sums are float32, not fused, from 0 in table order; every pixel gathers, nothing is atomic.
//   Allocates nothing. Twins agree exactly, and the bits do not depend on the rest of the batch.
void blend_patches(Workers& workers, Tensor<const float, Host> values, Tensor<const PatchPlace, Host> places,
                   Tensor<const int64_t, Host> first, Tensor<const float, Host> window, Batch<float, Host> dst);

void blend_patches(Stream& stream, Tensor<const float, Device> values, Tensor<const PatchPlace, Device> places,
                   Tensor<const int64_t, Device> first, Tensor<const float, Device> window, Batch<float, Device> dst);

}  // namespace boneage
