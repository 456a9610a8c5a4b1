// A fully connected layer with a fixed order of summation.
#pragma once

#include "kernels/base/numeric.h"
#include "kernels/base/view.h"
#include "kernels/base/workers.h"

namespace boneage {

// dst(i, o) = act(bias(o) + sum over k of src(i, k) * weights(o, k)).
//   src       [n, 1, 1, in], X = float or bfloat16
//   weights   [out, in] float; a bfloat16 network passes values already rounded to bfloat16
//   bias      [out] float, or a tensor with null data for none
//   dst       [n, 1, 1, out], Y = float or bfloat16 (X = float: float only); must not overlap the others
//   relu      whether act(v) = max(v, 0), NaN kept; else act(v) = v
//   Products are unfused float32; product k is added, in rising k, to partial sum k mod 16; partial sums are combined
//   by halving (i += i + 8, then + 4, + 2, + 1), then the bias is added. The order depends on nothing else, so a row's
//   result has the same bits at any batch size and number of workers, and the twins agree exactly.
//   Assigns; allocates nothing. Meant for small layers: it reads the weights once for every row.
template <class X, class Y>
void linear(Workers& workers, Tensor<const X, Host> src, Tensor<const float, Host> weights,
            Tensor<const float, Host> bias, Tensor<Y, Host> dst, bool relu);

template <class X, class Y>
void linear(Stream& stream, Tensor<const X, Device> src, Tensor<const float, Device> weights,
            Tensor<const float, Device> bias, Tensor<Y, Device> dst, bool relu);

}  // namespace boneage
