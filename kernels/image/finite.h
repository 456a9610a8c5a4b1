// Maps that hold something other than numbers.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

// Says for every image of a batch whether all of its pixels are numbers: a comparison takes NaN for small and infinity
// for large without a word, so a mask made from such a map would look like any other.
//   src      [h, w] float32, row-strided
//   broken   [n], assigned: 1 where a pixel is NaN or infinite, else 0 (also where there is no pixel)
//   Allocates nothing. Twins agree exactly.
void find_not_finite(Workers& workers, Batch<const float, Host> src, Tensor<uint8_t, Host> broken);

void find_not_finite(Stream& stream, Batch<const float, Device> src, Tensor<uint8_t, Device> broken);

}  // namespace boneage
