// Joining activations along their channels, and spreading channels over pixels.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

// Copies src into the channels [first_channel, first_channel + c) of dst; the other channels keep their values. A
// concatenation is one call for each part.
//   src   [n, h, w, c] float or bfloat16
//   dst   [n, h, w, d], same type, d >= first_channel + c; must not overlap src
//   Assigns those channels; allocates nothing. Twins agree exactly.
template <class T>
void copy_to_channels(Workers& workers, Tensor<const T, Host> src, Tensor<T, Host> dst, int64_t first_channel);

template <class T>
void copy_to_channels(Stream& stream, Tensor<const T, Device> src, Tensor<T, Device> dst, int64_t first_channel);

// How depth_to_space finds the four channel groups of a pixel.
enum class DepthOrder {
    interleaved,  // src [n, h, w, 4 * c]: the groups follow each other within a pixel
    planar,       // src [n * 4, h, w, c]: each group is a plane of its own, the four of an image one after another
};

// Doubles both sides: group g = 2 * i + j of the pixel (y, x) becomes the pixel (2 * y + i, 2 * x + j). After a 1x1
// convolution to 4 * c channels this is a 2x2 transposed convolution of stride 2.
//   src   as `order` says, float or bfloat16
//   dst   [n, 2 * h, 2 * w, c], same type; must not overlap src
//   Assigns; allocates nothing. Twins agree exactly.
//
//   one pixel, c = 1, groups a b c d:    a b
//                                        c d
template <class T>
void depth_to_space(Workers& workers, Tensor<const T, Host> src, Tensor<T, Host> dst, DepthOrder order);

template <class T>
void depth_to_space(Stream& stream, Tensor<const T, Device> src, Tensor<T, Device> dst, DepthOrder order);

}  // namespace boneage
