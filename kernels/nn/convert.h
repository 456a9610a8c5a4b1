// Between float32 and bfloat16, the storage type of half-width activations and weights.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

// Every element of src in dst's type.
//   src, dst   same shape; (From, To) is (float, bfloat16) or (bfloat16, float); must not overlap
//   To bfloat16: nearest, ties to even; beyond the largest finite value infinity; NaN stays NaN (quietened).
//   To float: exact.
//   Assigns; allocates nothing. Twins agree exactly.
template <class From, class To>
void convert(Workers& workers, Tensor<const From, Host> src, Tensor<To, Host> dst);

template <class From, class To>
void convert(Stream& stream, Tensor<const From, Device> src, Tensor<To, Device> dst);

}  // namespace boneage
