// A fully connected layer with a fixed order of summation.
#pragma once

#include "kernels/base/workers.h"
#include "kernels/nn/activations.h"

namespace boneage {

// dst(i, o) = act(bias(o) + sum over k of src(i, k) * weights(o, k)).
//   src       [n, 1, 1, in], rows possibly slices of longer ones
//   weights   [out, in]
//   bias      [out]
//   dst       [n, 1, 1, out], rows possibly slices of longer ones; must not overlap the others
//   relu      whether act(v) = max(v, 0), NaN kept; else act(v) = v
//   All float32. Products are unfused; product k is added, in rising k, to partial sum k mod 16; partial sums are
//   combined by halving (i += i + 8, then + 4, + 2, + 1), then the bias is added. The order depends on nothing else, so
//   a row's result has the same bits at any batch size and number of workers, and the twins agree exactly. Assigns;
//   allocates nothing. Meant for small layers, such as the head of a ResNet34, where speed is no matter: it reads
//   the weights once for every row. cuBLAS would choose its order of summation by the batch.
void linear(Workers& workers, Activations<const float, Host> src, Tensor<const float, Host> weights,
            Tensor<const float, Host> bias, Activations<float, Host> dst, bool relu);

void linear(Stream& stream, Activations<const float, Device> src, Tensor<const float, Device> weights,
            Tensor<const float, Device> bias, Activations<float, Device> dst, bool relu);

}  // namespace boneage
