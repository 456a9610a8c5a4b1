// Radiographs whose bones are dark on a light background, and how they are turned the usual way round.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

int64_t find_inverted_scratch_bytes(int64_t count);

// Guesses for every image of a batch whether it is inverted.
//   src       [h, w] u8 or u16, row-strided, at least one pixel
//   inverted  [n], assigned: 1 where the surroundings are lighter than the middle
//   Surroundings: the middle one of three means, over bands along the top, left and right side, a tenth of the side
//   thick and a twentieth away from the edge (at least one pixel thick). The wrist leaves through the fourth side.
//   Middle: the mean over the half of the height and width around the centre. All means are exact integer sums divided
//   in float64.
//   Only a guess: of 12,111 radiographs of the RSNA 2017 bone age training set, all the usual way round as far as their
//   77 most suspicious ones showed, 76 (0.6 %) are taken for inverted because a light frame surrounds the exposure, and
//   as many of their negatives are missed. So nothing inverts by default.
//   Allocates nothing; scratch from find_inverted_scratch_bytes(). Twins agree exactly.
template <class P>
void find_inverted(Workers& workers, Batch<const P, Host> src, Tensor<uint8_t, Host> inverted, Bytes<Host> scratch);

template <class P>
void find_inverted(Stream& stream, Batch<const P, Device> src, Tensor<uint8_t, Device> inverted, Bytes<Device> scratch);

// dst = (largest value of the type) - src for every image whose flag is not 0, and a copy of src for the others.
//   src, dst  [h, w] u8 or u16, row-strided, the same sizes pairwise; dst may alias src
//   flags     [n], or a tensor with null data: every image is inverted
//   Allocates nothing. Twins agree exactly.
template <class P>
void invert(Workers& workers, Batch<const P, Host> src, Batch<P, Host> dst, Tensor<const uint8_t, Host> flags);

template <class P>
void invert(Stream& stream, Batch<const P, Device> src, Batch<P, Device> dst, Tensor<const uint8_t, Device> flags);

}  // namespace boneage
