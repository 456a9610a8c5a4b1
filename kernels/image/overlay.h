// What a mask keeps of an image.
#pragma once

#include "kernels/base/view.h"
#include "kernels/base/workers.h"

#include <type_traits>

namespace boneage {

// dst = mask != 0 ? src : background.
//   src, dst    [h, w] u8 or u16, row-strided; dst may alias src
//   mask        [h, w] u8; all three of the same sizes pairwise
//   Allocates nothing. Twins agree exactly.
template <class P>
void overlay(Workers& workers, Batch<const P, Host> src, Batch<const uint8_t, Host> mask, Batch<P, Host> dst,
             std::type_identity_t<P> background);

template <class P>
void overlay(Stream& stream, Batch<const P, Device> src, Batch<const uint8_t, Device> mask, Batch<P, Device> dst,
             std::type_identity_t<P> background);

}  // namespace boneage
