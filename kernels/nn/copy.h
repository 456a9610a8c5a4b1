// Moving activations: into another type, into a channel slice, and between channels and pixels.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/base/workers.h"
#include "kernels/nn/activations.h"

#include <array>

namespace boneage {

// dst = src in dst's type.
//   src, dst   [n, h, w, c], same shape; From, To = float, bfloat16 or float16; must not overlap
//   To another 16-bit type: nearest, ties to even; beyond the largest finite value infinity; NaN stays NaN (quietened).
//   To float, and between equal types: exact. A concatenation is one call for each part, with dst a channel slice of
//   the whole. Assigns the slice's channels only; allocates nothing. Twins agree exactly.
template <class From, class To>
void copy(Workers& workers, Activations<const From, Host> src, Activations<To, Host> dst);

template <class From, class To>
void copy(Stream& stream, Activations<const From, Device> src, Activations<To, Device> dst);

// dst = dst + src: where the gradients of a value's readers meet.
//   src, dst   [n, h, w, c], same shape, both float, both bfloat16 or both float16; must not overlap
//   One float32 addition, rounded to the type. Changes the slice's channels only; allocates nothing. Twins agree
//   exactly.
template <class T>
void add(Workers& workers, Activations<const T, Host> src, Activations<T, Host> dst);

template <class T>
void add(Stream& stream, Activations<const T, Device> src, Activations<T, Device> dst);

// Doubles both sides: pixel (y, x) of groups[2 * i + j] becomes pixel (2 * y + i, 2 * x + j) of dst. After a 1x1
// convolution to 4 * c channels, whose quarters are the groups, this is a 2x2 transposed convolution of stride 2.
//   groups   four of [n, h, w, c] float, bfloat16 or float16, with one pixel stride
//   dst      [n, 2 * h, 2 * w, c], same type; must not overlap the groups
//   Assigns; allocates nothing. Twins agree exactly.
//
//   groups of one pixel, one channel: a, b, c, d    ->    a b
//                                                         c d
template <class T>
void depth_to_space(Workers& workers, const std::array<Activations<const T, Host>, 4>& groups,
                    Activations<T, Host> dst);

template <class T>
void depth_to_space(Stream& stream, const std::array<Activations<const T, Device>, 4>& groups,
                    Activations<T, Device> dst);

// The way back, which is also depth_to_space's gradient: pixel (2 * y + i, 2 * x + j) of src becomes pixel (y, x) of
// groups[2 * i + j].
//   src      [n, 2 * h, 2 * w, c] float, bfloat16 or float16
//   groups   four of [n, h, w, c], same type, with one pixel stride; must not overlap src
//   Assigns; allocates nothing. Twins agree exactly.
template <class T>
void space_to_depth(Workers& workers, Activations<const T, Host> src,
                    const std::array<Activations<T, Host>, 4>& groups);

template <class T>
void space_to_depth(Stream& stream, Activations<const T, Device> src,
                    const std::array<Activations<T, Device>, 4>& groups);

}  // namespace boneage
